//! Claims, mounts and nodes as they come and go.

use autoradio_machine::{Command, MountName, Origin, claim_origin};

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
            cluster.running().all(|context| knows(&context)).then_some(())
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
