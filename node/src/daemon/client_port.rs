//! Port 2379: gRPC and HTTP/1.1 together. The etcd API's services are added to the router here.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

use super::{
    StartError,
    http::{Limits, Listener, Port},
    ports,
};
use crate::{admin, config::Config, context::Context, etcd, tls::LiveServer};

/// Serves clients on these listeners until the node stops.
pub(super) fn start(context: &Context, listeners: Listeners) {
    let (_, ready) = tokio::sync::watch::channel(Some(context.clone()));
    let grpc = etcd::add_services(Routes::new(admin::service(ready)), context).prepare().into_axum_router();
    let plain = Router::new().route("/health", get(health)).route("/version", get(version)).with_state(context.clone());
    let v2 = crate::etcd_v2::router(context.clone());
    let router = plain.merge(grpc.reset_fallback()).merge(v2).fallback(unknown);
    let port = Port::new(router, Limits::USUAL, context.stop.clone());
    for listener in listeners.plain {
        warn_if_open(&listener);
        context.tasks.spawn(port.clone().serve(Listener::Tcp(listener)));
    }
    let Some(live) = listeners.live else { return };
    for listener in listeners.tls {
        context.tasks.spawn(port.clone().serve(Listener::Tls(listener, live.clone())));
    }
    context.tasks.spawn(live.follow(context.stop.clone()));
}

/// The port's listeners, bound, and its certificate, read.
pub(super) struct Listeners {
    plain: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    live: Option<Arc<LiveServer>>,
}

impl Listeners {
    /// Binds them all, and reads the certificate, before anything else is done.
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let bind = async |addrs: &[SocketAddr]| ports::bind_all(addrs, "clients", "--listen-client-urls").await;
        let live = match config.client_tls.files.clone() {
            None => None,
            // Disks may be slow.
            Some(files) => {
                let opened = tokio::task::spawn_blocking(|| LiveServer::open(files)).await;
                Some(Arc::new(opened.map_err(|_| StartError::Stopped)??))
            }
        };
        Ok(Self { plain: bind(&config.client_listen).await?, tls: bind(&config.client_tls.listen).await?, live })
    }
}

/// Whoever reaches this port may change everything, and read what is sent.
fn warn_if_open(listener: &TcpListener) {
    if let Ok(at) = listener.local_addr()
        && !at.ip().is_loopback()
    {
        tracing::warn!(
            "clients are served on {at} without TLS, as --listen-client-urls says: whoever reaches it may change the \
             cluster; give https:// with --cert-file, --key-file and --trusted-ca-file, or listen on 127.0.0.1 only"
        );
    }
}

#[derive(serde::Deserialize)]
struct HealthQuery {
    #[serde(default)]
    serializable: bool,
    /// An alarm that is not to count.
    #[serde(default)]
    exclude: String,
}

/// As etcd: no alarm stands and a linearizable read succeeds, unless `?serializable=true` asks about this node alone.
async fn health(State(context): State<Context>, Query(query): Query<HealthQuery>) -> Response {
    let reason = match alarm(&context, &query.exclude) {
        Some(name) => Some(format!("ALARM {name}")),
        None if query.serializable => None,
        None => context.raft.barrier().await.err().map(|error| error.to_string()),
    };
    let (code, healthy) = match reason {
        None => (StatusCode::OK, "true"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "false"),
    };
    let reason = reason.unwrap_or_default();
    (code, Json(serde_json::json!({ "health": healthy, "reason": reason }))).into_response()
}

/// The first alarm that stands, in etcd's words.
fn alarm(context: &Context, exclude: &str) -> Option<&'static str> {
    let alarms = context.raft.read(autoradio_machine::Machine::alarms);
    alarms.iter().map(|alarm| etcd::alarms::name(alarm.kind)).find(|name| *name != exclude)
}

/// The versions that etcd's clients look for, and our own.
async fn version() -> Response {
    let ours = env!("CARGO_PKG_VERSION");
    let (server, cluster) = (etcd::SERVER_VERSION, etcd::CLUSTER_VERSION);
    Json(serde_json::json!({ "etcdserver": server, "etcdcluster": cluster, "autoradio": ours })).into_response()
}

/// Whether a request is one of gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// tonic's own fallback would answer any unknown path with 200.
pub(super) async fn unknown(uri: Uri, headers: HeaderMap) -> Response {
    if is_grpc(&headers) {
        let service = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let status = tonic::Status::unimplemented(format!("unknown service {service}"));
        return status.into_http::<axum::body::Body>();
    }
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}
