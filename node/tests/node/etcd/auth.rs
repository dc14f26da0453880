//! Users, roles and permissions, at every node of a cluster.

use std::time::Duration;

use autoradio_node::tls::PeerCommonName;
use autoradio_proto::etcd::{
    authpb::{Permission, UserAddOptions, permission::Type},
    etcdserverpb::{
        AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleGetRequest, AuthRoleGrantPermissionRequest,
        AuthStatusRequest, AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest,
        AuthUserGetRequest, AuthUserGrantRoleRequest, AuthUserListRequest, AuthenticateRequest, CompactionRequest,
        DefragmentRequest, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
        LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberAddRequest, MemberListRequest, RequestOp,
        SnapshotRequest, StatusRequest, TxnRequest, auth_client::AuthClient, request_op, watch_request::RequestUnion,
    },
    v3electionpb::{LeaderRequest, election_client::ElectionClient},
    v3lockpb::{LockRequest, lock_client::LockClient},
};
use tokio_stream::StreamExt;
use tonic::{Code, Request, transport::Channel};

use super::{Watching, bytes, channel, kv, lease, maintenance, members, put, range, seen, watch};
use crate::support::{Cluster, eventually};

pub(super) const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");
pub(super) const NOBODY: (Code, &str) = (Code::InvalidArgument, "etcdserver: user name is empty");
pub(super) const BAD_TOKEN: (Code, &str) = (Code::Unauthenticated, "etcdserver: invalid auth token");
const FAILED: (Code, &str) = (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password");

pub(super) fn auth(cluster: &Cluster, index: usize) -> AuthClient<Channel> {
    AuthClient::new(channel(cluster, index))
}

/// A request with a token; none for an empty one.
pub(super) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("token", token.parse().expect("tokens are plain"));
    }
    request
}

pub(super) async fn token(cluster: &Cluster, index: usize, name: &str, password: &str) -> String {
    let request = AuthenticateRequest { name: name.into(), password: password.into() };
    auth(cluster, index).authenticate(request).await.expect("the password is right").into_inner().token
}

pub(super) fn owned((code, text): (Code, &str)) -> (Code, String) {
    (code, text.into())
}

pub(super) fn add(name: &str, password: &str) -> AuthUserAddRequest {
    AuthUserAddRequest { name: name.into(), password: password.into(), ..Default::default() }
}

pub(super) async fn grant(cluster: &Cluster, token: &str, kind: Type, key: &str, end: &str) {
    let perm = Some(Permission { perm_type: kind.into(), key: bytes(key), range_end: bytes(end) });
    let request = AuthRoleGrantPermissionRequest { name: "mine".into(), perm };
    auth(cluster, 0).role_grant_permission(with(token, request)).await.expect("the permission is granted");
}

