//! The processes of one environment from one start to their end: the runtime, the external extensions, and what
//! stands between them and us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::task::JoinSet;

use super::{Cause, End};
use crate::clock::real;
use crate::function::desk::Desk;
use crate::function::frost::Frost;
use crate::function::memory::Memory;
use crate::function::output::Output;
use crate::function::process::{Exit, Process};
use crate::function::runtime_api::RuntimeApi;
use crate::function::telemetry::Telemetry;

/// How long we wait for what a process sent before it ended.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// The processes of one environment. Dropping them kills them.
pub struct Run {
    /// The runtime's process.
    pub runtime: Process,
    /// Name and process of each external extension.
    pub extensions: Vec<(String, Process)>,
    /// Where runtime and extensions meet us.
    pub desk: Arc<Desk>,
    /// Where they reach the desk.
    pub api: RuntimeApi,
    /// What the runtime writes.
    pub output: Arc<Output>,
    /// What the extensions write, if there are any.
    pub said: Option<Arc<Output>>,
    /// Who has subscribed to what is told.
    pub telemetry: Arc<Telemetry>,
    /// What they have used.
    pub memory: Arc<Memory>,
    /// Whether they are stopped.
    pub frost: Arc<Frost>,
    /// What reads what they write.
    pub _readers: JoinSet<()>,
}

impl Run {
    /// Waits until all of it has asked for an event: when the runtime did; or what happened instead.
    pub async fn until_ready(&self, limit: Duration) -> Result<Instant, End> {
        tokio::select! {
            // In this order: what was said counts before the end of who said it.
            biased;
            ready = self.desk.until_ready() => ready.map_err(End::Answer),
            end = self.until_broken() => match end {
                // What it said before it ended counts, if it is that it cannot start.
                End::Exit(exit) => {
                    real::within(LAST_WORDS, self.api.until_unconnected()).await;
                    match futures_util::FutureExt::now_or_never(self.desk.until_ready()) {
                        Some(Err(answer)) => Err(End::Answer(answer)),
                        _ if self.memory.is_exceeded() => Err(End::OutOfMemory),
                        _ => Err(End::Exit(exit)),
                    }
                }
                end => Err(end),
            },
            () = real::sleep(limit) => Err(End::Timeout),
        }
    }

    /// Waits until something of it is gone, or cannot go on.
    pub async fn until_broken(&self) -> End {
        // An extension within the runtime registers when it likes.
        tokio::select! {
            biased;
            exit = self.runtime.until_exit() => End::Exit(exit),
            failed = self.desk.extensions.until_failed() => End::Extension(failed),
            exit = until_first_exit(&self.extensions) => End::Crash(exit),
        }
    }

    /// Takes what all of them have written.
    pub fn take_output(&self) -> String {
        let mut text = self.output.take();
        if let Some(said) = &self.said {
            text.push_str(&said.take());
        }
        text
    }

    /// Whether all its processes are.
    pub fn is_alive(&self) -> bool {
        self.runtime.exited().is_none()
            && self.extensions.iter().all(|(_, process)| process.exited().is_none())
    }

    /// Whether it has extensions of their own process.
    pub fn has_external(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// Waits until its runtime has ended.
    pub fn watch_exit(&self) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.exit_watch()
    }

    /// Waits until the extensions are done with the last event too; why all of it has to end if they never are:
    /// that takes longer than `limit`, or one of its processes has ended, or an extension says that it cannot go on.
    /// None if no extension gets events: then the runtime may be late on its own account.
    pub fn until_quiet(
        &self,
        limit: Duration,
    ) -> Option<impl Future<Output = Option<Cause>> + Send + 'static> {
        let desk = Arc::clone(&self.desk);
        if !desk.extensions.hear_invocations() || desk.is_quiet() {
            return None;
        }
        let processes = self.extensions.iter().map(|(_, process)| process).chain([&self.runtime]);
        let exits: Vec<_> = processes.map(|process| Box::pin(process.exit_watch())).collect();
        Some(async move {
            tokio::select! {
                biased;
                () = desk.until_quiet() => None,
                _ = select_all(exits) => Some(Cause::Failure),
                _ = desk.extensions.until_failed() => Some(Cause::Failure),
                () = real::sleep(limit) => Some(Cause::Timeout),
            }
        })
    }

    /// Waits until all external extensions have ended.
    pub async fn until_extensions_exit(&self) {
        for (_, process) in &self.extensions {
            process.until_exit().await;
        }
    }

    /// Kills all of it, and waits until it is gone.
    pub async fn kill(&self) {
        self.runtime.kill();
        self.extensions.iter().for_each(|(_, process)| process.kill());
        self.runtime.until_exit().await;
        self.until_extensions_exit().await;
    }
}

/// The first of these processes that ends. Never, if there are none.
pub async fn until_first_exit(processes: &[(String, Process)]) -> Exit {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let ends = processes.iter().map(|(_, process)| Box::pin(process.until_exit()));
    select_all(ends).await.0
}
