//! The pages: `/`, `/status.json`, `/status-json.xsl`, `/metrics`, `/healthz`.

use std::sync::{Arc, LazyLock};

use autoradio_policy::{
    ClusterView, fitness,
    status_json::{IcecastServer, icecast_status_json, status},
};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use base64::Engine;
use sha2::{Digest, Sha256};

use super::scrape;
use crate::{config::Config, context::Context, metrics::Metrics, raft::RaftHandle, view::ViewHandle};

/// The page, whole: no asset is loaded from anywhere.
const PAGE: &str = include_str!("index.html");

/// Only the page's own script and style run, and only this node is asked.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let text = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; media-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    );
    HeaderValue::from_str(&text).expect("base64 and the words around it are visible ASCII")
});

/// The CSP source of an inline element, by its text's hash.
fn hash_of(element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let text = PAGE.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).map_or("", |(text, _)| text);
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
}

/// What the pages read.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) config: Arc<Config>,
    pub(super) view: ViewHandle,
    pub(super) metrics: Arc<Metrics>,
    /// `None` in tests of the pages alone.
    pub(super) raft: Option<RaftHandle>,
    pub(super) stop: tokio_util::sync::CancellationToken,
}

/// The pages of this node.
pub fn router(ctx: Context) -> Router {
    let Context { config, view, metrics, raft, stop, .. } = ctx;
    routes(Pages { config, view, metrics, raft: Some(raft), stop })
}

pub(super) fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status.json", get(status_json))
        .route("/status-json.xsl", get(icecast_json))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .fallback(not_found)
        .layer(middleware::from_fn(secure))
        .with_state(pages)
}

/// The headers that each answer has.
async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    }
    response
}

async fn index() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY.clone())], Html(PAGE)).into_response()
}

async fn status_json(State(pages): State<Pages>) -> Response {
    let mut status = status(&pages.view.now());
    for mount in &mut status.mounts {
        // Where a source comes from is the operator's business and not the public's.
        mount.source = None;
    }
    Json(status).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let raft = pages.raft.as_ref().map(RaftHandle::status);
    let view = pages.view.now();
    let space = pages.raft.as_ref().map(RaftHandle::space);
    let text = pages.metrics.render(|registry| {
        scrape::register(registry, &view, raft.as_ref());
        scrape::register_space(registry, space);
    });
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

/// For load balancers and supervisors: whether this node should get listeners.
async fn healthz(State(pages): State<Pages>) -> Response {
    match unhealthy(&pages, &pages.view.now()) {
        // Streams go on without room for changes, so that this is a remark and no reason.
        None if pages.raft.as_ref().is_some_and(|raft| raft.space().full) => {
            (StatusCode::OK, "ok; the disk is full, and changes are refused until there is room\n").into_response()
        }
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn unhealthy(pages: &Pages, view: &ClusterView) -> Option<String> {
    if pages.stop.is_cancelled() {
        return Some("the node is stopping".to_owned());
    }
    if let Some(fatal) = pages.raft.as_ref().and_then(|raft| raft.status().fatal) {
        return Some(format!("the consensus has stopped: {fatal}"));
    }
    if !pages.metrics.ready() {
        return Some("the node is starting".to_owned());
    }
    // Without a majority it serves on (ARCHITECTURE §5.5), so that is no reason. Full is none either: the node is well.
    match fitness::fitness(view, view.me) {
        Ok(()) | Err(fitness::Unfit::ClientsFull | fitness::Unfit::BandwidthFull) => None,
        Err(why) => Some(format!("this node gets no new listeners: {why}")),
    }
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing here. The stations of this cluster are listed on /\n").into_response()
}

/// Icecast's form, with the cluster's totals; players' web pages on other sites read it.
async fn icecast_json(State(pages): State<Pages>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    let server = IcecastServer {
        admin: "",
        host: host.or(pages.config.domain.as_deref()).unwrap_or("localhost"),
        location: "",
        server_id: concat!("autoradio ", env!("CARGO_PKG_VERSION")),
        start_iso8601: &pages.metrics.started_at().to_string(),
    };
    let text = icecast_status_json(&pages.view.now(), &server);
    let headers = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::CONTENT_TYPE, "application/json")];
    (headers, text).into_response()
}

/// A `Host` header is repeated only where it is one.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
}

#[cfg(test)]
#[path = "router_tests.rs"]
pub(super) mod tests;
