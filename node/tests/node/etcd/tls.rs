//! TLS on the client port: who is let in, and certificates that change.

use std::{net::SocketAddr, path::Path, sync::Arc};

use autoradio_machine::{Command, TrustCommand};
use autoradio_node::{
    daemon::{Node, Start},
    tls::{TlsFiles, provider},
    trust::{JoinToken, now_ms},
};
use autoradio_proto::etcd::{
    authpb::{UserAddOptions, permission::Type},
    etcdserverpb::{
        AuthEnableRequest, AuthRoleAddRequest, AuthUserAddRequest, AuthUserDeleteRequest, AuthUserGrantRoleRequest,
        WatchRequest, kv_client::KvClient, watch_client::WatchClient, watch_request::RequestUnion,
    },
};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint};

use super::{
    auth::{BAD_TOKEN, DENIED, NOBODY, add, auth, grant, owned, token, with},
    bytes, put, range, seen, watch,
};
use crate::support::{Cluster, LIMIT, config, eventually, free_addr};

/// A CA.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("keys can be made");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a CA can be made") }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server on 127.0.0.1 and for a client alike.
    fn pair(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(vec!["127.0.0.1".into()]).expect("it is an address");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("keys can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("certificates can be made");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A client that believes this CA, and presents a certificate or none.
    fn client(&self, own: Option<&Pair>) -> TlsConnector {
        client(self.issuer.der().clone(), own)
    }
}

/// A client that believes a CA, and presents a certificate or none.
fn client(ca: CertificateDer<'static>, own: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(ca).expect("it is a CA");
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them").with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).expect("it is PEM");
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("it is PEM");
            builder.with_client_auth_cert(vec![cert], key).expect("they fit together")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

impl Pair {
    fn write(&self, dir: &Path) {
        std::fs::write(dir.join("cert.pem"), &self.cert).expect("the folder is there");
        std::fs::write(dir.join("key.pem"), &self.key).expect("the folder is there");
    }
}

/// The files of a node's TLS.
fn files(dir: &Path, ca: Option<&Authority>) -> TlsFiles {
    let trusted_ca = ca.map(|ca| {
        std::fs::write(dir.join("ca.pem"), ca.pem()).expect("the folder is there");
        dir.join("ca.pem")
    });
    TlsFiles { cert: dir.join("cert.pem"), key: dir.join("key.pem"), trusted_ca }
}

/// A node with a plain listener and one with TLS, at the address that is returned.
async fn served(files: TlsFiles) -> (Cluster, SocketAddr) {
    let at = free_addr();
    let cluster = Cluster::start_with(1, |_, config| {
        config.client_tls.listen = vec![at];
        config.client_tls.files = Some(files.clone());
        config.client_urls.push(format!("https://{at}"));
    });
    (cluster.await, at)
}

async fn shake(connector: &TlsConnector, at: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(at).await?;
    connector.connect(ServerName::IpAddress(at.ip().into()), stream).await
}

async fn health(connector: &TlsConnector, at: SocketAddr) -> std::io::Result<String> {
    speak(connector, at, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await
}

/// What a request by HTTP/1.1 is answered with. With TLS 1.3 a client hears only now that it was refused.
async fn speak(connector: &TlsConnector, at: SocketAddr, request: &str) -> std::io::Result<String> {
    let asked = async {
        let mut stream = shake(connector, at).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    timeout(LIMIT, asked).await.expect("it ends in time")
}

fn channel(connector: TlsConnector, at: SocketAddr) -> Channel {
    let dial = tower::service_fn(move |_: tonic::transport::Uri| {
        let connector = connector.clone();
        async move { shake(&connector, at).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://node").connect_with_connector_lazy(dial)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_presents_a_certificate_of_the_ca_is_let_in() {
    let (dir, ours, theirs) = (tempfile::tempdir().unwrap(), Authority::new("ours"), Authority::new("theirs"));
    ours.pair("server").write(dir.path());
    let (cluster, at) = served(files(dir.path(), Some(&ours))).await;

    let good = ours.client(Some(&ours.pair("root")));
    let mut kv = KvClient::new(channel(good.clone(), at));
    kv.put(put("a", "1")).await.unwrap();
    let found = kv.range(range("a", "")).await.unwrap().into_inner();
    assert_eq!(found.kvs[0].value, bytes("1"));
    let answer = health(&good, at).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""health":"true""#), "{answer}");

    let nobody = health(&ours.client(None), at).await.unwrap_err().to_string();
    assert!(nobody.contains("CertificateRequired"), "{nobody}");
    let stranger = health(&ours.client(Some(&theirs.pair("root"))), at).await.unwrap_err().to_string();
    assert!(
        stranger.contains("UnknownCA") || stranger.contains("BadCertificate") || stranger.contains("DecryptError"),
        "{stranger}"
    );
    let misled = health(&theirs.client(Some(&ours.pair("root"))), at).await.unwrap_err().to_string();
    assert!(misled.contains("invalid peer certificate"), "a client is as careful: {misled}");

    let mut plain = TcpStream::connect(at).await.unwrap();
    plain.write_all(b"GET /v2/members HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, plain.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.0 400") && answer.contains("HTTP request to an HTTPS server"), "{answer}");

    // The other listener is as it was.
    super::kv(&cluster, 0).put(put("b", "2")).await.unwrap();
    cluster.shutdown().await;
}

/// The serial number that a server shows on a new connection.
async fn shown(connector: &TlsConnector, at: SocketAddr) -> Vec<u8> {
    let stream = shake(connector, at).await.expect("it is let in");
    stream.get_ref().1.peer_certificates().expect("a server shows one")[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    ca.pair("first").write(dir.path());
    let (cluster, at) = served(files(dir.path(), None)).await;
    let client = ca.client(None);
    let first = shown(&client, at).await;
    let mut old = KvClient::new(channel(client.clone(), at));
    old.put(put("a", "1")).await.unwrap();

    let second = ca.pair("second");
    second.write(dir.path());
    let new = CertificateDer::from_pem_slice(second.cert.as_bytes()).unwrap().to_vec();
    assert_ne!(new, first);
    eventually("new connections get the new one", async || (shown(&client, at).await == new).then_some(())).await;
    old.put(put("a", "2")).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_with_files_that_cannot_be_used() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let error = async || {
        let mut config = config(dir.path(), "n0");
        config.client_tls.listen = vec![free_addr()];
        config.client_tls.files = Some(files(dir.path(), None));
        Node::start_as(config, Start::Init).await.err().expect("it does not start").to_string()
    };
    let missing = error().await;
    assert!(missing.contains("cert.pem cannot be read") && missing.contains("--cert-file"), "{missing}");
    Pair { cert: ca.pair("a").cert, key: ca.pair("b").key }.write(dir.path());
    let unfit = error().await;
    assert!(unfit.contains("cannot be used") && unfit.contains("key.pem"), "{unfit}");
    Pair { cert: "nothing".into(), key: ca.pair("b").key }.write(dir.path());
    let empty = error().await;
    assert!(empty.contains("cert.pem has no certificate"), "{empty}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_files_it_is_the_clusters_ca() {
    let (dir, at) = (tempfile::tempdir().unwrap(), free_addr());
    let mut config = config(dir.path(), "n0");
    config.peer_urls = vec![format!("https://{}", config.peer_listen[0])];
    config.client_tls.listen = vec![at];
    let node = Node::start_as(config.clone(), Start::Init).await.unwrap();
    let text = std::fs::read_to_string(config.data_dir.join("tls/node.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
    let field = |name: &str| stored[name].as_str().expect("the file has it").to_owned();
    let ca = CertificateDer::from_pem_slice(field("ca").as_bytes()).unwrap();
    let own = Pair { cert: field("certificate"), key: field("key") };
    let member = client(ca.clone(), Some(&own));
    eventually("members are served", async || {
        health(&member, at).await.ok().filter(|answer| answer.contains(r#""health":"true""#))
    })
    .await;
    let nobody = health(&client(ca, None), at).await.unwrap_err().to_string();
    assert!(nobody.contains("CertificateRequired"), "{nobody}");
    let other = Authority::new("ours");
    let stranger = health(&other.client(Some(&own)), at).await.unwrap_err().to_string();
    assert!(stranger.contains("invalid peer certificate"), "{stranger}");
    node.stop().await;
}

/// Learners have not the CA's key: their listener waited for it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_learner_has_its_certificate_made_by_a_voter() {
    let (dir, at) = (tempfile::tempdir().unwrap(), free_addr());
    let secure = |name: &str| {
        let mut config = config(dir.path(), name);
        config.peer_urls = vec![format!("https://{}", config.peer_listen[0])];
        config
    };
    let (first, mut second) = (secure("n0"), secure("n1"));
    second.client_tls.listen = vec![at];
    let voter = Node::start_as(first.clone(), Start::Init).await.unwrap();
    eventually("it can be written to", async || voter.context().raft.barrier().await.ok()).await;
    let ca = voter.context().peers.keyring().credentials().unwrap().ca().clone();
    let (token, now_ms) = (JoinToken::create(&ca).unwrap(), now_ms());
    let create = TrustCommand::TokenCreate {
        id: token.id(),
        verify_key: token.verify_key(),
        learner: true,
        now_ms,
        ends_ms: now_ms + 60_000,
    };
    voter.context().raft.propose(Command::Trust(create)).await.unwrap();
    let learner = Node::start_as(second.clone(), Start::JoinByToken(first.peer_urls[0].clone(), token)).await.unwrap();
    let text = std::fs::read_to_string(second.data_dir.join("tls/node.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
    let field = |name: &str| stored[name].as_str().expect("the file has it").to_owned();
    let member = client(ca, Some(&Pair { cert: field("certificate"), key: field("key") }));
    eventually("the learner serves", async || health(&member, at).await.ok()).await;
    assert!(learner.context().peers.keyring().authority().is_none(), "voters alone have the CA's key");
    for node in [learner, voter] {
        node.stop().await;
    }
}

/// Users `root` and `u`, of whom `u` has no password and writes `m`, made by the plain listener; then auth is on.
async fn guard(cluster: &Cluster) {
    let mut client = auth(cluster, 0);
    client.user_add(add("root", "rootpw")).await.expect("it is taken");
    let options = Some(UserAddOptions { no_password: true });
    client.user_add(AuthUserAddRequest { options, ..add("u", "") }).await.expect("it is taken");
    client.role_add(AuthRoleAddRequest { name: "mine".into() }).await.expect("it is taken");
    for (user, role) in [("root", "root"), ("u", "mine")] {
        client
            .user_grant_role(AuthUserGrantRoleRequest { user: user.into(), role: role.into() })
            .await
            .expect("it is taken");
    }
    grant(cluster, "", Type::Readwrite, "m", "").await;
    client.auth_enable(AuthEnableRequest {}).await.expect("it is taken");
}

/// `--client-cert-auth`, as etcd has it: the certificate's common name is the user, a token counts more, and for the
/// gateway only a token counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_common_name_of_a_certificate_is_the_user() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    ca.pair("server").write(dir.path());
    let (cluster, at) = served(files(dir.path(), Some(&ca))).await;
    guard(&cluster).await;
    let connector = |name: &str| ca.client(Some(&ca.pair(name)));
    let as_user = |name: &str| KvClient::new(channel(connector(name), at));

    as_user("u").put(put("m", "1")).await.unwrap();
    assert_eq!(as_user("u").range(range("m", "")).await.unwrap().into_inner().count, 1);
    assert_eq!(seen(as_user("u").put(put("z", "1")).await), owned(DENIED));
    as_user("root").put(put("z", "1")).await.unwrap();
    assert_eq!(seen(as_user("ghost").put(put("m", "1")).await), owned(DENIED));
    assert_eq!(seen(super::kv(&cluster, 0).put(put("m", "1")).await), owned(NOBODY), "the plain listener has none");
    let mut watching = WatchClient::new(channel(connector("u"), at));
    let asked = |key: &str| WatchRequest { request_union: Some(RequestUnion::CreateRequest(watch(key, "", 0))) };
    let asked = tokio_stream::iter([asked("m"), asked("z")]).chain(tokio_stream::pending());
    let mut answers = watching.watch(asked).await.unwrap().into_inner();
    for denied in [false, true] {
        let answer = timeout(LIMIT, answers.message()).await.unwrap().unwrap().unwrap();
        assert_eq!((answer.created, answer.canceled), (true, denied));
    }

    // A token is who it says, whatever the certificate says; and one that is not valid is nobody's.
    let root = token(&cluster, 0, "root", "rootpw").await;
    as_user("u").put(with(&root, put("z", "2"))).await.unwrap();
    assert_eq!(seen(as_user("root").put(with("made.up", put("z", "3"))).await), owned(BAD_TOKEN));

    let gateway = async |name: &str, headers: &str| {
        let body = r#"{"key":"bQ=="}"#;
        let head =
            format!("POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", body.len());
        speak(&connector(name), at, &format!("{head}\r\n{headers}\r\n{body}")).await.unwrap()
    };
    for name in ["u", "root"] {
        let answer = gateway(name, "").await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("user name is empty"), "{name}: {answer}");
        let answer = gateway(name, &format!("Authorization: {root}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""count":"1""#), "{name}: {answer}");
    }

    // One that is no user any more may do nothing.
    auth(&cluster, 0).user_delete(with(&root, AuthUserDeleteRequest { name: "u".into() })).await.unwrap();
    assert_eq!(seen(as_user("u").put(put("m", "2")).await), owned(DENIED));
    cluster.shutdown().await;
}
