//! A stream of answers with the work that makes them, both in the task of the call: when the caller goes,
//! the work ends; when it panics, so does the call. Between the two is a bounded queue, so that the work
//! waits for a slow caller.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc;
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio_stream::StreamExt as _;

    use super::*;

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
