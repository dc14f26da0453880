//! The beginning of a TLS connection, from the side that is called.

use std::{io, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{PeerCommonName, facts};

/// How long a client may take over it: three round trips to the other side of the world, some of them lost.
const LIMIT: Duration = Duration::from_secs(10);

/// What every TLS connection begins with: a record of the handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// What is said to a client that speaks HTTP without TLS: Go's words, which etcd's clients have met before.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// Why a connection did not become one.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It took too long.
    #[error("the TLS handshake took longer than {LIMIT:?}")]
    Slow(#[from] Elapsed),
    /// Something else than TLS.
    #[error("a client without TLS; it must use https://")]
    Plain,
    /// No certificate, one of another CA, no protocol in common, a broken connection.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// Takes a connection in: the stream, and who it is that calls, where it had to say so.
///
/// # Errors
/// [`Refused`].
pub async fn accept(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<(TlsStream<TcpStream>, Option<PeerCommonName>), Refused> {
    timeout(LIMIT, shake(stream, config)).await?
}

async fn shake(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<(TlsStream<TcpStream>, Option<PeerCommonName>), Refused> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0] != HANDSHAKE_RECORD {
        stream.write_all(PLAIN).await?;
        stream.shutdown().await?;
        return Err(Refused::Plain);
    }
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let presented = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let name = presented.and_then(facts).map(|facts| facts.common_name).filter(|name| !name.is_empty());
    Ok((stream, name.map(PeerCommonName)))
}
