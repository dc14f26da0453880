//! `/metrics`, `/health` and `/version` on the client port.

use super::{http::request, kv, put, watch};
use crate::support::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn etcds_names_stand_beside_ours() {
    let cluster = Cluster::start(1).await;
    let at = cluster.configs[0].client_listen[0];
    let mut watching = super::Watching::open(&cluster, 0).await;
    watching.create(watch("w", "", 0)).await;
    kv(&cluster, 0).put(put("a", "1")).await.unwrap();
    let read = async |name: &str| {
        let page = request(at, "GET", "/metrics", "", "").await;
        assert!(page.code == 200 && page.head.contains("text/plain; version=0.0.4"), "{}", page.head);
        let value = page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is missing in\n{}", page.body)).to_owned()
    };
    for (name, value) in [
        ("etcd_server_has_leader", "1"),
        ("etcd_server_is_leader", "1"),
        ("etcd_server_leader_changes_seen_total", "1"),
        ("etcd_server_proposals_failed_total", "0"),
        ("etcd_debugging_mvcc_watcher_total", "1"),
        ("etcd_debugging_mvcc_watch_stream_total", "1"),
        ("autoradio_raft_leader", "1"),
    ] {
        assert_eq!(read(name).await, value, "{name}");
    }
    let number = async |name: &str| read(name).await.parse::<u64>().expect("it is a number");
    assert!(number("etcd_mvcc_db_total_size_in_bytes").await > 0);
    // The member, its lease's key if any, and `a`.
    assert!(number("etcd_debugging_mvcc_keys_total").await >= 2);
    let applied = number("etcd_server_proposals_applied_total").await;
    assert!(applied > 0 && number("etcd_server_proposals_committed_total").await >= applied);
    let kv = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put""#;
    assert_eq!(read(&format!("grpc_server_started_total{{{kv}}}")).await, "1");
    assert_eq!(read(&format!(r#"grpc_server_handled_total{{{kv},grpc_code="OK"}}"#)).await, "1");
    assert!(number("process_resident_memory_bytes").await > 0);
    drop(watching);
    eventually("the watch is gone", async || (read("etcd_debugging_mvcc_watcher_total").await == "0").then_some(()))
        .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_take_get_and_head_and_nothing_else() {
    let cluster = Cluster::start(1).await;
    let at = cluster.configs[0].client_listen[0];
    for path in ["/health", "/version", "/metrics"] {
        assert_eq!(request(at, "GET", path, "", "").await.code, 200, "{path}");
        let head = request(at, "HEAD", path, "", "").await;
        assert!(head.code == 200 && head.body.is_empty(), "{path}: {}", head.body);
        let post = request(at, "POST", path, "", "").await;
        assert!(post.code == 405 && post.head.contains("allow: get"), "{path}: {}", post.head);
    }
    for path in ["/", "/nope", "/healthz", "/livez", "/v2/keys/a"] {
        assert_eq!(request(at, "GET", path, "", "").await.code, 404, "{path}");
    }
    let here = request(at, "GET", "/health?serializable=true&exclude=NOSPACE", "", "").await;
    assert_eq!((here.code, here.body.as_str()), (200, r#"{"health":"true","reason":""}"#));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_node_is_not_healthy_and_says_that_it_lives() {
    let mut cluster = Cluster::start(3).await;
    for index in [1, 2] {
        cluster.stop(index).await;
    }
    let at = cluster.configs[0].client_listen[0];
    let sick = eventually("it has noticed", async || {
        let health = request(at, "GET", "/health", "", "").await;
        (health.code == 503).then_some(health)
    })
    .await;
    assert_eq!(sick.json()["health"], "false", "a string, as etcdctl 2 wants it");
    assert_eq!(sick.json()["reason"], "RAFT NO LEADER");
    assert_eq!(request(at, "GET", "/health?serializable=true", "", "").await.code, 200);
    cluster.shutdown().await;
}
