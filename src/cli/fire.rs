//! `dropwire fire`: makes a source emit an event, by doing to it what a user of the source would do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::real;
use crate::control::{Fire, Fired};
use clap::Subcommand;
use serde_json::Value;

use super::client::Client;
use super::failure::{Done, Failure};
use super::invoke::text_of;
use super::page::Look;
use super::voice::Voice;
use super::wait::Waiting;
use super::words::parse_duration;

/// How long `--wait` waits.
const WAIT_DEFAULT: Duration = Duration::from_secs(60);

/// What to fire, and how often.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire fire s3 uploads/incoming/cat.png --file cat.png
  dropwire fire s3 uploads/old.png --delete
  dropwire fire table orders --put '{\"orderId\":\"o-1\"}'
  dropwire fire topic order-events '{\"total\":250}' --attr status=paid --wait")]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// So many times
    #[arg(long, value_name = "N", global = true)]
    times: Option<u32>,
    /// With this much time between them (alone: until Ctrl-C)
    #[arg(long, value_name = "DURATION", global = true, value_parser = parse_duration)]
    every: Option<Duration>,
    /// Wait until every delivery is done or given up; exit code 7 if one was given up
    #[arg(long, global = true)]
    wait: bool,
    /// How long to wait at the most, 60s by default
    #[arg(long, value_name = "DURATION", global = true, requires = "wait", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// What can be fired.
#[derive(Debug, Subcommand)]
enum What {
    /// Put an object into a bucket, or remove it
    #[command(before_help = "Examples:
  dropwire fire s3 uploads/incoming/cat.png --file cat.png
  dropwire fire s3 uploads/empty.txt
  dropwire fire s3 uploads/old.png --delete")]
    S3 {
        /// Bucket and key
        #[arg(value_name = "BUCKET/KEY")]
        target: String,
        /// The file to copy there; without it the object is empty
        #[arg(long, conflicts_with = "delete")]
        file: Option<PathBuf>,
        /// Remove the object
        #[arg(long)]
        delete: bool,
    },
    /// Put an item into a table, or remove it
    #[command(before_help = "Examples:
  dropwire fire table orders --put '{\"orderId\":\"o-1\",\"total\":250}'
  dropwire fire table orders --put @order.json
  dropwire fire table orders --delete '{\"orderId\":\"o-1\"}'")]
    Table {
        /// The table
        table: String,
        /// The item, as JSON or @FILE
        #[arg(long, value_name = "JSON", conflicts_with = "delete", required_unless_present = "delete")]
        put: Option<String>,
        /// The key of the item to remove, as JSON or @FILE
        #[arg(long, value_name = "JSON")]
        delete: Option<String>,
    },
    /// Publish a message
    #[command(before_help = "Examples:
  dropwire fire topic order-events '{\"total\":250}' --attr status=paid
  dropwire fire topic order-events @message.json --subject \"New order\" --attr total:Number=250")]
    Topic {
        /// The topic
        topic: String,
        /// The message, as text or @FILE
        body: String,
        /// Its subject
        #[arg(long)]
        subject: Option<String>,
        /// An attribute: NAME=VALUE, or NAME:TYPE=VALUE with String, Number, Binary or String.Array
        #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = attribute)]
        attributes: Vec<(String, String, String)>,
    },
    #[command(hide = true)]
    Schedule(Later),
    #[command(hide = true)]
    Http(Later),
    #[command(hide = true)]
    Mail(Later),
    #[command(hide = true)]
    Logs(Later),
}

