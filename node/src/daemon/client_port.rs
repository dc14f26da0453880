//! Port 2379: gRPC and HTTP/1.1 together. The etcd API's services are added to the router here.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

use super::{
    StartError, cluster_tls, health,
    http::{Limits, Listener, Port},
    ports, process_metrics,
};
use crate::{
    admin,
    config::Config,
    context::Context,
    etcd, status,
    tls::{Follower, LiveServer},
};

/// Serves clients on these listeners until the node stops.
pub(super) fn start(context: &Context, listeners: Listeners) {
    let (_, ready) = tokio::sync::watch::channel(Some(context.clone()));
    let ours = Routes::new(admin::service(ready.clone())).add_service(admin::people(ready));
    let grpc = etcd::add_services(ours, context).prepare().into_axum_router();
    let calls = Arc::new(etcd::Calls::new());
    let plain = Router::new()
        .route("/health", get(health::health))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(Paged { context: context.clone(), calls: calls.clone() });
    let v2 = crate::etcd_v2::router(context.clone());
    let grpc = grpc.reset_fallback().layer(from_fn_with_state(calls.clone(), etcd::count));
    let gateway = etcd::gateway::router(&grpc.clone().fallback(unknown));
    let router = plain.merge(gateway).merge(grpc).merge(v2).fallback(unknown);
    context.tasks.spawn(etcd::metrics::count_leaders(context.clone()));
    context.tasks.spawn(context.watch_hub.clone().keep_ringing(context.stop.clone()));
    let port = Port::new(router, Limits::USUAL, context.stop.clone());
    for listener in listeners.plain {
        warn_if_open(&listener);
        context.tasks.spawn(port.clone().serve(Listener::Tcp(listener)));
    }
    let Some(follower) = listeners.follower else {
        context.tasks.spawn(cluster_tls::serve(context.clone(), port, listeners.tls));
        return;
    };
    for listener in listeners.tls {
        context.tasks.spawn(port.clone().serve(Listener::Tls(listener, follower.live().clone())));
    }
    context.tasks.spawn(follower.follow(context.stop.clone()));
}

/// The port's listeners, bound, and its certificate, read.
pub(super) struct Listeners {
    plain: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    follower: Option<Follower>,
}

impl Listeners {
    /// Binds them all, and reads the certificate, before anything else is done.
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let bind = async |addrs: &[SocketAddr]| ports::bind_all(addrs, "clients", "--listen-client-urls").await;
        let follower = match config.client_tls.files.clone() {
            None => None,
            // Disks may be slow.
            Some(files) => {
                let opened = tokio::task::spawn_blocking(|| LiveServer::open(files)).await;
                Some(opened.map_err(|_| StartError::Stopped)??)
            }
        };
        Ok(Self { plain: bind(&config.client_listen).await?, tls: bind(&config.client_tls.listen).await?, follower })
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

/// What the pages read.
#[derive(Clone)]
struct Paged {
    context: Context,
    calls: Arc<etcd::Calls>,
}

impl FromRef<Paged> for Context {
    fn from_ref(paged: &Paged) -> Self {
        paged.context.clone()
    }
}

/// What the front's `/metrics` has, and etcd's well-known names.
async fn metrics(State(Paged { context, calls }): State<Paged>) -> Response {
    let (view, raft) = (context.view.now(), context.raft.status());
    let mut etcds = etcd::metrics::registry(&context).await;
    calls.register(&mut etcds);
    process_metrics::register(&mut etcds, &context.metrics);
    let text = context.metrics.render_with(|registry| status::register(registry, &view, Some(&raft)), &etcds);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
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
