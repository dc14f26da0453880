//! Everything that is neither source, listener, playlist nor title: hyper's, with the bytes read so far put back.

use std::{io::Cursor, time::Duration};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, join},
    net::TcpStream,
    time::timeout,
};

use super::{FrontError, connection::Front};

/// How long a page may take, its reader included.
const PAGE_LIMIT: Duration = Duration::from_secs(30);
/// How long the head may take from here on: it was read already.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// Serves one page.
pub(super) async fn serve(front: &Front, stream: TcpStream, read: Bytes) -> Result<(), FrontError> {
    let (from, to) = stream.into_split();
    let io = TokioIo::new(join(Cursor::new(read).chain(from), to));
    let mut builder = http1::Builder::new();
    // The next request on the connection may be for a stream, which is not hyper's.
    // A client that closed only its sending side gets its page too.
    builder.keep_alive(false).half_close(true).timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    let connection = builder.serve_connection(io, TowerToHyperService::new(front.pages().clone()));
    match timeout(PAGE_LIMIT, connection).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(FrontError::Io(std::io::Error::other(error))),
        Err(_) => Err(FrontError::Slow { what: "taking the page" }),
    }
}
