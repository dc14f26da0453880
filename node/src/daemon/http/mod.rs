//! Serves a router, HTTP/1.1 and h2 alike, on TCP (with TLS or without) or Unix listeners, within bounds.

mod activity;
mod busy;
mod limits;
mod listener;
mod places;
mod visit;

pub(super) use limits::Limits;
pub(super) use listener::Listener;

use std::sync::Arc;

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    activity::{Activity, Requests},
    limits::{ACCEPT_PAUSE, DRAIN, HEAD_TIMEOUT, KEEP_ALIVE, REFUSAL, REFUSALS_MAX},
    listener::{Arrived, Opened},
    places::{Place, Places},
    visit::Visit,
};
use super::authority::Mended;
use crate::gathered::Gathered;

/// Serves `router` on one listener until `stop`, within the usual bounds.
pub(super) async fn serve(listener: Listener, router: Router, stop: CancellationToken) {
    Port::new(router, Limits::USUAL, stop).serve(listener).await;
}

/// A router that is served on several listeners, within bounds that they share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Port {
    inner: Arc<Inner>,
}

struct Inner {
    router: Router,
    limits: Limits,
    http: Builder<TokioExecutor>,
    places: Arc<Places>,
    requests: Arc<Requests>,
    refusals: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Port {
    pub(super) fn new(router: Router, limits: Limits, stop: CancellationToken) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_concurrent_streams(limits.streams);
        let inner = Inner {
            router,
            http,
            places: Arc::new(Places::new(limits.connections, limits.connections_per_address)),
            requests: Arc::new(Requests::new(limits.requests)),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            limits,
            stop,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Accepts on one listener until the node stops, then lets requests under way end for a moment.
    pub(super) async fn serve(self, listener: Listener) {
        let (connections, stop) = (TaskTracker::new(), self.inner.stop.clone());
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok(arrived) => self.receive(arrived, &connections),
                Err(error) => {
                    tracing::debug!(%error, "a client's connection was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }

    /// Gives a connection a place, or a few moments to hear that there is none.
    fn receive(&self, arrived: Arrived, connections: &TaskTracker) {
        match self.inner.places.take(arrived.address()) {
            Ok(place) => {
                connections.spawn(self.clone().attend(arrived, place));
            }
            Err(full) => {
                // Beyond these it just ends: who comes in such numbers does not read answers.
                let Ok(slot) = self.inner.refusals.clone().try_acquire_owned() else { return };
                tracing::warn!(address = ?arrived.address(), "a client's connection is refused: {full}");
                let port = self.clone();
                connections.spawn(async move {
                    let _slot = slot;
                    let refused = timeout(REFUSAL, async {
                        let Some(opened) = port.open(arrived).await else { return };
                        port.talk(opened, busy::router(full.to_string()), REFUSAL).await;
                    });
                    if refused.await.is_err() {
                        tracing::debug!("a client that was refused did not go away");
                    }
                });
            }
        }
    }

    async fn attend(self, arrived: Arrived, place: Place) {
        let _place = place;
        let Some(opened) = self.inner.stop.run_until_cancelled(self.open(arrived)).await.flatten() else { return };
        self.talk(opened, self.inner.router.clone(), self.inner.limits.idle).await;
    }

    /// Waits for the first word, and for the end of TLS' handshake.
    async fn open(&self, arrived: Arrived) -> Option<Opened> {
        let address = arrived.address();
        match timeout(self.inner.limits.first_word, arrived.open()).await {
            Ok(Ok(opened)) => Some(opened),
            Ok(Err(reason)) => {
                tracing::debug!(?address, "a client's connection did not begin: {reason}");
                None
            }
            Err(_) => {
                tracing::debug!(?address, "a client said nothing, or took too long over TLS' handshake");
                None
            }
        }
    }

    /// Serves a connection until it ends, has nothing to do for `idle`, or the node stops.
    async fn talk(&self, opened: Opened, router: Router, idle: std::time::Duration) {
        let activity = Arc::new(Activity::default());
        let visit = Visit::new(router, &opened, activity.clone(), self.inner.requests.clone());
        let stream = TokioIo::new(Gathered::new(Mended::new(opened.stream)));
        let connection = self.inner.http.serve_connection(stream, visit);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = async { tokio::select! {
                () = activity.idle(idle) => {}
                () = self.inner.stop.cancelled() => {}
            } } => {
                connection.as_mut().graceful_shutdown();
                timeout(DRAIN, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a client's connection broke off");
        }
    }
}

#[cfg(test)]
mod tests;
