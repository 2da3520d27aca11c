//! `dropwire status`: how the dropwire that runs here is.

use std::time::Duration;

use crate::control::Status;

use super::client::Client;
use super::failure::Done;
use super::page::{Page, Tone, aligned, fact};
use super::voice::Voice;
use super::words;

/// Asks.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  dropwire status\n  dropwire status --json")]
pub struct Args {}

/// Shows how it is.
pub async fn run(voice: &Voice) -> Done {
    let client = Client::find(&voice.dir).await?;
    let status = client.status().await?;
    voice.answer(&status, |page| render(&status, page))
}

fn render(status: &Status, page: Page) -> String {
    if !page.is_pretty() {
        return plain(status);
    }
    let up = words::span(Duration::from_secs_f64(status.up_seconds.max(0.0).round()));
    let next = match &status.next_due {
        Some(due) => format!(
            "next due {} (in {})",
            words::time_of_day(due),
            words::span(words::between(&status.time, due))
        ),
        None => "nothing is due".into(),
    };
    let given_up = words_of_trouble(page, status.given_up, "given up");
    let rows = [
        vec![page.name("dropwire"), format!("{}   pid {}   up {up}", status.version, status.pid)],
        vec![page.name("control"), format!("http://{}", status.address)],
        vec![
            page.name("wiring"),
            format!(
                "{}   {} · {}",
                status.file.as_deref().unwrap_or(&status.root),
                words::count(status.functions, "function"),
                words::count(status.wires, "wire")
            ),
        ],
        vec![page.name("time"), format!("{}   {}", words::date_and_time(&status.time), status.clock)],
        vec![
            page.name("events"),
            format!(
                "{} stored   {} waiting · {} running · {given_up}   {next}",
                status.events, status.waiting, status.running
            ),
        ],
        vec![page.name("dead"), words_of_trouble(page, status.dead, "dead letters")],
    ];
    let mut text = aligned(&rows);
    for problem in &status.problems {
        text.push_str(&format!("{} {problem}\n", page.bad("✗")));
    }
    text
}

fn words_of_trouble(page: Page, number: i64, what: &str) -> String {
    let tone = if number > 0 { Tone::Bad } else { Tone::Body };
    page.tone(tone, &format!("{number} {what}"))
}

fn plain(status: &Status) -> String {
    let value = serde_json::to_value(status).unwrap_or_default();
    let mut text = String::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(value) => text.push_str(&format!("{}\n", fact(key, value))),
            serde_json::Value::Array(items) => {
                for item in items {
                    text.push_str(&format!("{}\n", fact(key, item.as_str().unwrap_or_default())));
                }
            }
            other => text.push_str(&format!("{key}={other}\n")),
        }
    }
    text
}
