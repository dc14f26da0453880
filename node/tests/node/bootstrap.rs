//! etcd's bootstrap, literally: a list of one, members added by the v2 API before they start, lists copied into them.

use std::path::Path;

use autoradio_node::{
    config::{ClusterState, Config},
    daemon::{Node, StartError},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{config, eventually, get, put};

/// One request to a node's client port: status and body.
async fn ask(config: &Config, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(config.client_listen[0]).await.expect("the node listens");
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}");
    stream
        .write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
        .await
        .expect("the node reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the node answers in text");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an answer has a status");
    (code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// A node as the first file of the instructions has it.
async fn first(dir: &Path) -> (Config, Node) {
    let mut config = config(dir, "node1");
    config.initial_cluster = vec![("node1".into(), config.peer_urls[0].clone())];
    let node = Node::start(config.clone()).await.expect("the node starts");
    eventually("it can be written to", async || node.context().raft.barrier().await.ok()).await;
    eventually("it has started", async || {
        let (_, members) = ask(&config, "GET", "/v2/members", "").await;
        members.contains(r#""name":"node1""#).then_some(())
    })
    .await;
    (config, node)
}

/// `etcdctl member add`: the id, and the list to copy as etcdctl 2 prints it.
async fn add(at: &Config, new: &Config) -> (String, Vec<(String, String)>) {
    let body = format!(r#"{{"peerURLs":["{}"]}}"#, new.peer_urls[0]);
    let (code, member) = ask(at, "POST", "/v2/members", &body).await;
    assert_eq!(code, 201, "{member}");
    let id = field(&serde_json::from_str(&member).expect("a member is JSON"), "id");
    let (_, members) = ask(at, "GET", "/v2/members", "").await;
    let members: serde_json::Value = serde_json::from_str(&members).expect("a list is JSON");
    let entry = |member: &serde_json::Value| {
        let name = if field(member, "id") == id { new.name.clone() } else { field(member, "name") };
        (name, member["peerURLs"][0].as_str().expect("a member has a peer URL").to_owned())
    };
    let list = members["members"].as_array().expect("members are a list").iter().map(entry).collect();
    (id, list)
}

fn field(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().expect("the field is there").to_owned()
}

async fn is_voter(node: &Node, voters: usize) {
    let context = node.context();
    eventually("it votes", async || {
        let status = context.raft.status();
        (status.voters.len() == voters && status.voters.contains(&context.raft.node_id())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_added_at_once_and_join_with_their_lists_and_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node1) = first(dir.path()).await;
    let (mut two, mut three) = (config(dir.path(), "host2"), config(dir.path(), "host3"));
    let (id2, list2) = add(&one, &two).await;
    let (id3, list3) = add(&one, &three).await;
    assert!(list3.iter().any(|(name, _)| name.is_empty()), "host2 has not started: {list3:?}");
    put(node1.context(), "before", "1").await;
    assert_eq!(node1.context().raft.status().voters.len(), 1, "who has not started is not counted");

    // The file is left at `new` on one of them.
    (two.initial_cluster, two.initial_cluster_state) = (list2, ClusterState::New);
    (three.initial_cluster, three.initial_cluster_state) = (list3, ClusterState::Existing);
    let (node2, node3) = tokio::join!(Node::start(two.clone()), Node::start(three));
    let (node2, node3) = (node2.unwrap(), node3.unwrap());
    for (node, id) in [(&node2, &id2), (&node3, &id3)] {
        is_voter(node, 3).await;
        assert_eq!(&format!("{:x}", node.context().raft.node_id()), id, "the id that it was given");
        assert_eq!(get(node.context(), "before").as_deref(), Some("1"));
    }
    eventually("all are listed by name", async || {
        let (_, members) = ask(&two, "GET", "/v2/members", "").await;
        ["node1", "host2", "host3"].iter().all(|name| members.contains(&format!(r#""name":"{name}""#))).then_some(())
    })
    .await;
    let (code, leader) = ask(&two, "GET", "/v2/members/leader", "").await;
    assert!(code == 200 && leader.contains("node1"), "{leader}");
    let (code, _) = ask(&two, "DELETE", &format!("/v2/members/{id3}"), "").await;
    assert_eq!(code, 204);
    for node in [node3, node2, node1] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_etcds() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node) = first(dir.path()).await;
    let two = config(dir.path(), "host2");
    let id = add(&one, &two).await.0;
    let body = format!(r#"{{"peerURLs":["{}"]}}"#, two.peer_urls[0]);
    let conflict = (409, r#"{"message":"membership: peerURL exists"}"#.to_owned());
    assert_eq!(ask(&one, "POST", "/v2/members", &body).await, conflict);
    let taken = format!(r#"{{"peerURLs":["{}"]}}"#, one.peer_urls[0]);
    assert_eq!(ask(&one, "PUT", &format!("/v2/members/{id}"), &taken).await, conflict);
    let moved = r#"{"peerURLs":["http://127.0.0.1:1"]}"#;
    assert_eq!(ask(&one, "PUT", &format!("/v2/members/{id}"), moved).await, (204, String::new()));
    let unknown = (404, r#"{"message":"No such member: 1234"}"#.to_owned());
    assert_eq!(ask(&one, "PUT", "/v2/members/1234", &body).await, unknown);
    assert_eq!(ask(&one, "DELETE", "/v2/members/1234", "").await, unknown);
    assert_eq!(ask(&one, "DELETE", &format!("/v2/members/{id}"), "").await, (204, String::new()));
    let gone = (410, format!(r#"{{"message":"Member permanently removed: {id}"}}"#));
    assert_eq!(ask(&one, "DELETE", &format!("/v2/members/{id}"), "").await, gone);
    let kind = (415, r#"{"message":"Bad Content-Type , accept application/json"}"#.to_owned());
    assert_eq!(ask(&one, "POST", "/v2/members", "").await, kind);
    assert_eq!(ask(&one, "POST", "/v2/members", "{}").await, (400, r#"{"message":"no valid URLs given"}"#.to_owned()));
    assert_eq!(ask(&one, "DELETE", "/v2/members", "").await.0, 405);
    for (path, part) in
        [("self", r#""state":"StateLeader""#), ("store", r#""watchers":0"#), ("leader", r#""followers":{}"#)]
    {
        let (code, stats) = ask(&one, "GET", &format!("/v2/stats/{path}"), "").await;
        assert!(code == 200 && stats.contains(part), "{stats}");
        assert_eq!(ask(&one, "POST", &format!("/v2/stats/{path}"), "").await.0, 405);
    }
    assert_eq!(ask(&one, "GET", "/v2/keys/", "").await.0, 404);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_not_added_or_has_run_before_is_not_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node1) = first(dir.path()).await;
    let mut two = config(dir.path(), "host2");
    two.initial_cluster = vec![("node1".into(), one.peer_urls[0].clone()), ("host2".into(), two.peer_urls[0].clone())];
    for state in [ClusterState::Existing, ClusterState::New] {
        two.initial_cluster_state = state;
        let stranger = Node::start(two.clone()).await.err().unwrap().to_string();
        assert!(
            stranger.contains("member count is unequal: host2") && stranger.contains("has not been added"),
            "{stranger}"
        );
    }
    let (id, _) = add(&one, &two).await;
    let node2 = Node::start(two.clone()).await.unwrap();
    is_voter(&node2, 2).await;
    assert_eq!(format!("{:x}", node2.context().raft.node_id()), id);
    let mut emptied = config(dir.path(), "host2");
    emptied.peer_urls = node2.context().config.peer_urls.clone();
    emptied.data_dir = dir.path().join("emptied");
    emptied.initial_cluster = node2.context().config.initial_cluster.clone();
    let again = Node::start(emptied).await.err().unwrap().to_string();
    assert!(again.contains(&format!("member {id} has already been bootstrapped")), "{again}");
    node2.stop().await;
    node1.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_one_that_is_to_exist_has_nobody_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = config(dir.path(), "node1");
    one.initial_cluster = vec![("node1".into(), one.peer_urls[0].clone())];
    one.initial_cluster_state = ClusterState::Existing;
    let nobody = Node::start(one).await.err().unwrap();
    assert!(matches!(nobody, StartError::NobodyAnswered { .. }), "{nobody}");
    assert!(nobody.to_string().starts_with("cannot fetch cluster info from peer urls"), "{nobody}");
}
