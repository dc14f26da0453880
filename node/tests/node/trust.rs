//! Trust between nodes: who gets in, and who does not.

use std::{path::Path, sync::Arc, time::Duration};

use autoradio_machine::{Command, Member, TrustCommand};
use autoradio_node::{
    caller::Asker,
    config::Config,
    context::Context,
    daemon::{Node, Start, StartError},
    peer::PeerUrl,
    trust::{Authority, CERTIFICATE_LIFE, Credentials, JoinToken, Keyring, PeerName, now_ms},
};
use autoradio_proto::peer::{ReadIndexRequest, peer_client::PeerClient};
use autoradio_store::Identity;
use tonic::{Code, Status};

use crate::support::{config, eventually, get, put};

/// A node's configuration that is reached by TLS.
fn secure(dir: &Path, name: &str) -> Config {
    let mut config = config(dir, name);
    config.peer_urls[0] = config.peer_urls[0].replace("http://", "https://");
    config
}

/// `init` with TLS.
async fn first(dir: &Path) -> (Config, Node) {
    let config = secure(dir, "n0");
    let node = Node::start_as(config.clone(), Start::Init).await.expect("the node starts");
    eventually("it can be written to", async || node.context().raft.barrier().await.ok()).await;
    (config, node)
}

/// `radioctl token create`.
async fn token(context: &Context, ttl_ms: u64) -> JoinToken {
    let credentials = context.peers.keyring().credentials().expect("the cluster speaks TLS");
    let token = JoinToken::create(credentials.ca()).expect("tokens can be made");
    let now_ms = now_ms();
    let create = TrustCommand::TokenCreate {
        id: token.id(),
        verify_key: token.verify_key(),
        learner: false,
        now_ms,
        ends_ms: now_ms + ttl_ms,
    };
    context.raft.propose(Command::Trust(create)).await.expect("the token is made");
    token
}

async fn join(at: &Config, config: &Config, token: JoinToken) -> Result<Node, StartError> {
    Node::start_as(config.clone(), Start::JoinByToken(at.peer_urls[0].clone(), token)).await
}

async fn votes(node: &Node, voters: usize) {
    eventually("it votes", async || (node.context().raft.status().voters.len() == voters).then_some(())).await;
}

async fn refusal(at: &Config, config: &Config, token: JoinToken) -> String {
    join(at, config, token).await.err().expect("it is not let in").to_string()
}

const MINUTE_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_by_token_speak_tls_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let (two, three) = (secure(dir.path(), "n1"), secure(dir.path(), "n2"));
    let node1 = join(&one, &two, token(node0.context(), MINUTE_MS).await).await.unwrap();
    votes(&node1, 2).await;
    put(node1.context(), "a", "1").await;
    // Voters get the CA's key, and can let others in.
    eventually("it has the CA's key", async || node1.context().peers.keyring().authority()).await;
    let node2 = join(&two, &three, token(node1.context(), MINUTE_MS).await).await.unwrap();
    votes(&node2, 3).await;
    eventually("it has caught up", async || get(node2.context(), "a")).await;
    node1.stop().await;
    let node1 = Node::start(two).await.unwrap();
    eventually("it is back", async || node1.context().raft.barrier().await.ok()).await;
    for node in [node2, node1, node0] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_that_is_no_good_has_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let two = secure(dir.path(), "n1");
    let context = node0.context();
    let other = JoinToken::create(Authority::create(9, now_ms() / 1_000).unwrap().certificate()).unwrap();
    let text = refusal(&one, &two, other).await;
    assert!(text.contains("of another cluster") && text.contains("nothing was said"), "{text}");
    let unknown = JoinToken::create(context.peers.keyring().credentials().unwrap().ca()).unwrap();
    let text = refusal(&one, &two, unknown).await;
    assert!(text.contains("knows no such join token") && text.contains("radioctl token create"), "{text}");
    let short = token(context, 1).await;
    let text = refusal(&one, &two, short).await;
    assert!(text.contains("ended"), "{text}");
    let revoked = token(context, MINUTE_MS).await;
    let revoke = TrustCommand::TokenRevoke { id: revoked.id(), now_ms: now_ms() };
    context.raft.propose(Command::Trust(revoke)).await.unwrap();
    let text = refusal(&one, &two, revoked).await;
    assert!(text.contains("was revoked"), "{text}");
    // Without TLS, to a cluster that has it.
    let plain = Start::Join(one.peer_urls[0].replace("https", "http"));
    let text = Node::start_as(two.clone(), plain).await.err().unwrap().to_string();
    assert!(text.contains("speaks TLS") && text.contains("radioctl token create"), "{text}");
    node0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_used_by_two_at_the_same_instant_lets_one_in() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let (two, three) = (secure(dir.path(), "n1"), secure(dir.path(), "n2"));
    let token = token(node0.context(), MINUTE_MS).await;
    let both = tokio::join!(join(&one, &two, token.clone()), join(&one, &three, token.clone()));
    let (winner, loser) = match both {
        (Ok(node), Err(error)) | (Err(error), Ok(node)) => (node, error.to_string()),
        (Ok(_), Ok(_)) => panic!("both were let in"),
        (Err(a), Err(b)) => panic!("nobody was let in: {a}; {b}"),
    };
    assert!(loser.contains("the join token was used") && loser.contains("works once"), "{loser}");
    votes(&winner, 2).await;
    assert_eq!(node0.context().raft.catalog().members.len(), 2);
    winner.stop().await;
    node0.stop().await;
}

