//! Claims, mounts and nodes as they come and go.

use autoradio_machine::{Command, DeleteRequest, MountName, Origin, PutRequest, claim_origin};

use autoradio_proto::admin::SetDrainedRequest;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_no_source_stands_behind_is_given_back() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    create(context, "/live", MountSettings::default()).await;
    let lease = eventually("the node has its lease", async || *context.raft.watch_node_lease().borrow()).await;
    let origin = Origin {
        node: context.raft.node_id(),
        content_type: "audio/mpeg".into(),
        source: String::new(),
        user_agent: String::new(),
        ice: [].into(),
    };
    let mount = MountName::parse("/live").unwrap();
    context.raft.propose(Command::Txn(claim_origin(&mount, 0, &origin, lease))).await.expect("claimed");
    assert!(!context.raft.catalog().origins.is_empty());
    eventually("the claim is given back", async || context.raft.catalog().origins.is_empty().then_some(())).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_takes_a_source_only_where_no_other_node_would() {
    let cluster = Cluster::start(2).await;
    let (here, other) = (cluster.context(0), cluster.context(1));
    let mounted = create(here, "/live", MountSettings::default()).await;
    let drain = async |node: &str| {
        let request = SetDrainedRequest { node: node.into(), drained: true };
        admin(here).await.set_drained(request).await.expect("drained");
        eventually("the nodes know", async || {
            let knows = |context: &&Context| {
                context.view.now().catalog.members.values().any(|member| member.name == node && member.drained)
            };
            let ready = |context: &Context| context.view.now().loads.values().all(|heard| heard.load.ready);
            cluster.running().all(|context| knows(&context) && ready(context)).then_some(())
        })
        .await;
    };
    drain("n0").await;
    let put = format!("PUT /live HTTP/1.0\r\nAuthorization: {}\r\nContent-Type: audio/mpeg\r\n\r\n", mounted.login);
    let refused = ask(here, &put).await;
    assert!(refused.starts_with("HTTP/1.0 503 ") && refused.contains("this node is drained"), "{refused}");
    drop(source(other, &mounted, "/live", "").await);
    drain("n1").await;
    eventually("the claim is given back", async || here.raft.catalog().origins.is_empty().then_some(())).await;
    source(here, &mounted, "/live", "").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_was_deleted_and_made_anew_is_heard_on_every_node() {
    let cluster = Cluster::start(2).await;
    let (here, other) = (cluster.context(0), cluster.context(1));
    for round in ["first;", "second;"] {
        let mounted = create(here, "/live", MountSettings::default()).await;
        let mut sender = source(here, &mounted, "/live", "").await;
        sender.write_all(round.as_bytes()).await.unwrap();
        eventually("the origin is known", async || (!other.raft.catalog().origins.is_empty()).then_some(())).await;
        let (mut stream, _) = listener(other, "/live", "").await;
        assert_eq!(read_to(&mut stream, ";").await, round);
        admin(here).await.delete_mount(DeleteMountRequest { name: "/live".into() }).await.expect("deleted");
        assert_eq!(read_to(&mut stream, "never").await, "");
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_is_made_anew_at_once_keeps_nobody_of_the_one_before() {
    let cluster = Cluster::start(2).await;
    let (here, other) = (cluster.context(0), cluster.context(1));
    let mounted = create(here, "/live", MountSettings::default()).await;
    let mut sender = source(here, &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    eventually("the origin is known", async || (!other.raft.catalog().origins.is_empty()).then_some(())).await;
    let (mut stream, _) = listener(other, "/live", "").await;
    assert_eq!(read_to(&mut stream, ";").await, "one;");
    // Both in one entry of the log, or nearly: nobody need see that there was no mount in between.
    let name = MountName::parse("/live").unwrap();
    let value = here.raft.catalog().mounts[&name].to_json();
    let delete = Command::Delete(DeleteRequest { key: name.key(), ..DeleteRequest::default() });
    let again = Command::Put(PutRequest { key: name.key(), value, ..PutRequest::default() });
    let (deleted, made) = tokio::join!(here.raft.propose(delete), here.raft.propose(again.clone()));
    deleted.expect("deleted");
    made.expect("written");
    // In whichever order they came.
    here.raft.propose(again).await.expect("written");
    assert_eq!(read_to(&mut stream, "never").await, "", "the listener is let go");
    assert_eq!(read_to(&mut sender, "never").await, "", "the source is let go");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_stays_while_the_source_does_without_a_hold_and_with_its_sending_side_closed() {
    let cluster = Cluster::start(1).await;
    let context = cluster.context(0);
    let settings = MountSettings { hold_ms: Some(0), ..MountSettings::default() };
    let mounted = create(context, "/live", settings).await;
    let mut sender = source(context, &mounted, "/live", "").await;
    sender.write_all(b"one;").await.unwrap();
    let (mut stream, _) = listener(context, "/live", "").await;
    stream.shutdown().await.unwrap();
    assert_eq!(read_to(&mut stream, ";").await, "one;");
    let mut page = send(context, "GET /status.json HTTP/1.1\r\nHost: a\r\n\r\n").await;
    page.shutdown().await.unwrap();
    assert!(head_of(&mut page).await.starts_with("HTTP/1.1 200 "));
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    sender.write_all(b"two;").await.unwrap();
    assert_eq!(read_to(&mut stream, ";").await, "two;");
    drop(sender);
    assert_eq!(read_to(&mut stream, "never").await, "", "let go with the source");
    cluster.shutdown().await;
}
