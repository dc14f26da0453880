use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;

/// A node that listens nowhere.
pub(crate) fn test_config() -> Config {
    Config {
        name: "host2".into(),
        data_dir: "/nonexistent".into(),
        domain: Some("radio.test".into()),
        peer_listen: Vec::new(),
        client_listen: Vec::new(),
        peer_urls: Vec::new(),
        client_urls: Vec::new(),
        initial_cluster: Vec::new(),
        initial_cluster_state: Default::default(),
        initial_cluster_token: String::new(),
        http_listen: Vec::new(),
        dns_listen: Vec::new(),
        icecast: Default::default(),
        icecast_listen: ([127, 0, 0, 1], 8000).into(),
        admin_socket: None,
        public_ips: Vec::new(),
        nameservers: Vec::new(),
        max_clients: 1_000,
        bwlimit_mbit_per_s: 100,
        lb_policy: String::new(),
        hold: Duration::from_secs(30),
        heartbeat: Duration::from_millis(250),
        election: (Duration::from_secs(1), Duration::from_secs(2)),
        keeping: Default::default(),
        client_tls: Default::default(),
    }
}

fn pages() -> Pages {
    let metrics = Arc::new(Metrics::default());
    metrics.set_ready(true);
    Pages {
        config: Arc::new(test_config()),
        view: ViewHandle::channel(crate::status::test_view()).1,
        metrics,
        raft: None,
        stop: CancellationToken::new(),
    }
}

async fn get_from(pages: &Pages, path: &str) -> (StatusCode, axum::http::HeaderMap, String) {
    let request = Request::builder().uri(path).header("host", "radio.test:8000").body(Body::empty()).unwrap();
    let response = routes(pages.clone()).oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_page_runs_only_its_own_script() {
    let (status, headers, body) = get_from(&pages(), "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    let empty = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(""));
    assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
    assert!(!policy.contains(&empty) && !policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    // Nothing that the policy would block, and no markup out of data.
    assert_eq!((body.matches("<script").count(), body.matches("<style").count()), (1, 1));
    for bad in ["innerHTML", "insertAdjacentHTML", "document.write", " style=\"", " onclick=", "http://", "https://"] {
        assert!(!body.contains(bad), "{bad}");
    }
}

#[tokio::test]
async fn the_status_is_json_with_what_the_page_reads() {
    let (status, headers, body) = get_from(&pages(), "/status.json").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "application/json"));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["mounts"][0]["name"], "/live.ogg");
    assert_eq!(json["cluster"]["can_lose"], 1);
    assert!(!body.contains("192.0.2.9") && !body.contains("argon2"), "{body}");
    // Each field that the script takes is there.
    for (kind, of) in
        [("node", &json["nodes"][0]), ("mount", &json["mounts"][0]), ("status", &json), ("cluster", &json["cluster"])]
    {
        for part in PAGE.split(&format!(" {kind}.")).skip(1).chain(PAGE.split(&format!("({kind}.")).skip(1)) {
            let field: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(of.get(&field).is_some(), "{kind}.{field} is not in {of}");
        }
    }
}

#[tokio::test]
async fn icecasts_form_may_be_read_from_other_sites() {
    let (status, headers, body) = get_from(&pages(), "/status-json.xsl").await;
    assert_eq!((status, headers["access-control-allow-origin"].to_str().unwrap()), (StatusCode::OK, "*"));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let source = &json["icestats"]["source"];
    assert_eq!(source["listeners"], 10, "{json}");
    assert_eq!(source["listenurl"], "http://radio.test:8000/live.ogg");
    for bad in ["", "a b", "a/b", "\"", "<x>"] {
        assert!(!is_host(bad), "{bad}");
    }
}

#[tokio::test]
async fn metrics_have_mounts_and_nodes() {
    let (_, headers, body) = get_from(&pages(), "/metrics").await;
    assert!(headers["content-type"].to_str().unwrap().contains("openmetrics"));
    for line in [
        "autoradio_mount_listeners{mount=\"/live.ogg\"} 5",
        "autoradio_node_fit{node=\"host3\"} 1",
        "autoradio_quorum 1",
    ] {
        assert!(body.lines().any(|l| l == line), "{line} is missing in\n{body}");
    }
}

#[tokio::test]
async fn healthz_has_a_reason() {
    let pages = pages();
    assert_eq!(get_from(&pages, "/healthz").await.0, StatusCode::OK);
    pages.metrics.set_ready(false);
    let (status, _, body) = get_from(&pages, "/healthz").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "the node is starting\n"));
    pages.stop.cancel();
    assert!(get_from(&pages, "/healthz").await.2.contains("stopping"));
    assert!(pages.metrics.uptime() < Duration::from_secs(60));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_text() {
    let (status, headers, body) = get_from(&pages(), "/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        headers["content-type"].to_str().unwrap().starts_with("text/plain") && body.contains("There is nothing here")
    );
}
