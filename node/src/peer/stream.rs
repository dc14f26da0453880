//! One connection between two nodes, with or without TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use crate::trust::{EXPORTER_BYTES, PeerName};

/// A connection.
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// With.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end of a connection that came in, in every request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its address.
    pub addr: SocketAddr,
    /// With TLS.
    pub tls: Option<TlsCaller>,
}

/// What TLS says of who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsCaller {
    /// The node that its certificate names; `None` without one.
    pub name: Option<PeerName>,
    /// What only the two ends of this connection know.
    pub exporter: [u8; EXPORTER_BYTES],
}

/// A connection that came in.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) caller: Caller,
    /// Ends the connection when it is refused afterwards: plain, in a cluster that speaks TLS by now.
    pub(super) cut: Pin<Box<WaitForCancellationFutureOwned>>,
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Connected for Accepted {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            // As if the other side had hung up.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

/// Writing, handed on to what `$inner` gives.
macro_rules! write_through {
    ($kind:ty, $inner:expr) => {
        impl AsyncWrite for $kind {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                let inner: &mut dyn Write = $inner(self.get_mut());
                Pin::new(inner).poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let inner: &mut dyn Write = $inner(self.get_mut());
                Pin::new(inner).poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let inner: &mut dyn Write = $inner(self.get_mut());
                Pin::new(inner).poll_shutdown(cx)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let inner: &mut dyn Write = $inner(self.get_mut());
                Pin::new(inner).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    };
}

trait Write: AsyncWrite + Unpin {}
impl<T: AsyncWrite + Unpin> Write for T {}

fn inner(stream: &mut Stream) -> &mut dyn Write {
    match stream {
        Stream::Plain(stream) => stream,
        Stream::Tls(stream) => stream,
    }
}

fn accepted(accepted: &mut Accepted) -> &mut dyn Write {
    &mut accepted.stream
}

write_through!(Stream, inner);
write_through!(Accepted, accepted);
