//! `fire --wait`: watches the deliveries of the events just fired until each is done or given up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::real;
use crate::control::{AttemptShown, DeliveryShown, EventShown, Fired};
use crate::timeline::Moment;
use serde_json::json;

use super::client::{Client, Lines, encoded};
use super::failure::{Done, Failure};
use super::page::{Look, Page};
use super::story;
use super::voice::Voice;
use super::words;

/// A batch ends under the name of its first event, so now and then all are asked.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Somebody who listens to what becomes of events.
pub struct Waiting {
    client: Client,
    lines: Lines,
}

/// An event that is watched, and how much of it has been shown.
struct Watched {
    id: String,
    shown: Option<EventShown>,
    headed: bool,
    printed: BTreeSet<(String, u32)>,
}

impl Waiting {
    /// Listens from now on.
    pub async fn begin(client: &Client) -> Result<Waiting, Failure> {
        Ok(Waiting { client: client.clone(), lines: client.follow().await? })
    }

    /// Waits until the deliveries of these events are done or given up, showing each try.
    pub async fn finish(mut self, voice: &Voice, fired: &Fired, limit: Duration) -> Done {
        if fired.events.is_empty() {
            return voice.answer(&json!([]), |_| String::new());
        }
        let mut watched: Vec<Watched> = fired.events.iter().map(|id| Watched::new(id)).collect();
        let in_time = real::within(limit, self.settled(voice, &mut watched)).await;
        let shown: Vec<&EventShown> = watched.iter().filter_map(|event| event.shown.as_ref()).collect();
        match in_time {
            Some(result) => result?,
            None => return Err(self.too_late(&shown, limit).await),
        }
        let deliveries = || shown.iter().flat_map(|event| &event.deliveries);
        let tries: usize = deliveries().map(|delivery| delivery.attempts.len()).sum();
        let given_up: Vec<&str> = deliveries()
            .filter(|delivery| delivery.state == "given up")
            .map(|delivery| delivery.function.as_str())
            .collect();
        if !given_up.is_empty() {
            let message = format!("given up after {}: {}", words::count(tries, "try"), given_up.join(", "));
            let mut failure = Failure::function(message, "");
            failure.try_ =
                fired.events.iter().take(1).map(|id| format!("dropwire show {id} --logs")).collect();
            failure.data = serde_json::to_value(&shown).ok().map(Box::new);
            return Err(failure);
        }
        match (voice.page.look, deliveries().next()) {
            (Look::Json, _) => voice.answer(&shown, |_| String::new()),
            (_, Some(_)) => voice.answer(&shown, |_| format!("done after {}", words::count(tries, "try"))),
            (_, None) => {
                let why = fired
                    .events
                    .first()
                    .map_or(String::new(), |id| format!("; `dropwire why {id}` says why"));
                voice.answer(&shown, |_| format!("no wire wants it{why}"))
            }
        }
    }