/// Whatever follows a kind of source that does not exist yet.
#[derive(Debug, clap::Args)]
struct Later {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Fires.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let fire = args.what.request()?;
    let client = Client::find(&voice.dir).await?;
    // To listen before firing: what happens at once must not be missed.
    let waiting = match args.wait {
        true => Some(Waiting::begin(&client).await?),
        false => None,
    };
    let mut all = Fired { events: Vec::new(), message_id: None };
    let times = args.times.unwrap_or(if args.every.is_some() && !args.wait { u32::MAX } else { 1 });
    for turn in 0..times {
        if let (Some(every), true) = (args.every, turn > 0) {
            real::sleep(every).await;
        }
        let fired: Fired = client.post("fire", &fire).await?;
        if waiting.is_none() && voice.page.look != Look::Json {
            voice.print(&ids(&fired))?;
        }
        if fired.events.is_empty() && fired.message_id.is_none() {
            voice.remark("nothing changed, so there is no event");
        }
        all.message_id = fired.message_id;
        // Without an end nobody will ask for the list of all.
        if times < u32::MAX {
            all.events.extend(fired.events);
        }
    }
    match waiting {
        Some(waiting) => waiting.finish(voice, &all, args.timeout.unwrap_or(WAIT_DEFAULT)).await,
        None if voice.page.look == Look::Json => voice.answer(&all, |_| String::new()),
        None => Ok(0),
    }
}

/// Fires, as often as asked, and leaves the telling to whoever watches.
pub async fn once(client: &Client, args: Args) -> Result<(), Failure> {
    let fire = args.what.request()?;
    for _ in 0..args.times.unwrap_or(1) {
        let _: Fired = client.post("fire", &fire).await?;
    }
    Ok(())
}

/// The events' ids, one a line; for a message that reached nobody's wire, the message's.
pub fn ids(fired: &Fired) -> String {
    fired.events.iter().map(|id| format!("{id}\n")).collect()
}

impl What {
    fn request(&self) -> Result<Fire, Failure> {
        match self {
            What::S3 { target, file, delete } => Ok(Fire::S3 {
                target: target.clone(),
                file: file.as_deref().map(absolute).transpose()?,
                delete: *delete,
            }),
            What::Table { table, put, delete } => Ok(Fire::Table {
                table: table.clone(),
                put: put.as_deref().map(json_of).transpose()?,
                delete: delete.as_deref().map(json_of).transpose()?,
            }),
            What::Topic { topic, body, subject, attributes } => Ok(Fire::Topic {
                topic: topic.clone(),
                body: text_of(body)?,
                subject: subject.clone(),
                attributes: attributes.clone(),
            }),
            What::Schedule(later) => Err(later.refused("schedules")),
            What::Http(later) => Err(later.refused("HTTP APIs")),
            What::Mail(later) => Err(later.refused("inbound mail")),
            What::Logs(later) => Err(later.refused("log groups")),
        }
    }
}

impl Later {
    fn refused(&self, what: &str) -> Failure {
        let rest = self.words.join(" ");
        let failure =
            Failure::not_yet(&format!("firing {what} ({rest})"), "this version fires s3, table and topic");
        failure.trying("dropwire help fire")
    }
}

fn absolute(file: &Path) -> Result<String, Failure> {
    let path = std::fs::canonicalize(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display()), ""))?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Failure::usage(format!("{}: the path is not UTF-8", path.display()), "copy it to another name")
    })
}

fn json_of(text: &str) -> Result<Value, Failure> {
    let text = text_of(text)?;
    serde_json::from_str(&text).map_err(|error| {
        let hint = r#"an item looks like '{"orderId":"o-1"}' (single quotes keep the shell out of it)"#;
        Failure::usage(format!("that is not JSON: {error}"), hint)
    })
}

/// `status=paid` or `total:Number=250`.
fn attribute(text: &str) -> Result<(String, String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE or NAME:TYPE=VALUE")?;
    let (name, kind) = name.split_once(':').unwrap_or((name, "String"));
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    let base = kind.split('.').next().unwrap_or(kind);
    match base {
        "String" | "Number" | "Binary" => Ok((name.into(), kind.into(), value.into())),
        _ => Err(format!("`{kind}` is no type; String, Number, Binary and String.Array are")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let expected = expected.map(|(name, kind, value)| (name.into(), kind.into(), value.into()));
        assert_eq!(attribute(text).ok(), expected, "{text}");
    }

    #[test]
    fn attributes_have_a_type() {
        check("status=paid", Some(("status", "String", "paid")));
        check("total:Number=5", Some(("total", "Number", "5")));
        check("tags:String.Array=[\"a\"]", Some(("tags", "String.Array", "[\"a\"]")));
        check("query=a=b", Some(("query", "String", "a=b")));
        check("status", None);
        check("=x", None);
        check("n:Float=1", None);
    }
}
