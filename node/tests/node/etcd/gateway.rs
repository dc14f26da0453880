//! The JSON gateway, as curl uses it, and reflection.

use tokio_stream::StreamExt;

use super::{
    http::{Lines, call, request},
    kv, put,
};
use crate::support::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_written_and_read_in_json() {
    let cluster = Cluster::start(1).await;
    let at = cluster.configs[0].client_listen[0];
    let done = call(at, "/v3/kv/put", r#"{"key":"YQ==","value":"MQ==","prev_kv":true}"#).await;
    assert_eq!(done.code, 200, "{}", done.body);
    assert!(done.head.contains("content-type: application/json"), "{}", done.head);
    let header = done.json()["header"].clone();
    assert_eq!(header["cluster_id"], cluster.context(0).raft.cluster_id().to_string(), "64-bit numbers are strings");

    let found =
        call(at, "/v3beta/kv/range", r#"{"key":"YQ==","sortOrder":"DESCEND","sort_target":"MOD"}"#).await.json();
    assert_eq!((&found["count"], &found["kvs"][0]["value"]), (&"1".into(), &"MQ==".into()), "{found}");
    assert!(found.get("more").is_none(), "what is false is left out: {found}");
    let txn = r#"{"compare":[{"key":"YQ==","target":"VALUE","value":"MQ=="}],
        "success":[{"requestPut":{"key":"YQ==","value":"Mg=="}},{"request_range":{"key":"YQ=="}}]}"#;
    let done = call(at, "/v3/kv/txn", txn).await.json();
    assert_eq!(done["succeeded"], true, "{done}");
    assert_eq!(done["responses"][1]["response_range"]["kvs"][0]["value"], "Mg==", "{done}");
    let gone = call(at, "/v3/kv/deleterange", r#"{"key":"YQ=="}"#).await.json();
    assert_eq!(gone["deleted"], "1", "{gone}");
    let members = call(at, "/v3/cluster/member/list", "{}").await.json();
    assert_eq!(members["members"][0]["name"], "n0", "{members}");
    assert_eq!(members["members"][0]["clientURLs"][0], cluster.configs[0].client_urls[0], "{members}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_etcds() {
    let cluster = Cluster::start(1).await;
    let at = cluster.configs[0].client_listen[0];
    let empty = call(at, "/v3/kv/range", "").await;
    let want = r#"{"error":"etcdserver: key is not provided","code":3,"message":"etcdserver: key is not provided"}"#;
    assert_eq!((empty.code, empty.body.as_str()), (400, want));
    let codes = [
        ("/v3/kv/range", r#"{"key":"a!"}"#, 400, 3),
        ("/v3/kv/range", r#"{"key":"#, 400, 3),
        ("/v3/kv/compaction", r#"{"revision":"100000"}"#, 400, 11),
        ("/v3/lease/revoke", r#"{"ID":"77"}"#, 404, 5),
        ("/v3/election/leader", r#"{"name":"YQ=="}"#, 500, 2),
        ("/v3/kv/put", r#"{"key":"YXV0b3JhZGlvL21vdW50cy9h","value":"MQ=="}"#, 400, 3),
    ];
    for (path, body, http, grpc) in codes {
        let refused = call(at, path, body).await;
        assert_eq!((refused.code, &refused.json()["code"]), (http, &grpc.into()), "{path} {body}: {}", refused.body);
    }
    for method in ["GET", "PUT", "DELETE"] {
        let refused = request(at, method, "/v3/kv/range", "", "").await;
        assert!(refused.code == 405 && refused.head.contains("allow: post"), "{method}: {}", refused.head);
    }
    for path in ["/v3/nothing", "/v3alpha/kv/range", "/v3", "/v3/kv/range/"] {
        assert_eq!(call(at, path, "{}").await.code, 404, "{path}");
    }
    let page = request(at, "POST", "/v3/kv/range", "Origin: http://evil.example\r\n", r#"{"key":"YQ=="}"#).await;
    assert!(page.code == 403 && page.body.contains("web pages"), "{}", page.body);
    let large = format!(r#"{{"key":"YQ==","value":"{}"}}"#, "A".repeat(3 << 20));
    assert_eq!(call(at, "/v3/kv/put", &large).await.code, 429);
    let too_large = format!(r#"{{"key":"YQ==","value":"{}"}}"#, "A".repeat(2_100_000));
    let refused = call(at, "/v3/kv/put", &too_large).await;
    assert!(refused.code == 400 && refused.body.contains("request is too large"), "{}", refused.body);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_lines() {
    let cluster = Cluster::start(1).await;
    let at = cluster.configs[0].client_listen[0];
    kv(&cluster, 0).put(put("a", "1")).await.unwrap();
    let asked = r#"{"create_request":{"key":"YQ==","start_revision":"1"}}
        {"createRequest":{"key":"Yg=="}}"#;
    let mut lines = Lines::open(at, "/v3/watch", asked).await;
    let (mut created, mut values) = (0, Vec::new());
    while created < 2 || values.is_empty() {
        let result = lines.next().await["result"].clone();
        created += usize::from(result["created"] == true);
        let events = result["events"].as_array().cloned().unwrap_or_default();
        values.extend(events.iter().map(|event| event["kv"]["value"].clone()));
    }
    assert_eq!(values, ["MQ=="]);
    kv(&cluster, 0).put(put("b", "2")).await.unwrap();
    let event = lines.next().await["result"]["events"][0].clone();
    assert_eq!((&event["kv"]["key"], &event["kv"]["value"]), (&"Yg==".into(), &"Mg==".into()), "{event}");
    let mut broken = Lines::open(at, "/v3/watch", r#"{"create_request":{"key":"a!"}}"#).await;
    let error = broken.next().await["error"].clone();
    assert_eq!((&error["grpc_code"], &error["http_code"]), (&3.into(), &400.into()), "{error}");

    let granted = call(at, "/v3/lease/grant", r#"{"TTL":"100","ID":"7"}"#).await.json();
    assert_eq!((&granted["ID"], &granted["TTL"]), (&"7".into(), &"100".into()), "{granted}");
    let kept = call(at, "/v3/lease/keepalive", r#"{"ID":"7"}"#).await;
    assert!(kept.body.contains(r#"{"result":{"header":"#) && kept.body.contains(r#""ID":"7""#), "{}", kept.body);
    let left = call(at, "/v3/kv/lease/timetolive", r#"{"ID":"7"}"#).await.json();
    assert_eq!(left["grantedTTL"], "100", "{left}");
    let saved = call(at, "/v3/maintenance/snapshot", "{}").await;
    assert!(
        saved.code == 200 && saved.body.contains(r#"{"result":{"#) && saved.body.contains("blob"),
        "{}",
        saved.head
    );
    let locked = call(at, "/v3/lock/lock", r#"{"name":"bA=="}"#).await.json();
    assert!(locked["key"].is_string(), "{locked}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_told_by_reflection() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let cluster = Cluster::start(1).await;
    let mut client = ServerReflectionClient::new(super::channel(&cluster, 0));
    let ask = |request| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        tokio_stream::once(request)
    };
    let list = client.server_reflection_info(ask(MessageRequest::ListServices(String::new()))).await.unwrap();
    let answer = list.into_inner().next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["etcdserverpb.KV", "v3lockpb.Lock", "grpc.health.v1.Health", "autoradio.admin.v1.Admin"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("peer")), "other nodes' services are not for clients: {names:?}");
    let file = MessageRequest::FileContainingSymbol("etcdserverpb.KV.Range".into());
    let found = client.server_reflection_info(ask(file)).await.unwrap().into_inner().next().await.unwrap().unwrap();
    assert!(matches!(found.message_response, Some(MessageResponse::FileDescriptorResponse(_))), "{found:?}");
    cluster.shutdown().await;
}
