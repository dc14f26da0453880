//! Port 2379: gRPC and HTTP/1.1 together. The etcd API's services are added to the router here.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

use super::http::{self, Listener};
use crate::{admin, context::Context, etcd};

/// Serves clients on these listeners until the node stops.
pub(super) fn start(context: &Context, listeners: Vec<TcpListener>) {
    let (_, ready) = tokio::sync::watch::channel(Some(context.clone()));
    let grpc = etcd::add_services(Routes::new(admin::service(ready)), context).prepare().into_axum_router();
    let plain = Router::new().route("/health", get(health)).route("/version", get(version)).with_state(context.clone());
    let v2 = crate::etcd_v2::router(context.clone());
    let router = plain.merge(grpc.reset_fallback()).merge(v2).fallback(unknown);
    for listener in listeners {
        let served = http::serve(Listener::Tcp(listener), router.clone(), context.stop.clone());
        context.tasks.spawn(served);
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

/// tonic's own fallback would answer any unknown path with 200.
pub(super) async fn unknown(uri: Uri, headers: HeaderMap) -> Response {
    let grpc = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        let service = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let status = tonic::Status::unimplemented(format!("unknown service {service}"));
        return status.into_http::<axum::body::Body>();
    }
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}
