//! Writes that belong together go out together.
//!
//! A change that a thousand watches wait for, or a read that lets a hundred clients go on, wakes as many streams; the
//! first of a connection that is ready wakes the connection, which would write its answer alone, and the next one's
//! after it: a system call for each, here and in the client. So a connection that has something to write lets those that
//! are ready have their turn first, and then writes what came together. One that is alone is not kept waiting: its turn
//! comes again at once. And a call's head, its message and its end are one write, and not three.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A shorter write waits for what follows it, or for the flush: h2 writes the head of a large frame and then the frame.
const SHORT_BYTES: usize = 2_048;

/// A connection whose writes are gathered.
///
/// It says of itself that it takes one piece at a time: h2 then puts all frames below a kilobyte into one piece, instead
/// of those below 256 bytes.
pub(crate) struct Gathered<S> {
    stream: S,
    turn: Turn,
    /// A short write that waits for what follows it.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing is being written.
    Idle,
    /// There is something to write, and others have their turn first.
    Waits,
    /// Its turn, until the connection looks for what it is to read again.
    Writes,
}

impl<S> Gathered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, turn: Turn::Idle, held: Vec::new() }
    }

    fn is_turn(&mut self, cx: &Context<'_>) -> bool {
        if self.turn == Turn::Idle {
            self.turn = Turn::Waits;
            // A task that wakes itself comes behind all that are ready.
            cx.waker().wake_by_ref();
            return false;
        }
        true
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            self.release(written)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes out of the held bytes what was written; the rest of it was of what followed.
    fn release(&mut self, written: usize) -> io::Result<usize> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_held = written.min(self.held.len());
        self.held.drain(..of_held);
        Ok(written - of_held)
    }
}

impl<S: Connected> Connected for Gathered<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A connection reads before it writes: this is where its turn begins, and ends.
        self.turn = if self.turn == Turn::Waits { Turn::Writes } else { Turn::Idle };
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_turn(cx) {
            return Poll::Pending;
        }
        if self.held.len() + buf.len() <= SHORT_BYTES {
            self.held.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        loop {
            let gathered = &mut *self;
            let (stream, both) = (Pin::new(&mut gathered.stream), [IoSlice::new(&gathered.held), IoSlice::new(buf)]);
            let written = match &both {
                _ if gathered.held.is_empty() => return stream.poll_write(cx, buf),
                both if stream.is_write_vectored() => ready!(stream.poll_write_vectored(cx, both))?,
                [held, _] => ready!(stream.poll_write(cx, held))?,
            };
            let of_these = self.release(written)?;
            if of_these > 0 {
                return Poll::Ready(Ok(of_these));
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        task::{Wake, Waker},
    };

    use super::*;

    /// Takes so many bytes at a time, and remembers each write.
    struct Socket {
        most: usize,
        vectored: bool,
        writes: Vec<Vec<u8>>,
        closed: bool,
    }

    impl Socket {
        fn taking(most: usize) -> Self {
            Self { most, vectored: true, writes: Vec::new(), closed: false }
        }
    }

    impl AsyncRead for Socket {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let taken = buf.len().min(self.most);
            self.writes.push(buf[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.closed = true;
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write(cx, &bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<_>>())
        }

        fn is_write_vectored(&self) -> bool {
            self.vectored
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn read(gathered: &mut Gathered<Socket>, cx: &mut Context<'_>) {
        let mut buf = [0; 8];
        assert!(Pin::new(gathered).poll_read(cx, &mut ReadBuf::new(&mut buf)).is_pending());
    }

    fn write(gathered: &mut Gathered<Socket>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<usize> {
        Pin::new(gathered).poll_write(cx, buf).map(|written| written.expect("the socket takes it"))
    }

    /// Writes all of it, as callers do.
    fn write_all(gathered: &mut Gathered<Socket>, cx: &mut Context<'_>, mut buf: &[u8]) {
        while !buf.is_empty() {
            let Poll::Ready(written) = write(gathered, cx, buf) else { panic!("it is its turn") };
            buf = &buf[written..];
        }
    }

    #[test]
    fn others_have_their_turn_before_a_burst_and_not_within_it() {
        let woken = Arc::new(Woken::default());
        let (waker, mut gathered) = (Waker::from(woken.clone()), Gathered::new(Socket::taking(usize::MAX)));
        let mut cx = Context::from_waker(&waker);
        for burst in 1..=2 {
            read(&mut gathered, &mut cx);
            assert!(write(&mut gathered, &mut cx, b"first").is_pending());
            assert_eq!(woken.0.load(Relaxed), burst, "it comes again by itself");
            read(&mut gathered, &mut cx);
            write_all(&mut gathered, &mut cx, b"first, second");
            assert!(Pin::new(&mut gathered).poll_flush(&mut cx).is_ready());
            write_all(&mut gathered, &mut cx, b"third");
            assert!(Pin::new(&mut gathered).poll_flush(&mut cx).is_ready());
        }
        assert_eq!(woken.0.load(Relaxed), 2);
        let written: Vec<&[u8]> = gathered.stream.writes.iter().map(Vec::as_slice).collect();
        assert_eq!(written, [b"first, second".as_slice(), b"third", b"first, second", b"third"]);
    }

    #[test]
    fn every_byte_is_written_once_and_in_order_however_the_socket_takes_them() {
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        let large = vec![7; SHORT_BYTES + 1];
        for (most, vectored) in [(usize::MAX, true), (1_000, true), (3, true), (usize::MAX, false), (1_000, false)] {
            let mut gathered = Gathered::new(Socket { vectored, ..Socket::taking(most) });
            gathered.turn = Turn::Writes;
            for piece in [b"head".as_slice(), &large, b"another", b"tail"] {
                write_all(&mut gathered, &mut cx, piece);
            }
            assert!(Pin::new(&mut gathered).poll_shutdown(&mut cx).is_ready());
            let written = gathered.stream.writes.concat();
            assert_eq!(written, [b"head".as_slice(), &large, b"another", b"tail"].concat());
            assert!(gathered.stream.closed, "after what was held");
            if most == usize::MAX && vectored {
                assert_eq!(gathered.stream.writes.len(), 2, "a frame with its head, and the rest");
            }
        }
    }
}
