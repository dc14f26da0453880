//! Simple tokens: where they are valid, for how long, and through the gateway.

use std::time::Duration;

use tonic::Code;

use super::{
    auth::{BAD_TOKEN, guarded, owned, token, with},
    http::{Answer, call, request},
    kv, put, range, seen,
};
use crate::support::{Cluster, eventually};

/// How many tokens a node knows.
fn known(cluster: &Cluster, index: usize) -> usize {
    cluster.context(index).raft.read(|machine| machine.auth_tokens().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_the_leader_and_are_valid_at_a_node_that_was_away() {
    let (mut cluster, root, user) = guarded(3, Duration::from_secs(300)).await;
    let leader = cluster.leader().await;
    let rest: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    cluster.stop(leader).await;
    let mut tokens = vec![root, user];
    for &index in &rest {
        for token in &tokens {
            let mut client = kv(&cluster, index);
            eventually("it is taken where another leads", async || {
                match client.put(with(token, put("m", "1"))).await {
                    Ok(_) => Some(()),
                    // None leads yet: nothing but that may be said.
                    Err(status) => {
                        assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status:?}");
                        None
                    }
                }
            })
            .await;
        }
    }
    // Given out while it was away.
    tokens.push(token(&cluster, rest[0], "u", "upw").await);
    cluster.restart(leader).await;
    for token in &tokens {
        for index in 0..3 {
            let mut client = kv(&cluster, index);
            let found = eventually("it reads", async || client.range(with(token, range("m", ""))).await.ok()).await;
            assert_eq!(found.into_inner().count, 1);
        }
    }
    assert_eq!(seen(kv(&cluster, leader).range(with("made.up", range("m", ""))).await), owned(BAD_TOKEN));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_ends_tokens_that_are_not_used() {
    let (mut cluster, _, user) = guarded(3, Duration::from_secs(3)).await;
    let leader = cluster.leader().await;
    let other = cluster.follower().await;
    cluster.stop(leader).await;
    // To ask for one would be a use of it.
    eventually("all have ended", async || (known(&cluster, other) == 0).then_some(())).await;
    assert_eq!(seen(kv(&cluster, other).range(with(&user, range("m", ""))).await), owned(BAD_TOKEN));
    let fresh = token(&cluster, other, "u", "upw").await;
    kv(&cluster, other).range(with(&fresh, range("m", ""))).await.expect("another is given out");
    cluster.shutdown().await;
}

/// The code of HTTP, that of gRPC, and the text.
fn told(answer: &Answer) -> (u16, i64, String) {
    let json = answer.json();
    let code = json["code"].as_i64().expect("a refusal has a code");
    (answer.code, code, json["message"].as_str().expect("and a text").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_gives_out_tokens_and_takes_them_in_its_header() {
    let (cluster, root, _) = guarded(3, Duration::from_secs(300)).await;
    let ports: Vec<_> = cluster.configs.iter().map(|config| config.client_listen[0]).collect();
    let wrong = call(ports[0], "/v3/auth/authenticate", r#"{"name":"u","password":"no"}"#).await;
    let failed = "etcdserver: authentication failed, invalid user ID or password";
    assert_eq!(told(&wrong), (400, 3, failed.to_owned()));
    let given = call(ports[0], "/v3/auth/authenticate", r#"{"name":"u","password":"upw"}"#).await;
    assert_eq!(given.code, 200, "{}", given.body);
    let token = given.json()["token"].as_str().expect("there is one").to_owned();
    // m and z.
    let (mine, theirs) = (r#"{"key":"bQ==","value":"MQ=="}"#, r#"{"key":"eg==","value":"MQ=="}"#);
    for &at in &ports {
        let put = async |token: &str, body| {
            let header = if token.is_empty() { String::new() } else { format!("Authorization: {token}\r\n") };
            request(at, "POST", "/v3/kv/put", &header, body).await
        };
        for form in [token.clone(), format!("Bearer {token}")] {
            let done = put(&form, mine).await;
            assert_eq!(done.code, 200, "{}", done.body);
        }
        assert_eq!(told(&put(&token, theirs).await), (403, 7, "etcdserver: permission denied".to_owned()));
        assert_eq!(told(&put("made.up", mine).await), (401, 16, "etcdserver: invalid auth token".to_owned()));
        assert_eq!(told(&put("", mine).await), (400, 3, "etcdserver: user name is empty".to_owned()));
        assert_eq!(put(&root, theirs).await.code, 200, "one that was got by gRPC");
    }
    // And one that was got here, by gRPC.
    let found = kv(&cluster, 1).range(with(&token, range("m", ""))).await.expect("it is valid").into_inner();
    assert_eq!(found.count, 1);
    cluster.shutdown().await;
}
