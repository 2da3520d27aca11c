//! `dropwire replay`: sends stored events again, as they were, under new ids.

use crate::control::{EventListed, EventShown, Fired, Replay};

use super::client::{Client, encoded, event_id};
use super::failure::{Done, Failure};
use super::fire;
use super::voice::Voice;

/// What to send again.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire replay e7k2
  dropwire replay e7k2 --to thumbnail
  dropwire replay --last 5
  dropwire replay --last 20 --only-failed")]
pub struct Args {
    /// The event
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    id: Option<String>,
    /// Deliver only to this function; else to everything that matches now
    #[arg(long, value_name = "FUNCTION")]
    to: Option<String>,
    /// The last N events, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: Option<u32>,
    /// So many times
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    times: u32,
    /// Only to the functions that gave the event up
    #[arg(long)]
    only_failed: bool,
}

/// Sends again.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    let ids = match (&args.id, args.last) {
        (Some(id), _) => vec![event_id(id).to_owned()],
        (None, last) => last_events(&client, last.unwrap_or(1), args.only_failed).await?,
    };
    let mut all = Fired { events: Vec::new(), message_id: None };
    for id in &ids {
        for to in targets(&client, id, &args).await? {
            for _ in 0..args.times {
                let again = Replay { id: id.clone(), to: to.clone() };
                let fired: Fired = client.post("replay", &again).await?;
                all.events.extend(fired.events);
            }
        }
    }
    if all.events.is_empty() {
        voice.remark("nothing to replay");
    }
    voice.answer(&all, |_| fire::ids(&all))
}

/// Sends the last event again.
pub async fn again(client: &Client) -> Result<(), Failure> {
    let last = last_events(client, 1, false).await?;
    let Some(id) = last.into_iter().next_back() else {
        return Err(Failure::not_found("there is no event yet", ""));
    };
    let _: Fired = client.post("replay", &Replay { id, to: None }).await?;
    Ok(())
}

/// The last events, oldest first.
pub async fn last_events(client: &Client, count: u32, only_failed: bool) -> Result<Vec<String>, Failure> {
    let failed = if only_failed { "&failed=1" } else { "" };
    let listed: Vec<EventListed> = client.get(&format!("events?limit={count}{failed}")).await?;
    Ok(listed.into_iter().map(|event| event.id).collect())
}

/// To whom each replay goes: one entry a replay, none standing for everything that matches.
async fn targets(client: &Client, id: &str, args: &Args) -> Result<Vec<Option<String>>, Failure> {
    if !args.only_failed {
        return Ok(vec![args.to.clone()]);
    }
    let shown: EventShown = client.get(&format!("events/{}", encoded(id))).await?;
    let mut failed: Vec<String> = shown
        .deliveries
        .into_iter()
        .filter(|delivery| delivery.state == "given up")
        .map(|delivery| delivery.function)
        .filter(|function| args.to.as_ref().is_none_or(|to| to == function))
        .collect();
    failed.dedup();
    Ok(failed.into_iter().map(Some).collect())
}
