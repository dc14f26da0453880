//! How a connection to another node is made. The only place: TLS and what a node shows for itself enter here.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

use super::stream::Stream;
use crate::{
    gathered::Gathered,
    trust::{Keyring, PeerName, Wire, explain},
};

/// The largest message in either direction: a snapshot's piece (3 MiB) or a batch of frames, with room.
pub const MESSAGE_MAX_BYTES: usize = 8 << 20;

/// A node in the same network answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A handshake takes a millisecond of either side's time, and more on busy machines.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// A silent connection is probed after this, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What one stream may have in flight: two seconds of the richest audio.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// What all streams of a connection may have in flight together.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// An endpoint without TLS, for who is at a URL and whoever that may be.
///
/// # Errors
/// What is wrong with the URL.
pub fn endpoint(url: &str) -> Result<Endpoint, String> {
    Ok(url.parse::<PeerUrl>()?.endpoint().connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true))
}

/// Where a node is reached: a peer URL (`https://host:2380`, or `http://` in a plain cluster) that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerUrl {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

impl std::str::FromStr for PeerUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|e| format!("{e}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("it must begin with https:// (or http://, for a cluster without TLS)".into()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it names no host")?.to_owned();
        let port = uri.port_u16().unwrap_or(2380);
        // The HTTP library is told of no TLS: it is spoken below it.
        let uri = Uri::builder().scheme("http").authority(format!("{host}:{port}")).path_and_query("/").build();
        let uri = uri.map_err(|e| format!("{e}"))?;
        Ok(Self { uri, host: host.trim_matches(['[', ']']).to_owned(), port, tls })
    }
}

impl PeerUrl {
    /// Whether it is reached by TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.uri.clone())
            .connect_timeout(CONNECT_TIMEOUT + HANDSHAKE_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((self.host.as_str(), self.port))).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects by TLS.
    ///
    /// # Errors
    /// The system's, or the handshake's: see [`crate::trust::explain`].
    pub(super) async fn connect_tls(&self, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.tcp().await?;
        // Not looked at: a node is known by its id, wherever it is.
        let name = ServerName::try_from("peer.invalid").expect("this is a name");
        timeout(HANDSHAKE_TIMEOUT, TlsConnector::from(config).connect(name, stream)).await?
    }

    /// A channel over a connection that was made; it makes no other.
    ///
    /// # Errors
    /// The HTTP library's.
    pub(super) async fn over(&self, stream: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
        let mut stream = Some(Stream::Tls(Box::new(stream.into())));
        let connector = tower::service_fn(move |_: Uri| {
            let stream = stream.take().map(|stream| TokioIo::new(Gathered::new(stream)));
            std::future::ready(stream.ok_or_else(|| io::Error::other("the connection was lost")))
        });
        self.endpoint().connect_with_connector(connector).await
    }

    /// A channel without TLS, for a node whose id is not known yet; made at the first call.
    #[must_use]
    pub fn plain(&self) -> Channel {
        self.endpoint().connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).connect_lazy()
    }

    /// A channel to the node that is meant; made at the first call, and anew when it was lost.
    #[must_use]
    pub fn channel(&self, keyring: &Keyring, meant: PeerName) -> Channel {
        let (url, keyring) = (self.clone(), keyring.clone());
        let connector = tower::service_fn(move |_: Uri| {
            let (url, keyring) = (url.clone(), keyring.clone());
            async move { url.connect(&keyring, meant).await.map(|stream| TokioIo::new(Gathered::new(stream))) }
        });
        self.endpoint().connect_with_connector_lazy(connector)
    }

    async fn connect(&self, keyring: &Keyring, meant: PeerName) -> io::Result<Stream> {
        match keyring.client_config(meant).filter(|_| self.tls) {
            Some(config) => {
                let connected = self.connect_tls(config).await;
                let stream = connected.map_err(|error| io::Error::new(error.kind(), explain(&error)))?;
                Ok(Stream::Tls(Box::new(stream.into())))
            }
            None if keyring.wire() == Wire::Tls => {
                Err(io::Error::other("its peer URL begins with http://, and this cluster speaks TLS only"))
            }
            None => Ok(Stream::Plain(self.tcp().await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_name_a_host_by_http_are_taken() {
        let parse = |url: &str| url.parse::<PeerUrl>();
        assert!(!parse("http://host1:2380").unwrap().tls());
        assert!(parse("https://host1:2380").unwrap().tls());
        assert_eq!(parse("https://[::1]:2381").unwrap().host, "::1");
        assert_eq!(parse("https://host1").unwrap().port, 2380);
        for bad in ["host1:2380", "", "ftp://host1", "http://", "/x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
