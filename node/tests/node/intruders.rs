//! Those who try to get in: without a certificate, with what another sent, with words in the wrong place.

use autoradio_machine::{Command, MemberAdd, TrustCommand};
use autoradio_node::{
    config::Config,
    daemon::{Node, Start},
    peer::Envelope,
    trust::{EXPORTER_BYTES, EXPORTER_LABEL, JoinClaim, JoinToken, JoinVerifier, KeyProof, key_hash, now_ms, sign_key},
};
use autoradio_proto::peer::{
    CertifyRequest, HandOverRequest, JoinRequest, ReadIndexRequest, join_client::JoinClient, peer_client::PeerClient,
};
use autoradio_store::Identity;
use hyper_util::rt::TokioIo;
use tonic::{
    Code,
    transport::{Channel, Endpoint, Uri},
};

use crate::support::{config, eventually};

/// A connection without a certificate, and what only its two ends know.
async fn connect(at: &Config, token: &JoinToken) -> (Channel, [u8; EXPORTER_BYTES]) {
    let verifier = JoinVerifier::new(token.ca_hash());
    let connector = tokio_rustls::TlsConnector::from(verifier.client_config());
    let stream = tokio::net::TcpStream::connect(at.peer_listen[0]).await.expect("the node listens");
    let name = rustls_pki_types::ServerName::try_from("peer.invalid").expect("a name");
    let stream = connector.connect(name, stream).await.expect("the node shows its CA's certificate");
    let exporter = stream.get_ref().1.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None);
    let exporter = exporter.expect("TLS 1.3 has exporters");
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("used")))
    });
    let endpoint = Endpoint::from_static("http://peer.invalid");
    (endpoint.connect_with_connector(connector).await.expect("HTTP/2 is spoken"), exporter)
}

async fn first(dir: &std::path::Path) -> (Config, Node, JoinToken) {
    let mut config = config(dir, "n0");
    config.peer_urls[0] = config.peer_urls[0].replace("http://", "https://");
    let node = Node::start_as(config.clone(), Start::Init).await.expect("the node starts");
    let raft = &node.context().raft;
    eventually("it can be written to", async || raft.barrier().await.ok()).await;
    let ca = node.context().peers.keyring().credentials().expect("it has a certificate");
    let token = JoinToken::create(ca.ca()).expect("tokens can be made");
    let (now_ms, verify_key) = (now_ms(), token.verify_key());
    let ends_ms = now_ms + 60_000;
    let create = TrustCommand::TokenCreate { id: token.id(), verify_key, learner: false, now_ms, ends_ms };
    raft.propose(Command::Trust(create)).await.expect("the token is made");
    (config, node, token)
}

