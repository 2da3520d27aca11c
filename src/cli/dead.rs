//! `dropwire dead`: the dead letters, what events became that were given up.

use crate::control::{DeadChosen, DeadLetter};
use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, encoded};
use super::failure::{Done, Failure};
use super::page::{Page, aligned, fact};
use super::terminal;
use super::voice::Voice;
use super::words;

/// What to do with them.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  dropwire dead list
  dropwire dead show d12
  dropwire dead redrive notify-dead
  dropwire dead drop d12")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them
    #[command(
        before_help = "Examples:\n  dropwire dead list\n  dropwire dead list notify-dead\n  dropwire dead list --after d100 -n 1000"
    )]
    List {
        /// Only of this queue
        queue: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// Show one, or all of a queue, with their bodies
    #[command(before_help = "Examples:\n  dropwire dead show d12\n  dropwire dead show notify-dead")]
    Show {
        /// A queue, or a letter such as d12
        chosen: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// Deliver them again
    #[command(
        before_help = "Examples:\n  dropwire dead redrive d12\n  dropwire dead redrive notify-dead\n  dropwire dead redrive"
    )]
    Redrive {
        /// A queue, or a letter such as d12; all letters if none is given
        chosen: Option<String>,
    },
    /// Throw them away
    #[command(before_help = "Examples:\n  dropwire dead drop d12\n  dropwire dead drop notify-dead --yes")]
    Drop {
        /// A queue, or a letter such as d12; all letters if none is given
        chosen: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which part of a long list.
#[derive(Debug, clap::Args)]
struct Part {
    /// How many, 1000 at the most
    #[arg(short = 'n', value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Only those after this one, such as d100
    #[arg(long, value_name = "LETTER")]
    after: Option<String>,
}

/// Does it.
pub async fn run(voice: &Voice, args: Args) -> Done {
    let client = Client::find(&voice.dir).await?;
    match args.what {
        What::List { queue, part } => {
            let letters = letters(&client, queue.as_deref(), &part).await?;
            let more = more(&letters, &part, queue.as_deref());
            voice.answer(&letters, |page| rows(&letters, page) + &page.aside(more.as_deref().unwrap_or("")))
        }
        What::Show { chosen, part } => {
            let letters = chosen_letters(&client, chosen.as_deref(), &part).await?;
            voice.answer(&letters, |page| letters.iter().map(|letter| whole(letter, page)).collect())
        }
        What::Redrive { chosen } => change(voice, &client, "redrive", chosen.as_deref()).await,
        What::Drop { chosen, yes } => {
            if !yes && number_of(chosen.as_deref()).is_none() {
                confirm(&client, chosen.as_deref()).await?;
            }
            change(voice, &client, "drop", chosen.as_deref()).await
        }
    }
}

async fn letters(client: &Client, queue: Option<&str>, part: &Part) -> Result<Vec<DeadLetter>, Failure> {
    let after = match part.after.as_deref() {
        Some(after) => number_of(Some(after))
            .ok_or_else(|| Failure::usage(format!("`{after}` is no dead letter"), "letters look like d12"))?,
        None => 0,
    };
    let filter = queue.map_or(String::new(), |queue| format!("&queue={}", encoded(queue)));
    client.get(&format!("dead?limit={}&after={after}{filter}", part.limit)).await
}

/// How to see what did not fit, if something may not have.
fn more(letters: &[DeadLetter], part: &Part, queue: Option<&str>) -> Option<String> {
    let last = letters.last().filter(|_| letters.len() >= part.limit.min(1000) as usize)?;
    let queue = queue.map_or(String::new(), |queue| format!(" {queue}"));
    Some(format!("More:   dropwire dead list{queue} --after d{}\n", last.id))
}

async fn chosen_letters(
    client: &Client,
    chosen: Option<&str>,
    part: &Part,
) -> Result<Vec<DeadLetter>, Failure> {
    let Some(number) = number_of(chosen) else {
        return letters(client, chosen, part).await;
    };
    let found: Vec<DeadLetter> = client.get(&format!("dead?id={number}")).await?;
    match found.is_empty() {
        true => Err(Failure::not_found(format!("no dead letter d{number}"), "").trying("dropwire dead list")),
        false => Ok(found),
    }
}

async fn change(voice: &Voice, client: &Client, what: &str, chosen: Option<&str>) -> Done {
    let body = match number_of(chosen) {
        Some(number) => DeadChosen { queue: None, ids: vec![number] },
        None => DeadChosen { queue: chosen.map(str::to_owned), ids: Vec::new() },
    };
    let answer: Value = client.post(&format!("dead/{what}"), &body).await?;
    let count = answer["letters"].as_u64().unwrap_or(0);
    let done = if what == "drop" { "dropped" } else { "redriven" };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    voice.answer(&answer, |_| format!("{} {done}", words::count(count, "dead letter")))
}

/// How many letters a queue holds, or all of them.
async fn held(client: &Client, queue: Option<&str>) -> Result<usize, Failure> {
    let queues = super::list::fetch(client, "queues").await?;
    let counted = queues.iter().filter(|listed| queue.is_none_or(|name| listed.name == name));
    let count: u64 = counted.filter_map(|listed| listed.facts["letters"].as_u64()).sum();
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Letters that are thrown away do not come back, so more than one are asked about.
async fn confirm(client: &Client, queue: Option<&str>) -> Result<(), Failure> {
    let count = words::count(held(client, queue).await?, "dead letter");
    if !terminal::is_attended() {
        return Err(Failure::usage(format!("this would throw away {count}"), "`--yes` if that is meant"));
    }
    eprint!("Throw away {count}? [y/N] ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::usage("nothing was thrown away", "")),
    }
}

/// The number in `d12`.
fn number_of(chosen: Option<&str>) -> Option<i64> {
    chosen?.strip_prefix('d')?.parse().ok()
}

fn rows(letters: &[DeadLetter], page: Page) -> String {
    if !page.is_pretty() {
        return letters.iter().map(facts).collect();
    }
    if letters.is_empty() {
        return page.aside("no dead letters");
    }
    let row = |letter: &DeadLetter| {
        vec![
            page.name(&format!("d{}", letter.id)),
            letter.queue.clone(),
            letter.event.clone(),
            words::count(letter.count, "event"),
            words::time_of_day(&letter.at).to_owned(),
            letter.reason.clone(),
            words::cut(&words::harmless(&letter.error), 60),
        ]
    };
    aligned(&letters.iter().map(row).collect::<Vec<_>>())
}

fn facts(letter: &DeadLetter) -> String {
    let facts = [
        fact("id", &format!("d{}", letter.id)),
        fact("queue", &letter.queue),
        fact("wire", &letter.wire),
        fact("event", &letter.event),
        format!("count={}", letter.count),
        fact("reason", &letter.reason),
        fact("error", &letter.error),
    ];
    format!("{} dead {}\n", letter.at, facts.join(" "))
}

fn whole(letter: &DeadLetter, page: Page) -> String {
    if !page.is_pretty() {
        return format!("{} {}\n", facts(letter).trim_end(), fact("body", &letter.body.to_string()));
    }
    let id = format!("d{}", letter.id);
    format!(
        "{}  {}   {} of {}   {}\n{}: {}\n{:#}\n{}\n",
        page.name(&id),
        letter.queue,
        words::count(letter.count, "event"),
        letter.wire,
        words::date_and_time(&letter.at),
        page.bad(&letter.reason),
        words::harmless(&letter.error),
        letter.body,
        page.aside(&format!("Next:   dropwire dead redrive {id}     dropwire show {}", letter.event)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chosen: &str, expected: Option<i64>) {
        assert_eq!(number_of(Some(chosen)), expected, "{chosen}");
    }

    #[test]
    fn letters_are_told_from_queues() {
        check("d12", Some(12));
        check("dead", None);
        check("notify-dead", None);
        check("12", None);
    }
}