/// Users `root` and `u`; `u` reads and writes `[m, n)`, and reads `[r, s)`. Gives root's token and `u`'s.
pub(super) async fn guarded(count: usize, ttl: Duration) -> (Cluster, String, String) {
    let cluster = Cluster::start_with(count, |_, config| config.auth_token_ttl = ttl).await;
    let mut client = auth(&cluster, 0);
    client.user_add(add("root", "rootpw")).await.expect("it is taken");
    client.user_add(add("u", "upw")).await.expect("it is taken");
    let give = |user: &str, role: &str| AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
    client.user_grant_role(give("root", "root")).await.expect("it is taken");
    client.role_add(AuthRoleAddRequest { name: "mine".into() }).await.expect("it is taken");
    client.user_grant_role(give("u", "mine")).await.expect("it is taken");
    grant(&cluster, "", Type::Readwrite, "m", "n").await;
    grant(&cluster, "", Type::Read, "r", "s").await;
    client.auth_enable(AuthEnableRequest {}).await.expect("it is taken");
    let (root, user) = (token(&cluster, 0, "root", "rootpw").await, token(&cluster, count - 1, "u", "upw").await);
    (cluster, root, user)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_guarded_at_every_node_by_tokens_of_any() {
    let (cluster, root, user) = guarded(3, Duration::from_secs(300)).await;
    for index in 0..3 {
        let mut client = kv(&cluster, index);
        assert_eq!(seen(client.range(range("m", "")).await), owned(NOBODY));
        assert_eq!(seen(client.put(put("m", "")).await), owned(NOBODY));
        assert_eq!(seen(client.range(with("made.up", range("m", ""))).await), owned(BAD_TOKEN));
        client.put(with(&user, put("m1", "1"))).await.unwrap();
        client.put(with(&root, put("z", "1"))).await.unwrap();
        assert_eq!(client.range(with(&user, range("m", "n"))).await.unwrap().into_inner().count, 1);
        assert_eq!(seen(client.range(with(&user, range("m", "\0"))).await), owned(DENIED));
        assert_eq!(seen(client.range(with(&user, range("z", ""))).await), owned(DENIED));
        assert_eq!(seen(client.put(with(&user, put("r", ""))).await), owned(DENIED));
        let delete = DeleteRangeRequest { key: bytes("l"), range_end: bytes("n"), prev_kv: false };
        assert_eq!(seen(client.delete_range(with(&user, delete)).await), owned(DENIED));
        // A transaction inside of one, which only reads (CVE-2026-33343).
        let op = |op| RequestOp { request: Some(op) };
        let spy =
            TxnRequest { success: vec![op(request_op::Request::RequestRange(range("z", "")))], ..Default::default() };
        let nested = TxnRequest { success: vec![op(request_op::Request::RequestTxn(spy))], ..Default::default() };
        assert_eq!(seen(client.txn(with(&user, nested)).await), owned(DENIED));
        let mut bearer = Request::new(range("m1", ""));
        bearer.metadata_mut().insert("authorization", format!("Bearer {user}").parse().unwrap());
        assert_eq!(client.range(bearer).await.unwrap().into_inner().count, 1);
    }
    // Nodes and radioctl go on: claims and changes by the admin service need no user of etcd's.
    crate::support::put(cluster.context(1), "internal", "1").await;
    // The keys of locks and elections are keys.
    let lock = LockRequest { name: bytes("z"), lease: 0 };
    let denied = (Code::Unknown, "etcdserver: permission denied".to_owned());
    assert_eq!(seen(LockClient::new(channel(&cluster, 0)).lock(with(&user, lock)).await), denied);
    let lock = LockRequest { name: bytes("m"), lease: 0 };
    LockClient::new(channel(&cluster, 0)).lock(with(&user, lock)).await.unwrap();
    let leader = LeaderRequest { name: bytes("z") };
    assert_eq!(seen(ElectionClient::new(channel(&cluster, 0)).leader(with(&user, leader)).await), denied);
    auth(&cluster, 1).auth_disable(with(&root, AuthDisableRequest {})).await.unwrap();
    kv(&cluster, 1).put(with(&user, put("z", "free"))).await.unwrap();
    cluster.shutdown().await;
}

/// CVE-2026-73499: a watch up to an open end was let through with a permission for its first key.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_73499_watches_are_guarded_with_their_open_ends() {
    let (cluster, root, user) = guarded(1, Duration::from_secs(300)).await;
    let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    for (who, end, reason) in [
        (user.as_str(), "n", ""),
        (&user, "\0", denied),
        (&user, "o", denied),
        ("", "n", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
        ("made.up", "n", "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"),
        (&root, "\0", ""),
    ] {
        let mut watching = Watching::open_with(&cluster, 0, |requests| with(who, requests)).await;
        watching.ask(RequestUnion::CreateRequest(watch("m", end, 0))).await;
        let answer = watching.next().await;
        assert_eq!((answer.cancel_reason.as_str(), answer.created), (reason, true), "{who:?} {end:?}");
        assert_eq!((answer.canceled, answer.watch_id), (!reason.is_empty(), if reason.is_empty() { 0 } else { -1 }));
    }
    cluster.shutdown().await;
}

/// CVE-2026-33413: members, maintenance and leases were open to who had no permission.
#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_33413_administration_takes_root() {
    let (cluster, root, user) = guarded(1, Duration::from_secs(300)).await;
    for (who, wanted) in [("", NOBODY), (user.as_str(), DENIED)] {
        let wanted = owned(wanted);
        let (mut cluster_api, mut care) = (members(&cluster, 0), maintenance(&cluster, 0));
        let add_member = MemberAddRequest { peer_ur_ls: vec!["http://127.0.0.1:9".into()], is_learner: false };
        assert_eq!(seen(cluster_api.member_add(with(who, add_member)).await), wanted);
        assert_eq!(seen(care.status(with(who, StatusRequest {})).await), wanted);
        assert_eq!(seen(care.defragment(with(who, DefragmentRequest {})).await), wanted);
        assert_eq!(seen(care.hash_kv(with(who, HashKvRequest::default())).await), wanted);
        assert_eq!(seen(care.snapshot(with(who, SnapshotRequest {})).await), wanted);
        assert_eq!(seen(kv(&cluster, 0).compact(with(who, CompactionRequest::default())).await), wanted);
        assert_eq!(seen(auth(&cluster, 0).auth_status(with(who, AuthStatusRequest {})).await), wanted);
        assert_eq!(seen(auth(&cluster, 0).user_list(with(who, AuthUserListRequest {})).await), wanted);
        assert_eq!(seen(auth(&cluster, 0).user_add(with(who, add("x", "y"))).await), wanted);
        assert_eq!(seen(auth(&cluster, 0).auth_disable(with(who, AuthDisableRequest {})).await), wanted);
    }
    assert_eq!(seen(members(&cluster, 0).member_list(MemberListRequest::default()).await), owned(NOBODY));
    members(&cluster, 0).member_list(with(&user, MemberListRequest::default())).await.unwrap();
    maintenance(&cluster, 0).status(with(&root, StatusRequest {})).await.unwrap();
    let grant = LeaseGrantRequest { ttl: 60, id: 5 };
    assert_eq!(seen(lease(&cluster, 0).lease_grant(grant).await), owned(NOBODY));
    // One's own roles may be looked at.
    let mut client = auth(&cluster, 0);
    let get = |name: &str| AuthUserGetRequest { name: name.into() };
    assert_eq!(client.user_get(with(&user, get("u"))).await.unwrap().into_inner().roles, ["mine"]);
    assert_eq!(seen(client.user_get(with(&user, get("root"))).await), owned(DENIED));
    let role = AuthRoleGetRequest { role: "mine".into() };
    assert_eq!(client.role_get(with(&user, role)).await.unwrap().into_inner().perm.len(), 2);
    let role = AuthRoleGetRequest { role: "root".into() };
    assert_eq!(seen(client.role_get(with(&user, role)).await), owned(DENIED));
    cluster.shutdown().await;
}