    async fn settled(&mut self, voice: &Voice, watched: &mut [Watched]) -> Result<(), Failure> {
        loop {
            for event in watched.iter_mut().filter(|event| !event.is_settled()) {
                event.look(&self.client).await?;
                if voice.page.look != Look::Json {
                    voice.print(&event.news(voice.page))?;
                }
            }
            if watched.iter().all(Watched::is_settled) {
                return Ok(());
            }
            // Whatever wakes us, the database is asked: it alone knows all of a batch.
            let bell = async {
                while let Some(told) = self.lines.next().await {
                    if matches!(told.moment, Moment::Ended { .. }) {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            real::within(LOOK_AGAIN, bell).await;
        }
    }

    async fn too_late(&self, shown: &[&EventShown], limit: Duration) -> Failure {
        let open = |delivery: &&DeliveryShown| !is_over(delivery);
        let unfinished: Vec<String> = shown
            .iter()
            .flat_map(|event| &event.deliveries)
            .filter(open)
            .map(|delivery| match &delivery.due {
                Some(due) => format!("{} waits until {}", delivery.function, words::time_of_day(due)),
                None => format!("{} is {}", delivery.function, delivery.state),
            })
            .collect();
        let frozen = self.client.status().await.is_ok_and(|status| status.clock == "frozen");
        let hint = match frozen {
            true => "the clock is frozen; `dropwire clock next` moves on to what is due",
            false => "`--timeout 5m` waits longer; `dropwire clock next` does not wait",
        };
        let message = format!("not done after {}: {}", words::span(limit), unfinished.join(", "));
        let mut failure = Failure::too_late(message, hint);
        failure.data = Some(Box::new(json!(shown)));
        failure
    }
}

impl Watched {
    fn new(id: &str) -> Watched {
        Watched { id: id.to_owned(), shown: None, headed: false, printed: BTreeSet::new() }
    }

    fn is_settled(&self) -> bool {
        self.shown.as_ref().is_some_and(|event| event.deliveries.iter().all(is_over))
    }

    async fn look(&mut self, client: &Client) -> Result<(), Failure> {
        self.shown = Some(client.get(&format!("events/{}", encoded(&self.id))).await?);
        Ok(())
    }

    /// What has not been shown yet, as lines.
    fn news(&mut self, page: Page) -> String {
        let Some(event) = &self.shown else { return String::new() };
        let mut text = String::new();
        if !self.headed {
            self.headed = true;
            text.push_str(&head(event));
        }
        let several = event.deliveries.len() > 1;
        for delivery in &event.deliveries {
            for attempt in &delivery.attempts {
                if self.printed.insert((delivery.wire.clone(), attempt.number)) {
                    let who = if several { format!("{}  ", delivery.function) } else { String::new() };
                    text.push_str(&format!("      {who}{}\n", attempt_line(event, attempt, page)));
                }
            }
        }
        text
    }
}

/// `e7k4  topic order-events → notify`
fn head(event: &EventShown) -> String {
    let mut functions: Vec<&str> =
        event.deliveries.iter().map(|delivery| delivery.function.as_str()).collect();
    functions.dedup();
    let to = if functions.is_empty() { String::new() } else { format!(" → {}", functions.join(", ")) };
    let subject = if event.source == "s3" { event.subject.as_str() } else { "" };
    let place = story::place(&event.source, &event.name, &words::harmless(subject));
    format!("{}  {} {place}{to}\n", event.id, event.source)
}

/// `✗ try 1   0.0 s   exit 1: Timeout`
fn attempt_line(event: &EventShown, attempt: &AttemptShown, page: Page) -> String {
    let (sign, came_to) = match &attempt.error {
        None => (page.good("✓"), format!("ok {}", words::took(attempt.duration_ms))),
        Some(error) => (page.bad("✗"), words::harmless(error)),
    };
    let after = words::between(&event.at, &attempt.at).as_secs_f64();
    format!("{sign} try {}   {after:.1} s   {came_to}", attempt.number)
}

fn is_over(delivery: &DeliveryShown) -> bool {
    matches!(delivery.state.as_str(), "done" | "given up")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, at: &str, error: Option<&str>) -> AttemptShown {
        AttemptShown {
            number,
            at: at.into(),
            duration_ms: 38.0,
            init_ms: None,
            error: error.map(str::to_owned),
            retry_at: None,
            request_id: String::new(),
            result: None,
            log: String::new(),
        }
    }

    fn event(attempts: Vec<AttemptShown>, state: &str) -> EventShown {
        EventShown {
            id: "e7k4".into(),
            source: "topic".into(),
            name: "order-events".into(),
            event: "Notification".into(),
            subject: "{}".into(),
            at: "2026-01-05T09:00:00.000Z".into(),
            cause: None,
            record: json!({}),
            deliveries: vec![DeliveryShown {
                wire: "notify/on".into(),
                function: "notify".into(),
                state: state.into(),
                due: None,
                reason: None,
                attempts_max: Some(4),
                attempts,
            }],
        }
    }

    #[test]
    fn each_try_is_shown_once() {
        let page = Page { look: Look::Plain, columns: None };
        let first = attempt(1, "2026-01-05T09:00:00.010Z", Some("exit 1: Timeout"));
        let second = attempt(2, "2026-01-05T09:00:01.020Z", None);
        let mut watched = Watched::new("e7k4");
        watched.shown = Some(event(vec![first.clone()], "waiting"));
        assert_eq!(
            watched.news(page),
            "e7k4  topic order-events → notify\n      ✗ try 1   0.0 s   exit 1: Timeout\n"
        );
        assert!(!watched.is_settled());
        watched.shown = Some(event(vec![first, second], "done"));
        assert_eq!(watched.news(page), "      ✓ try 2   1.0 s   ok 38 ms\n");
        assert!(watched.is_settled());
    }
}
