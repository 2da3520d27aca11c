//! The live view of `up`: moments on the screen, keys and signals from the person before it.

use std::future::Future;
use std::time::Duration;

use clap::Parser;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::banner;
use super::client::Client;
use super::failure::{Failure, exit};
use super::feed::{Fed, Feed};
use super::fire;
use super::keys::{Key, Keys};
use super::page::{Look, Page};
use super::replay;
use super::story::{Detail, Story};
use super::voice::Voice;

/// Written at once when this much is pending.
const PENDING_MAX: usize = 32 * 1024;
/// How long the view looks away after it has shown what there was: nobody reads faster.
const REST: Duration = Duration::from_millis(10);
/// How long the last moments may take to come after everything is done.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Why the view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Ctrl-C, SIGTERM or `q`, or nobody reads what we print.
    Quit,
    /// Nothing more will come.
    Over,
    /// What was waited for came.
    Reached,
}

/// What is on the screen.
pub struct View<'a> {
    voice: &'a Voice,
    feed: Feed,
    story: Story,
    keys: Option<Keys>,
    pending: String,
}

/// Ctrl-C and SIGTERM.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Signals end the program no longer by themselves.
    pub fn begin() -> std::io::Result<Interrupts> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
    /// The next one.
    pub async fn next(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
    /// What `stopping` comes to, unless somebody cannot wait for it: then the program ends here.
    pub async fn or_at_once<F: Future>(&mut self, stopping: F) -> F::Output {
        tokio::select! {
            output = stopping => output,
            () = self.next() => std::process::exit(exit::INTERRUPTED.into()),
        }
    }
}

/// How much of what has been told was taken.
#[derive(PartialEq, Eq)]
enum Taken {
    /// All there was.
    All,
    /// As much as is shown at once; there may be more.
    Much,
    /// The last there will ever be.
    Last,
}

impl<'a> View<'a> {
    /// A view of this feed.
    pub fn new(voice: &'a Voice, feed: Feed, detail: Detail) -> View<'a> {
        let keys = if voice.page.look == Look::Pretty { Keys::begin() } else { None };
        View { voice, feed, story: Story::new(voice.page, detail), keys, pending: String::new() }
    }

    /// Whether keys work.
    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Shows what happens until it ends, somebody quits, or `until` comes.
    pub async fn show(
        &mut self,
        client: Option<&Client>,
        interrupts: &mut Interrupts,
        until: impl Future<Output = ()>,
    ) -> Result<End, Failure> {
        tokio::pin!(until);
        let mut resting = false;
        loop {
            let key = tokio::select! {
                biased;
                () = interrupts.next() => return Ok(End::Quit),
                key = pressed(&mut self.keys) => Some(key),
                () = &mut until => {
                    self.drain().await?;
                    return Ok(End::Reached);
                }
                fed = self.feed.next(), if !resting => {
                    let taken = self.take_all(fed);
                    self.flush()?;
                    if taken == Taken::Last { return Ok(End::Over); }
                    // Whoever tells very much would have to wake us for each of it.
                    resting = taken == Taken::All;
                    None
                }
                () = crate::clock::real::sleep(REST), if resting => {
                    resting = false;
                    None
                }
            };
            match key {
                None => {}
                Some(Key::Quit) => return Ok(End::Quit),
                Some(key) => {
                    self.flush()?;
                    self.act(key, client).await?;
                }
            }
        }
    }

    /// Puts this and what has been told since on the pending lines, up to a good deal at once: keys want to be heard.
    fn take_all(&mut self, fed: Fed) -> Taken {
        let mut over = self.take(fed);
        while !over && self.pending.len() < PENDING_MAX {
            match self.feed.next().now_or_never() {
                Some(fed) => over = self.take(fed),
                None => return Taken::All,
            }
        }
        if over { Taken::Last } else { Taken::Much }
    }

    /// Puts what a feed gave on the pending lines; whether it was the last.
    fn take(&mut self, fed: Fed) -> bool {
        match fed {
            Fed::Told(told) => self.pending.push_str(&self.story.tell(&told)),
            Fed::Missed(count) => self.pending.push_str(&self.story.missed(count)),
            Fed::Over => return true,
        }
        false
    }

    /// Shows what has been told already.
    async fn drain(&mut self) -> Result<(), Failure> {
        while let Some(fed) = crate::clock::real::within(LAST_WORDS, self.feed.next()).await {
            if self.take(fed) {
                break;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let text = std::mem::take(&mut self.pending);
        if !text.is_empty() {
            self.voice.print(&text)?;
        }
        Ok(())
    }

    async fn act(&mut self, key: Key, client: Option<&Client>) -> Result<(), Failure> {
        match key {
            Key::Quit => {}
            Key::Help => self.voice.print(&help(self.voice.page))?,
            // The prompt is on the screen: nothing else may be, until the line is there.
            Key::Asking => {
                let next = pressed(&mut self.keys).await;
                if let (Key::Fire(words), Some(client)) = (next, client) {
                    self.fire(words, client).await;
                }
            }
            Key::Fire(_) => {}
            Key::Replay => {
                if let Some(client) = client
                    && let Err(failure) = replay::again(client).await
                {
                    self.voice.complain(&failure);
                }
            }
        }
        Ok(())
    }

    async fn fire(&self, words: Vec<String>, client: &Client) {
        if words.is_empty() {
            return;
        }
        #[derive(Parser)]
        #[command(name = "fire", no_binary_name = true)]
        struct Prompt {
            #[command(flatten)]
            args: fire::Args,
        }
        match Prompt::try_parse_from(words) {
            Err(error) => {
                error.print().ok();
            }
            Ok(prompt) => {
                if let Err(failure) = fire::once(client, prompt.args).await {
                    self.voice.complain(&failure);
                }
            }
        }
    }
}

async fn pressed(keys: &mut Option<Keys>) -> Key {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

fn help(page: Page) -> String {
    let lines = "
  f  fire an event: type what follows `dropwire fire`, for example   s3 uploads/cat.png --file cat.png
  r  replay the last event
  q  quit
  In another terminal: dropwire tail · show ID · why ID · dead list · help
\n";
    format!("{lines}{}", banner::keys_line(page))
}
