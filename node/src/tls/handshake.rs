//! The beginning of a TLS connection, from the side that is called.

use std::{io, sync::Arc};

use rustls::ServerConfig;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{PeerCommonName, facts};

/// What every TLS connection begins with: a record of the handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// What is said to a client that speaks HTTP without TLS: Go's words, which etcd's clients have met before.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// Why a connection did not become one.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Something else than TLS.
    #[error("a client without TLS; it must use https://")]
    Plain,
    /// No certificate, one of another CA, no protocol in common, a broken connection.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// Takes a connection in: the stream, and who it is that calls, where it had to say so. Waits for as long as the client
/// takes: to be bounded by who calls.
///
/// # Errors
/// [`Refused`].
pub async fn accept(
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