/// What an honest node would send over a connection with this exporter.
fn request(cluster_id: u64, token: &JoinToken, key: &rcgen::KeyPair, exporter: &[u8; EXPORTER_BYTES]) -> JoinRequest {
    let peer_urls = vec!["https://127.0.0.1:9".to_owned()];
    let public_key = key.public_key_raw();
    let claim = JoinClaim { exporter, cluster_id, token: token.id(), name: "n1", peer_urls: &peer_urls, public_key };
    let proof = KeyProof { cluster_id, node_id: 0, public_key };
    JoinRequest {
        name: "n1".into(),
        token_proof: token.sign(&claim).into(),
        peer_urls,
        public_key: public_key.to_vec().into(),
        key_proof: sign_key(key, &proof).expect("keys sign").into(),
        token: token.id(),
        ..JoinRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sent_is_of_no_use_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let (config, node, token) = first(dir.path()).await;
    let cluster_id = node.context().raft.cluster_id();
    let key = rcgen::KeyPair::generate().unwrap();
    let (mine, exporter) = connect(&config, &token).await;
    let heard = request(cluster_id, &token, &key, &exporter);
    // Played back on another connection, before and after it did its work.
    let (theirs, other) = connect(&config, &token).await;
    assert_ne!(exporter, other);
    let mut theirs = JoinClient::new(theirs);
    let played = theirs.join(heard.clone()).await.unwrap_err();
    assert!(played.code() == Code::PermissionDenied && played.message().contains("another connection"), "{played}");
    assert_eq!(node.context().raft.catalog().members.len(), 1, "nobody was added");
    let let_in = JoinClient::new(mine).join(heard.clone()).await.unwrap().into_inner();
    assert!(let_in.certificate.is_some());
    assert_eq!(theirs.join(heard.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    // Signed for this connection with the token, which is used: by another key, and with another's key.
    let thief = rcgen::KeyPair::generate().unwrap();
    let again = theirs.join(request(cluster_id, &token, &thief, &other)).await.unwrap_err();
    assert!(again.message().contains("was used"), "{again}");
    let (last, exporter) = connect(&config, &token).await;
    let mut borrowed = request(cluster_id, &token, &thief, &exporter);
    borrowed.public_key = heard.public_key.clone();
    assert_eq!(JoinClient::new(last).join(borrowed).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(node.context().raft.catalog().members.len(), 2);
    assert_ne!(key_hash(key.public_key_raw()), key_hash(thief.public_key_raw()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_nothing_but_joining_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (config, node, token) = first(dir.path()).await;
    let context = node.context();
    let (cluster_id, node_id) = (context.raft.cluster_id(), context.raft.node_id());
    let (channel, _) = connect(&config, &token).await;
    let envelope = Envelope::new(&Identity { cluster_id, node_id }, node_id);
    let mut peer = PeerClient::with_interceptor(channel.clone(), envelope);
    let read = peer.read_index(ReadIndexRequest { timeout_ms: 1_000 }).await.map(drop);
    let key = peer.hand_over(HandOverRequest {}).await.map(drop);
    let certificate = peer.certify(CertifyRequest { node_id, ..CertifyRequest::default() }).await.map(drop);
    let raft = peer.raft(autoradio_proto::peer::RaftRequest { kind: 2, ..Default::default() }).await.map(drop);
    for answer in [read, key, certificate, raft] {
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    }
    // Asking to join without a token says how to get one.
    let peer_urls = vec!["https://127.0.0.1:9".to_owned()];
    let bare = JoinRequest { name: "n1".into(), peer_urls, ..JoinRequest::default() };
    let refused = JoinClient::new(channel).join(bare).await.unwrap_err();
    assert!(refused.message().contains("radioctl token create"), "{refused}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_no_voter_does_not_get_the_cas_key_nor_anothers_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (config, node, token) = first(dir.path()).await;
    let context = node.context();
    let (cluster_id, node_id) = (context.raft.cluster_id(), context.raft.node_id());
    // It was added, and has a certificate; it has not started, and does not vote.
    let (channel, exporter) = connect(&config, &token).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let reply = JoinClient::new(channel).join(request(cluster_id, &token, &key, &exporter)).await.unwrap().into_inner();
    let given = reply.certificate.expect("it has a certificate");
    let der = |bytes: &[u8]| rustls_pki_types::CertificateDer::from(bytes.to_vec());
    let issued = autoradio_node::trust::Issued {
        certificate: der(&given.certificate),
        not_before_s: given.not_before_s,
        not_after_s: given.not_after_s,
    };
    let credentials = autoradio_node::trust::Credentials::new(&key, issued, der(&given.ca)).unwrap();
    autoradio_node::trust::Keyring::found(&dir.path().join("k"), &credentials, None).unwrap();
    let me = Identity { cluster_id, node_id: reply.node_id };
    let keyring = autoradio_node::trust::Keyring::open(&dir.path().join("k"), &me).unwrap();
    let meant = autoradio_node::trust::PeerName { cluster_id, node_id };
    let url: autoradio_node::peer::PeerUrl = config.peer_urls[0].parse().unwrap();
    let mut peer = PeerClient::with_interceptor(url.channel(&keyring, meant), Envelope::new(&me, node_id));
    let hand_over = peer.hand_over(HandOverRequest {}).await.unwrap_err();
    assert!(hand_over.code() == Code::PermissionDenied && hand_over.message().contains("no voter"), "{hand_over}");
    let proof = KeyProof { cluster_id, node_id: 0, public_key: key.public_key_raw() };
    let for_another = CertifyRequest {
        node_id,
        public_key: key.public_key_raw().to_vec().into(),
        key_proof: sign_key(&key, &proof).unwrap().into(),
    };
    let certify = peer.certify(for_another).await.unwrap_err();
    assert!(certify.code() == Code::PermissionDenied && certify.message().contains("has started"), "{certify}");
    // Removed, it has its certificate still; nothing is answered to it, not even for a member that is about to start.
    let add = MemberAdd { peer_urls: vec!["https://127.0.0.1:8".into()], ..MemberAdd::default() };
    let added = context.raft.propose(Command::MemberAdd(add)).await.unwrap().response;
    let autoradio_machine::Response::Member(announced) = added else { panic!("a member was added") };
    context.raft.propose(Command::MemberRemove { id: reply.node_id }).await.unwrap();
    let for_the_next = CertifyRequest {
        node_id: announced.id,
        public_key: key.public_key_raw().to_vec().into(),
        key_proof: sign_key(&key, &proof).unwrap().into(),
    };
    assert!(peer.certify(for_the_next).await.is_err());
    eventually("it is told nothing any more", async || {
        peer.read_index(ReadIndexRequest { timeout_ms: 1_000 }).await.is_err().then_some(())
    })
    .await;
    node.stop().await;
}
