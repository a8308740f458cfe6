//! A connection's socket that gathers answers: what many calls answer at about the same time leaves in one
//! piece. Does not know what is written.
//!
//! Each answer wakes the task of its connection, which the runtime runs next, so that by itself each answer
//! would be a write or two to the system: some microseconds each here, and as many at the caller, who reads it.
//! A commit answers hundreds at once. So what is written is held until the connection's task comes round again,
//! after all else that is ready at this moment; where nothing else is, that is at once. There is no timer:
//! nothing waits for what may come.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// More than this is not held: it is worth a write of its own.
const HELD_BYTES_MAX: usize = 32 << 10;

/// Room for the answers of a few calls.
const HELD_BYTES: usize = 4 << 10;

/// A socket whose writes leave when its connection is polled again.
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: S,
    held: Vec<u8>,
    /// How much of what is held has left already.
    left: usize,
    /// Its task will be polled again for what is held: it was woken, or will be when the system takes more.
    awaited: bool,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            held: Vec::new(),
            left: 0,
            awaited: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Hands all that is held to the system, as far as it takes it.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.held.get(self.left..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.left += sent,
            }
        }
        // Most connections are idle most of the time: they keep no memory for this.
        self.held = Vec::new();
        self.left = 0;
        self.awaited = false;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    /// A connection reads whenever it is polled, first of all: the time for what the last turn held. That the
    /// system does not take it all is no reason not to read.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.awaited = this.send(cx)?.is_pending();
        Pin::new(&mut this.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if HELD_BYTES_MAX < this.held.len() + len {
            ready!(this.send(cx))?;
            if HELD_BYTES_MAX < len {
                return Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
            }
        }
        this.held.reserve(len.max(HELD_BYTES));
        for buf in bufs {
            this.held.extend_from_slice(buf);
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready while something is held: the next read sends it, and this sees to it that there is one.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() && !this.awaited {
            this.awaited = true;
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.send(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl<S: Connected> Connected for Socket<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.inner.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    /// A system that takes so much at a time, as often as it is allowed to, and keeps each piece.
    struct System {
        at_once: usize,
        times: usize,
        pieces: Vec<Vec<u8>>,
        closed: bool,
    }

    impl System {
        fn new(at_once: usize, times: usize) -> Socket<Self> {
            Socket::new(Self {
                at_once,
                times,
                pieces: Vec::new(),
                closed: false,
            })
        }
    }

    impl AsyncRead for System {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for System {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.times == 0 {
                return Poll::Pending;
            }
            self.times -= 1;
            let piece: Vec<u8> = buf.iter().take(self.at_once).copied().collect();
            let taken = piece.len();
            self.pieces.push(piece);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.closed = true;
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// A connection's task, by hand.
    struct Turns {
        woken: Arc<Woken>,
        waker: Waker,
    }

    impl Turns {
        fn new() -> Self {
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            Self { woken, waker }
        }

        fn write(&self, socket: &mut Socket<System>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(socket).poll_write(&mut Context::from_waker(&self.waker), bytes)
        }

        fn flush(&self, socket: &mut Socket<System>) -> Poll<io::Result<()>> {
            Pin::new(socket).poll_flush(&mut Context::from_waker(&self.waker))
        }

        fn read(&self, socket: &mut Socket<System>) -> Poll<io::Result<()>> {
            let mut buf = [0; 8];
            let mut buf = ReadBuf::new(&mut buf);
            Pin::new(socket).poll_read(&mut Context::from_waker(&self.waker), &mut buf)
        }

        fn close(&self, socket: &mut Socket<System>) -> Poll<io::Result<()>> {
            Pin::new(socket).poll_shutdown(&mut Context::from_waker(&self.waker))
        }
    }

    fn taken(poll: &Poll<io::Result<usize>>) -> Option<usize> {
        match poll {
            Poll::Ready(Ok(taken)) => Some(*taken),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_written_in_one_turn_leaves_in_one_piece_in_the_next() {
        let (mut socket, turns) = (System::new(usize::MAX, 9), Turns::new());
        for answer in ["one ", "two ", "three"] {
            assert_eq!(
                taken(&turns.write(&mut socket, answer.as_bytes())),
                Some(answer.len())
            );
            assert!(matches!(turns.flush(&mut socket), Poll::Ready(Ok(()))));
        }
        assert_eq!(turns.woken.times(), 1, "one more turn was asked for, once");
        assert!(socket.inner.pieces.is_empty(), "and nothing has left yet");

        assert!(turns.read(&mut socket).is_pending());
        assert_eq!(socket.inner.pieces, [b"one two three"]);
        assert!(matches!(turns.flush(&mut socket), Poll::Ready(Ok(()))));
        assert_eq!(
            turns.woken.times(),
            1,
            "with nothing held, no turn is asked for"
        );
    }

    #[test]
    fn what_is_too_much_to_hold_leaves_at_once_and_in_order() {
        let (mut socket, turns) = (System::new(usize::MAX, 9), Turns::new());
        let large = vec![b'x'; HELD_BYTES_MAX + 1];
        assert_eq!(taken(&turns.write(&mut socket, b"before")), Some(6));
        assert_eq!(taken(&turns.write(&mut socket, &large)), Some(large.len()));
        assert_eq!(socket.inner.pieces, [b"before".to_vec(), large]);
        assert_eq!(taken(&turns.write(&mut socket, b"after")), Some(5));
        assert!(turns.read(&mut socket).is_pending());
        assert_eq!(socket.inner.pieces.last(), Some(&b"after".to_vec()));
    }

    #[test]
    fn a_system_that_takes_no_more_is_neither_asked_in_a_circle_nor_given_anything_twice() {
        let (mut socket, turns) = (System::new(4, 1), Turns::new());
        assert_eq!(taken(&turns.write(&mut socket, b"0123456789")), Some(10));
        assert!(matches!(turns.flush(&mut socket), Poll::Ready(Ok(()))));
        assert!(turns.read(&mut socket).is_pending());
        assert!(matches!(turns.flush(&mut socket), Poll::Ready(Ok(()))));
        assert_eq!(
            turns.woken.times(),
            1,
            "the system wakes it, when it takes more"
        );

        socket.inner.times = 9;
        assert!(turns.read(&mut socket).is_pending());
        assert_eq!(socket.inner.pieces.concat(), b"0123456789");
    }

    #[test]
    fn what_is_written_once_the_system_takes_more_again_asks_for_its_own_turn() {
        let (mut socket, turns) = (System::new(usize::MAX, 0), Turns::new());
        let much = vec![b'x'; HELD_BYTES_MAX];
        assert_eq!(taken(&turns.write(&mut socket, &much)), Some(much.len()));
        assert!(turns.read(&mut socket).is_pending());
        socket.inner.times = 1;
        assert_eq!(taken(&turns.write(&mut socket, b"after")), Some(5));
        assert_eq!(socket.inner.pieces, [much]);
        assert!(matches!(turns.flush(&mut socket), Poll::Ready(Ok(()))));
        assert_eq!(turns.woken.times(), 1, "nothing else would send it");
    }

    #[test]
    fn who_writes_more_than_is_held_waits_for_the_system() {
        let (mut socket, turns) = (System::new(usize::MAX, 0), Turns::new());
        let half = vec![b'x'; HELD_BYTES_MAX / 2 + 1];
        assert_eq!(taken(&turns.write(&mut socket, &half)), Some(half.len()));
        assert!(turns.write(&mut socket, &half).is_pending());
        assert_eq!(socket.held.len(), half.len(), "nothing of it was taken");
    }

    #[test]
    fn a_connection_that_ends_sends_what_is_held_first() {
        let (mut socket, turns) = (System::new(usize::MAX, 0), Turns::new());
        assert_eq!(
            taken(&turns.write(&mut socket, b"the last answer")),
            Some(15)
        );
        assert!(turns.close(&mut socket).is_pending());
        assert!(!socket.inner.closed);
        socket.inner.times = 1;
        assert!(matches!(turns.close(&mut socket), Poll::Ready(Ok(()))));
        assert_eq!(socket.inner.pieces, [b"the last answer"]);
        assert!(socket.inner.closed);
    }

    #[test]
    fn a_system_that_takes_nothing_at_all_is_an_error_not_a_circle() {
        let (mut socket, turns) = (System::new(0, 9), Turns::new());
        assert_eq!(taken(&turns.write(&mut socket, b"answer")), Some(6));
        match turns.read(&mut socket) {
            Poll::Ready(Err(failed)) => assert_eq!(failed.kind(), io::ErrorKind::WriteZero),
            other @ (Poll::Ready(Ok(())) | Poll::Pending) => panic!("{other:?}"),
        }
    }
}
