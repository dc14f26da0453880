//! Claims, mounts and nodes as they come and go.

use autoradio_machine::{Command, MountName, Origin, claim_origin};

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