/// The keys of a lease told who had no permission to read them what others do.
#[tokio::test(flavor = "multi_thread")]
async fn leases_are_guarded_by_their_keys() {
    let (cluster, root, user) = guarded(1, Duration::from_secs(300)).await;
    let mut client = lease(&cluster, 0);
    client.lease_grant(with(&user, LeaseGrantRequest { ttl: 600, id: 5 })).await.unwrap();
    let left = |keys| LeaseTimeToLiveRequest { id: 5, keys };
    kv(&cluster, 0)
        .put(with(&user, autoradio_proto::etcd::etcdserverpb::PutRequest { lease: 5, ..put("m", "") }))
        .await
        .unwrap();
    assert_eq!(client.lease_time_to_live(with(&user, left(true))).await.unwrap().into_inner().keys, ["m"]);
    let hung = autoradio_proto::etcd::etcdserverpb::PutRequest { lease: 5, ..put("z", "") };
    kv(&cluster, 0).put(with(&root, hung)).await.unwrap();
    assert_eq!(seen(client.lease_time_to_live(with(&user, left(true))).await), owned(DENIED));
    assert!(client.lease_time_to_live(with(&user, left(false))).await.unwrap().into_inner().keys.is_empty());
    assert_eq!(seen(client.lease_time_to_live(left(false)).await), owned(NOBODY));
    assert_eq!(seen(client.lease_leases(with(&user, LeaseLeasesRequest {})).await), owned(DENIED));
    assert_eq!(seen(client.lease_revoke(with(&user, LeaseRevokeRequest { id: 5 })).await), owned(DENIED));
    let keep = |token: &str| with(token, tokio_stream::iter([LeaseKeepAliveRequest { id: 5 }]));
    let mut kept = client.lease_keep_alive(keep(&user)).await.unwrap().into_inner();
    assert_eq!(seen(kept.next().await.unwrap()), owned(DENIED));
    let mut kept = client.lease_keep_alive(keep(&root)).await.unwrap().into_inner();
    assert_eq!(kept.next().await.unwrap().unwrap().ttl, 600);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_the_password_and_the_user_and_revisions_that_move_are_tried_again() {
    let (cluster, root, user) = guarded(3, Duration::from_secs(300)).await;
    let wrong = |name: &str, password: &str| AuthenticateRequest { name: name.into(), password: password.into() };
    assert_eq!(seen(auth(&cluster, 1).authenticate(wrong("u", "no")).await), owned(FAILED));
    assert_eq!(seen(auth(&cluster, 1).authenticate(wrong("ghost", "no")).await), owned(FAILED));
    // Roles that change while somebody writes: every write is judged by what is true then, and none is lost to that.
    let writes = async {
        for n in 0..50 {
            kv(&cluster, 1).put(with(&user, put("m", &n.to_string()))).await.unwrap();
        }
    };
    let changes = async {
        for n in 0..10 {
            let request = AuthRoleAddRequest { name: format!("r{n}") };
            auth(&cluster, 2).role_add(with(&root, request)).await.unwrap();
        }
    };
    tokio::join!(writes, changes);
    let change = AuthUserChangePasswordRequest { name: "u".into(), password: "new".into(), ..Default::default() };
    auth(&cluster, 2).user_change_password(with(&root, change)).await.unwrap();
    // Refused at once where it is applied; where it is not yet, by the entry.
    for index in 0..3 {
        assert_eq!(seen(kv(&cluster, index).put(with(&user, put("m", ""))).await), owned(BAD_TOKEN));
    }
    assert_eq!(seen(auth(&cluster, 0).authenticate(wrong("u", "upw")).await), owned(FAILED));
    let user = token(&cluster, 0, "u", "new").await;
    kv(&cluster, 2).put(with(&user, put("m", ""))).await.unwrap();
    let delete = AuthUserDeleteRequest { name: "u".into() };
    auth(&cluster, 0).user_delete(with(&root, delete)).await.unwrap();
    assert_eq!(seen(kv(&cluster, 1).range(with(&user, range("m", ""))).await), owned(BAD_TOKEN));
    // A user without a password has none to log in with.
    let options = Some(UserAddOptions { no_password: true });
    let certified = AuthUserAddRequest { name: "c".into(), options, ..Default::default() };
    auth(&cluster, 0).user_add(with(&root, certified)).await.unwrap();
    assert_eq!(seen(auth(&cluster, 0).authenticate(wrong("c", "")).await).0, Code::Unknown);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_used_end_and_use_at_any_node_keeps_them() {
    let ttl = Duration::from_secs(3);
    let (cluster, _, used) = guarded(3, ttl).await;
    let idle = token(&cluster, 1, "u", "upw").await;
    let follower = cluster.follower().await;
    // Ended by the leader's clock, though it was never told of any use.
    eventually("the idle one has ended and the other lives", async || {
        let kept = kv(&cluster, follower).range(with(&used, range("m", ""))).await;
        assert!(kept.is_ok(), "one that is used lives: {kept:?}");
        // To ask for one would be a use of it.
        (cluster.context(follower).raft.read(|machine| machine.auth_tokens().count()) == 1).then_some(())
    })
    .await;
    assert_eq!(seen(kv(&cluster, 1).range(with(&idle, range("m", ""))).await), owned(BAD_TOKEN));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_certificate_is_a_users_and_v2_takes_basic() {
    let (cluster, _, user) = guarded(1, Duration::from_secs(300)).await;
    // As the port's acceptor sets it.
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(PeerCommonName("u".into()));
    let asker = autoradio_node::caller::Asker::from_parts(&extensions, &axum::http::HeaderMap::new());
    let raft = &cluster.context(0).raft;
    let write = |key: &str| {
        autoradio_machine::Command::Put(autoradio_machine::PutRequest { key: bytes(key), ..Default::default() })
    };
    raft.propose_as(&asker, write("m")).await.unwrap();
    assert!(raft.propose_as(&asker, write("z")).await.is_err());
    // etcd's v2 members: 401 without, 200 and 401 for a user that is not root.
    let url = cluster.configs[0].client_urls[0].trim_start_matches("http://").to_owned();
    for (line, code) in [
        ("", "401"),
        ("Authorization: Basic dTp1cHc=\r\n", "200"),
        ("Authorization: Basic dTpubw==\r\n", "401"),
        (&format!("Authorization: Bearer {user}\r\n"), "200"),
    ] {
        let head = ask(&url, &format!("GET /v2/members HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {code}")), "{line:?}: {head}");
    }
    let delete = |line: &str| format!("DELETE /v2/members/1234 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n");
    assert!(ask(&url, &delete("Authorization: Basic dTp1cHc=\r\n")).await.starts_with("HTTP/1.1 401"));
    assert!(ask(&url, &delete("Authorization: Basic cm9vdDpyb290cHc=\r\n")).await.starts_with("HTTP/1.1 404"));
    cluster.shutdown().await;
}

async fn ask(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the port is open");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the answer is whole");
    String::from_utf8_lossy(&answer).into_owned()
}
