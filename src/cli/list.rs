//! `dropwire list`: what there is.

use crate::control::{EventListed, Listed};
use clap::ValueEnum;
use serde_json::json;

use super::client::Client;
use super::failure::{Done, Failure};
use super::page::{Page, aligned, fact};
use super::tail::past_line;
use super::voice::Voice;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire list
  dropwire list functions
  dropwire list events -n 100")]
pub struct Args {
    /// Which kind; all but events if none is given
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// How many events
    #[arg(short = 'n', value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// The kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Functions,
    Wires,
    Buckets,
    Tables,
    Topics,
    Queues,
    Events,
}

const ALL: [Kind; 6] =
    [Kind::Functions, Kind::Wires, Kind::Buckets, Kind::Tables, Kind::Topics, Kind::Queues];

/// Lists.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    match args.kind {
        Some(Kind::Events) => {
            let events: Vec<EventListed> = client.get(&format!("events?limit={}", args.limit)).await?;
            voice.answer(&events, |page| events.iter().map(|event| past_line(event, page)).collect())
        }
        Some(kind) => {
            let listed = fetch(&client, kind.word()).await?;
            voice.answer(&listed, |page| rows(&listed, page))
        }
        None => {
            let mut all = Vec::new();
            for kind in ALL {
                all.extend(fetch(&client, kind.word()).await?);
            }
            voice.answer(&json!(all), |page| rows(&all, page))
        }
    }
}

/// What there is of a kind, in the API's word.
pub async fn fetch(client: &Client, kind: &str) -> Result<Vec<Listed>, Failure> {
    client.get(&format!("list?kind={kind}")).await
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Functions => "functions",
            Kind::Wires => "wires",
            Kind::Buckets => "buckets",
            Kind::Tables => "tables",
            Kind::Topics => "topics",
            Kind::Queues => "queues",
            Kind::Events => "events",
        }
    }
}

fn rows(listed: &[Listed], page: Page) -> String {
    if !page.is_pretty() {
        let line = |one: &Listed| {
            format!("{} {} {}\n", one.kind, fact("name", &one.name), fact("about", &one.about))
        };
        return listed.iter().map(line).collect();
    }
    if listed.is_empty() {
        return page.aside("none");
    }
    let row = |one: &Listed| vec![page.aside(&one.kind), page.name(&one.name), one.about.clone()];
    aligned(&listed.iter().map(row).collect::<Vec<_>>())
}
