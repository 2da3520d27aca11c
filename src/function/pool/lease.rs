//! An environment in the hands of one invocation.

use std::sync::Arc;

use super::Pool;
use crate::function::environment::{Cause, Environment, Handled};
use crate::function::world::Call;

/// What the next log says when an extension kept its environment for too long.
const LATE: &str =
    "dropwire: an extension did not ask for its next event in time; its environment was started anew\n";

/// An environment in the hands of one invocation, or on the way there. However it is dropped, the pool gets it back.
pub struct Lease {
    environment: Option<Environment>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn new(environment: Environment, pool: &Arc<Pool>) -> Lease {
        Lease { environment: Some(environment), pool: Arc::clone(pool) }
    }

    /// Whether this environment has handled nothing yet.
    pub fn is_cold(&self) -> bool {
        self.environment.as_ref().is_some_and(|environment| environment.is_cold())
    }

    /// Lets the environment handle the event. It is given back as soon as it can take the next one.
    pub async fn handle(mut self, call: &Call<'_>) -> Handled {
        let Some(environment) = &mut self.environment else { return Handled::Gone };
        let handled = environment.handle(call).await;
        if let Some(cause) = environment.is_broken() {
            if environment.has_to_be_told() {
                // The caller does not wait for the last words of extensions.
                let (mut environment, pool) = (self.environment.take(), Arc::clone(&self.pool));
                self.pool.maker.world.spawn(async move {
                    if let Some(environment) = &mut environment {
                        environment.end_processes(cause).await;
                    }
                    drop(Lease { environment, pool });
                });
            } else {
                environment.end_processes(cause).await;
            }
        } else if let Some(quiet) = environment.until_quiet() {
            let (mut environment, pool) = (self.environment.take(), Arc::clone(&self.pool));
            let ending = self.pool.maker.world.ending.clone();
            self.pool.maker.world.spawn(async move {
                // When everything ends, nobody waits for an extension that may never be done.
                if let Some(Some(cause)) = ending.run_until_cancelled(quiet).await
                    && let Some(environment) = &mut environment
                {
                    if cause == Cause::Timeout {
                        environment.tell(LATE);
                    }
                    environment.end_processes(cause).await;
                }
                drop(Lease { environment, pool });
            });
        }
        handled
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            self.pool.give_back(environment);
        }
    }
}