/// A call as `from`, with what a keyring shows.
async fn call(at: &Config, keyring: &Keyring, from: u64, cluster: u64, target: u64) -> Result<(), Status> {
    let url: PeerUrl = at.peer_urls[0].parse().expect("a peer URL");
    let meant = PeerName { cluster_id: cluster, node_id: target };
    let me = Identity { cluster_id: cluster, node_id: from };
    let envelope = autoradio_node::peer::Envelope::new(&me, target);
    let mut client = PeerClient::with_interceptor(url.channel(keyring, meant), envelope);
    client.read_index(ReadIndexRequest { timeout_ms: 5_000 }).await.map(drop)
}

/// A keyring with a certificate of this CA, for this node.
fn keyring(dir: &Path, authority: &Authority, name: PeerName) -> Keyring {
    let data = dir.join(format!("keys-{}-{:x}", now_ms(), name.node_id));
    let key = rcgen::KeyPair::generate().expect("keys can be made");
    let now_s = now_ms() / 1_000;
    let issued = authority.issue(name, key.public_key_raw(), now_s, CERTIFICATE_LIFE).expect("it is issued");
    let credentials = Credentials::new(&key, issued, authority.certificate().clone()).expect("they fit");
    Keyring::found(&data, &credentials, None).expect("they are written");
    Keyring::open(&data, &Identity { cluster_id: name.cluster_id, node_id: name.node_id }).expect("they are read")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_without_the_right_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let context = node0.context();
    let (cluster, id) = (context.raft.cluster_id(), context.raft.node_id());
    let own: Arc<Authority> = context.peers.keyring().authority().expect("the first node has the CA's key");
    let name = |node_id| PeerName { cluster_id: cluster, node_id };

    // The right one gets in, as the node that it is of, and as no other.
    let right = keyring(dir.path(), &own, name(7));
    assert!(call(&one, &right, 7, cluster, id).await.is_ok());
    let lie = call(&one, &right, id, cluster, id).await.unwrap_err();
    assert_eq!(lie.code(), Code::PermissionDenied, "{lie}");
    assert!(lie.message().contains("the certificate is of"), "{lie}");

    // The other side must be the node that is meant.
    let elsewhere = call(&one, &right, 7, cluster, 0xbeef).await.unwrap_err();
    assert!(format!("{elsewhere:?}").contains("was meant"), "{elsewhere:?}");

    // Another CA with the same names: neither side believes the other.
    let foreign = keyring(dir.path(), &Authority::create(cluster, now_ms() / 1_000).unwrap(), name(7));
    let unknown = call(&one, &foreign, 7, cluster, id).await.unwrap_err();
    assert!(format!("{unknown:?}").contains("not of this cluster's CA"), "{unknown:?}");
    // Of this CA, with the name of a node of another cluster: the CA gives none.
    assert!(own.issue(PeerName { cluster_id: 9, node_id: 7 }, &[4; 65], 0, CERTIFICATE_LIFE).is_err());
    // One that has ended.
    let old = own.issue(name(7), right_key().public_key_raw(), 0, Duration::from_secs(1)).unwrap();
    assert!(old.not_after_s < now_ms() / 1_000);

    // A plain client on the TLS port.
    let plain: PeerUrl = one.peer_urls[0].replace("https", "http").parse().unwrap();
    let mut client = PeerClient::with_interceptor(
        plain.plain(),
        autoradio_node::peer::Envelope::new(&Identity { cluster_id: cluster, node_id: id }, id),
    );
    assert!(client.read_index(ReadIndexRequest { timeout_ms: 1_000 }).await.is_err());
    node0.stop().await;
}

fn right_key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate().expect("keys can be made")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let two = secure(dir.path(), "n1");
    let node1 = join(&one, &two, token(node0.context(), MINUTE_MS).await).await.unwrap();
    votes(&node1, 2).await;
    // Two thirds of its life are over: it is renewed within a tick, by the node itself or by another.
    let keyring = node1.context().peers.keyring();
    eventually("it has the CA's key", async || keyring.authority()).await;
    let (key, authority) = (right_key(), keyring.authority().unwrap());
    let then_s = now_ms() / 1_000 - 80 * 24 * 3_600;
    let old = authority.issue(keyring.name(), key.public_key_raw(), then_s, CERTIFICATE_LIFE).unwrap();
    let old_end = old.not_after_s;
    keyring.install(Credentials::new(&key, old, authority.certificate().clone()).unwrap()).unwrap();
    put(node1.context(), "meanwhile", "1").await;
    eventually("it is renewed", async || {
        (keyring.credentials()?.not_after_s() > old_end + 70 * 24 * 3_600).then_some(())
    })
    .await;
    put(node1.context(), "after", "1").await;
    eventually("the other has it", async || get(node0.context(), "after")).await;
    let members: Vec<Member> = node0.context().raft.catalog().members.values().map(|m| (**m).clone()).collect();
    assert!(members.iter().all(|member| member.peer_urls[0].starts_with("https://")), "{members:?}");
    node1.stop().await;
    node0.stop().await;
}

