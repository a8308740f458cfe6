//! Work that goes on apart from the task that waits for it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::{JoinError, JoinHandle};

/// Work in a task of its own, which another thread may take. When nobody waits for it any more, it ends where it next
/// waits; when it panics, so does who waits.
pub(super) struct Apart<T>(JoinHandle<T>);

impl<T: Send + 'static> Apart<T> {
    /// Begins the work.
    pub(super) fn begin(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// The work of a task.
    pub(super) const fn of(task: JoinHandle<T>) -> Self {
        Self(task)
    }
}

impl<T> Future for Apart<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let done = ready!(Pin::new(&mut self.0).poll(cx));
        match done.map_err(JoinError::try_into_panic) {
            Ok(done) => Poll::Ready(done),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is being torn down, and with it whoever waits for this.
            Err(Err(_)) => Poll::Pending,
        }
    }
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_work_goes_on_before_it_is_waited_for_and_its_outcome_is_kept() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let work = Apart::begin(async move {
            sender.send(7).unwrap();
            8
        });
        assert_eq!(receiver.await, Ok(7));
        assert_eq!(work.await, 8);
    }

    #[tokio::test]
    async fn the_work_ends_when_nobody_waits_for_it() {
        let held = Arc::new(());
        let own = Arc::clone(&held);
        let work = Apart::begin(async move {
            std::future::pending::<()>().await;
            drop(own);
        });
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held), 2);
        drop(work);
        while Arc::strong_count(&held) == 2 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waits_panics_as_the_work_did() {
        let waits = tokio::spawn(async { Apart::begin(async { panic!("the work's own") }).await });
        let panic = waits.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"the work's own"));
    }
}
