//! Where connections come from, and what they are before HTTP begins.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::{
    caller::SocketUser,
    tls::{self, LiveServer, PeerCommonName},
};

/// Where connections come from.
pub(in crate::daemon) enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A port, with TLS.
    Tls(TcpListener, Arc<LiveServer>),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that was accepted.
pub(super) enum Arrived {
    Tcp(TcpStream, SocketAddr),
    Tls(TcpStream, SocketAddr, Arc<LiveServer>),
    Unix(UnixStream),
}

/// A connection on which HTTP can begin.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    pub(super) address: Option<SocketAddr>,
    pub(super) name: Option<PeerCommonName>,
    pub(super) user: Option<SocketUser>,
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Arrived> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Arrived::Tcp(stream, address))
            }
            Self::Tls(listener, live) => {
                let (stream, address) = listener.accept().await?;
                Ok(Arrived::Tls(stream, address, live.clone()))
            }
            Self::Unix(listener) => Ok(Arrived::Unix(listener.accept().await?.0)),
        }
    }
}

impl Arrived {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) | Self::Tls(_, address, _) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Makes it one for HTTP. A client has to say something first: until then it costs nothing but its place.
    pub(super) async fn open(self) -> Result<Opened, tls::Refused> {
        let address = self.address();
        match self {
            Self::Tcp(stream, _) => {
                stream.set_nodelay(true)?;
                stream.peek(&mut [0]).await?;
                Ok(Opened { stream: Box::new(stream), address, name: None, user: None })
            }
            Self::Tls(stream, _, live) => {
                stream.set_nodelay(true)?;
                let (stream, name) = tls::accept(stream, live.now()).await?;
                Ok(Opened { stream: Box::new(stream), address, name, user: None })
            }
            Self::Unix(stream) => {
                let user = Some(SocketUser::of(stream.peer_cred()?.uid()));
                Ok(Opened { stream: Box::new(stream), address, name: None, user })
            }
        }
    }
}
