//! A stream of answers with the work that makes them, both in the task of the call: when the caller goes,
//! the work ends; when it panics, so does the call. Between the two is a bounded queue, so that the work
//! waits for a slow caller.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc::{self, error::SendError};
use tokio_stream::{Stream, wrappers::ReceiverStream};

/// See the module.
pub(crate) struct Driven<T> {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    answers: Pin<Box<dyn Stream<Item = T> + Send>>,
}

impl<T> Driven<T> {
    /// What `answers` makes of the items that `work` sends, at most `ahead` of them before they are asked
    /// for. The work ends when it likes, or when its sender says that nobody listens.
    pub(super) fn new<I, W, S>(
        ahead: usize,
        work: impl FnOnce(mpsc::Sender<I>) -> W,
        answers: impl FnOnce(ReceiverStream<I>) -> S,
    ) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
        S: Stream<Item = T> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(ahead);
        Self {
            work: Some(Box::pin(work(sender))),
            answers: Box::pin(answers(ReceiverStream::new(receiver))),
        }
    }
}

impl<T> Stream for Driven<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // The work goes on while an answer is awaited.
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        self.answers.as_mut().poll_next(cx)
    }
}

/// Waits for the place of the next item of somebody who sends alone; where all places were taken, until half of them
/// are free. One at a time, as they are asked for, items would go on one at a time as well: to a commit each.
///
/// # Errors
/// When nobody listens any more.
pub(super) async fn place<T>(
    items: &mpsc::Sender<T>,
) -> Result<mpsc::Permit<'_, T>, SendError<()>> {
    if items.capacity() == 0 {
        let half = items.max_capacity().div_ceil(2);
        drop(items.reserve_many(half).await?);
    }
    items.reserve().await
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Waker,
    };

    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_place_is_had_while_there_is_one_and_then_when_half_of_them_are_free() {
        let mut cx = Context::from_waker(Waker::noop());
        let (items, mut asked) = mpsc::channel(8);
        for item in 0..8 {
            place(&items).await.unwrap().send(item);
        }
        let mut next = pin!(place(&items));
        for item in 0..4 {
            assert!(next.as_mut().poll(&mut cx).is_pending(), "{item} are free");
            assert_eq!(asked.recv().await, Some(item));
        }
        next.await.unwrap().send(8);
        for item in 9..12 {
            place(&items).await.unwrap().send(item);
        }
        assert!(pin!(place(&items)).poll(&mut cx).is_pending());

        drop(asked);
        place(&items).await.unwrap_err();
    }

    #[tokio::test]
    async fn items_come_in_order_and_the_work_stays_within_its_lead() {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let work = |items: mpsc::Sender<usize>| async move {
            for item in 0..100 {
                items.send(item).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
            }
        };
        let mut items = Driven::new(4, work, |items| items);
        for expected in 0..100 {
            assert_eq!(items.next().await, Some(expected));
            assert!(sent.load(Ordering::SeqCst) <= expected + 5);
        }
        assert_eq!(items.next().await, None);
    }

    #[tokio::test]
    async fn the_work_goes_on_while_an_answer_is_awaited() {
        let (done, waits) = tokio::sync::oneshot::channel();
        let mut waits = Some(waits);
        let work = |items: mpsc::Sender<()>| async move {
            items.send(()).await.unwrap();
            done.send(7).unwrap();
        };
        let answers = |items: ReceiverStream<()>| {
            items.then(move |()| {
                let waits = waits.take();
                async move { waits.unwrap().await.unwrap() }
            })
        };
        let mut answers = Driven::new(1, work, answers);
        assert_eq!(answers.next().await, Some(7));
    }
}
