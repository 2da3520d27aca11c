//! Work that goes on when whoever waits for it goes away.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

/// A future that is run to its end even if whoever waits for it goes away.
pub struct ToItsEnd<T: Send + 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
}

impl<T: Send + 'static> ToItsEnd<T> {
    /// This work; its rest is one of these tasks if nobody waits for it any more.
    pub fn of(future: impl Future<Output = T> + Send + 'static, tasks: &TaskTracker) -> ToItsEnd<T> {
        ToItsEnd { future: Some(Box::pin(future)), tasks: tasks.clone() }
    }
}

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        // Without a runtime everything is ending, this as well.
        if let Some(future) = self.future.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            self.tasks.spawn(async move { drop(future.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_run_to_its_end() {
        let tasks = TaskTracker::new();
        let (sender, ended) = tokio::sync::oneshot::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let mut future = Box::pin(ToItsEnd::of(
            async move {
                gone.await.ok();
                sender.send(7).ok();
            },
            &tasks,
        ));
        assert!(futures_util::poll!(future.as_mut()).is_pending());
        drop(future);
        go.send(()).expect("it still waits");
        assert_eq!(ended.await, Ok(7));
    }
}
