//! Serves a router, HTTP/1.1 and h2 alike, on a TCP or a Unix listener, within bounds.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::authority::Mended;
use crate::caller::PeerOrigin;

/// Connections at a time: some descriptors each; clients beyond wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;

/// Streams of one connection.
const STREAMS_MAX: u32 = 1_024;

/// A silent connection is probed after this, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a client may take over a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests under way are given when the node stops.
const DRAIN: Duration = Duration::from_secs(2);

/// After an accept that failed (no descriptors left), rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
pub(super) enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, PeerOrigin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), PeerOrigin::Address(address)))
            }
            Self::Unix(listener) => {
                let stream = listener.accept().await?.0;
                let origin = PeerOrigin::of_user(stream.peer_cred()?.uid());
                Ok((Box::new(stream), origin))
            }
        }
    }
}

/// Serves `router` until `stop`, then lets requests under way end for a moment.
pub(super) async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(STREAMS_MAX);
    let (connections, slots) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        let accepted = stop.run_until_cancelled(async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (slot, listener.accept().await)
        });
        let Some((slot, accepted)) = accepted.await else { break };
        let (stream, origin) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a client's connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let told = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(origin.clone());
            request
        });
        let service = TowerToHyperService::new(told);
        let connection = builder.serve_connection(TokioIo::new(Mended::new(stream)), service).into_owned();
        let stop = stop.clone();
        connections.spawn(async move {
            let _slot = slot;
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    timeout(DRAIN, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error, "a client's connection broke off");
            }
        });
    }
    connections.close();
    connections.wait().await;
}