/// Copies a folder, as an administrator does who makes a second machine from the first.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_data_folder_is_noticed_and_both_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let (one, node0) = first(dir.path()).await;
    let two = secure(dir.path(), "n1");
    let node1 = join(&one, &two, token(node0.context(), MINUTE_MS).await).await.unwrap();
    votes(&node1, 2).await;
    node1.stop().await;
    let mut clone = secure(dir.path(), "copied");
    clone.name = "n1".into();
    copy(&two.data_dir, &clone.data_dir);
    let (node1, twin) = (Node::start(two.clone()).await.unwrap(), Node::start(clone.clone()).await.unwrap());
    for (node, config) in [(node1, two), (twin, clone)] {
        let mut fatal = node.watch_fatal();
        let told = tokio::time::timeout(crate::support::LIMIT * 2, fatal.wait_for(Option::is_some)).await;
        let reason = told.expect("it is told in time").expect("the node runs").clone().unwrap();
        assert!(reason.contains("with this node's id") && reason.contains("join anew"), "{reason}");
        node.stop().await;
        let again = Node::start(config).await.err().expect("it does not start again").to_string();
        assert!(again.contains("was copied"), "{again}");
    }
    node0.stop().await;
}

/// Writes by each node in turn until told to end; how many writes were taken.
async fn write_on(contexts: Vec<Context>, stop: tokio_util::sync::CancellationToken) -> usize {
    let mut written = 0;
    for context in contexts.iter().cycle() {
        if stop.is_cancelled() {
            break;
        }
        let value = written.to_string();
        let put = autoradio_machine::PutRequest {
            key: "on and on".into(),
            value: value.into(),
            ..autoradio_machine::PutRequest::default()
        };
        // A write may fall into an election, on a busy machine; what counts is that they go on.
        if context.raft.propose(Command::Put(put)).await.is_ok() {
            written += 1;
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_cluster_changes_to_tls_while_it_is_written_to() {
    let mut cluster = crate::support::Cluster::start(3).await;
    let contexts: Vec<Context> = cluster.running().cloned().collect();
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = tokio::spawn(write_on(contexts.clone(), stop.clone()));
    autoradio_node::peer::begin_tls(&contexts[1].raft, &Asker::trusted("anna", "")).await.unwrap();
    autoradio_node::peer::begin_tls(&contexts[1].raft, &Asker::trusted("anna", "")).await.unwrap();
    let is_tls = |context: &Context| context.peers.keyring().wire() == autoradio_node::trust::Wire::Tls;
    eventually("all refuse plain connections", async || contexts.iter().all(is_tls).then_some(())).await;
    put(&contexts[0], "after", "1").await;
    for context in &contexts {
        eventually("it hears of it", async || get(context, "after")).await;
        let members = context.raft.catalog().members;
        assert!(members.values().all(|member| member.peer_urls[0].starts_with("https://")), "{members:?}");
        eventually("it has the CA's key", async || context.peers.keyring().authority()).await;
    }
    stop.cancel();
    assert!(writer.await.unwrap() > 0, "writes went on");
    // Plain connections are at an end; a node whose configuration still says http:// comes back by TLS.
    let plain = cluster.configs[0].peer_urls[0].clone();
    assert!(plain.starts_with("http://"));
    assert_ne!(autoradio_node::peer::probe(&plain).await, Some(true));
    cluster.stop(2).await;
    cluster.restart(2).await;
    let back = cluster.context(2).clone();
    eventually("it is back", async || back.raft.barrier().await.ok()).await;
    // A fourth joins by a token.
    let dir = tempfile::tempdir().unwrap();
    let mut at = cluster.configs[1].clone();
    at.peer_urls[0] = at.peer_urls[0].replace("http://", "https://");
    let fourth = secure(dir.path(), "n3");
    let node = join(&at, &fourth, token(cluster.context(1), MINUTE_MS).await).await.unwrap();
    // It learns, since the number of voters stays odd.
    let context = node.context();
    let learns = async || context.raft.status().learners.contains(&context.raft.node_id()).then_some(());
    eventually("it learns", learns).await;
    eventually("it hears of it", async || get(context, "after")).await;
    node.stop().await;
    cluster.shutdown().await;
}
