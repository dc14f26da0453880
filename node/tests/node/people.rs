//! Roles for people, the audit log, and who may open the admin socket.

use std::os::unix::fs::PermissionsExt;

use autoradio_node::{
    config::Config,
    daemon::{Daemon, Start},
    peer::endpoint,
};
use autoradio_proto::{
    admin::{
        AddUserRequest, AuditEntry, AuditRequest, CreateMountRequest, DeleteMountRequest, DeleteUserRequest,
        EditMountRequest, GetMountRequest, ListMountsRequest, ListUsersRequest, MountSettings, ResetPasswordRequest,
        ResetUserPasswordRequest, SetAuthRequest, SetDrainedRequest, StatusRequest, admin_client::AdminClient,
        people_client::PeopleClient,
    },
    etcd::etcdserverpb::{
        AuthenticateRequest, MemberAddRequest, RangeRequest, auth_client::AuthClient, cluster_client::ClusterClient,
        kv_client::KvClient,
    },
};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};

use crate::support::config;

/// A daemon of one node, with a socket that other users could reach.
struct Station {
    daemon: Daemon,
    config: Config,
    dir: tempfile::TempDir,
}

impl Station {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        // The socket is what keeps others out, not its folder.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("the folder is ours");
        let mut config = config(dir.path(), "n0");
        config.admin_socket = Some(dir.path().join("admin.sock"));
        let daemon = Daemon::open(config.clone()).await.expect("the socket opens");
        daemon.start(Start::Init).await.expect("the node starts");
        Self { daemon, config, dir }
    }

    fn by_socket(&self) -> Channel {
        let path = self.config.admin_socket.clone().expect("there is a socket");
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        Endpoint::from_static("http://socket").connect_with_connector_lazy(connector)
    }

    fn by_port(&self) -> Channel {
        endpoint(&self.config.client_urls[0]).expect("it is a URL").connect_lazy()
    }

    fn people(&self) -> PeopleClient<Channel> {
        PeopleClient::new(self.by_socket())
    }

    /// Adds a user by the socket, and logs in by the port.
    async fn person(&self, name: &str, role: &str, prefix: &str) -> String {
        let request = AddUserRequest { name: name.into(), role: role.into(), prefix: prefix.into() };
        let password = self.people().add_user(request).await.expect("the user is added").into_inner().password;
        self.log_in(name, password).await
    }

    async fn log_in(&self, name: &str, password: String) -> String {
        let request = AuthenticateRequest { name: name.into(), password };
        let reply = AuthClient::new(self.by_port()).authenticate(request).await;
        reply.expect("the password is right").into_inner().token
    }

    async fn audit(&self, limit: u32) -> Vec<AuditEntry> {
        let reply = self.people().audit(AuditRequest { limit }).await;
        reply.expect("owners may read it").into_inner().entries
    }

    async fn stop(self) {
        self.daemon.stop().await;
        drop(self.dir);
    }
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("token", token.parse().expect("tokens are plain"));
    request
}

fn code<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn create(name: &str) -> CreateMountRequest {
    CreateMountRequest { name: name.into(), ..CreateMountRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_operators_and_viewers_may_what_they_may() {
    let station = Station::start().await;
    let mut root = AdminClient::new(station.by_socket());
    // Before auth is enabled the port is everybody's, as etcd's.
    AdminClient::new(station.by_port()).create_mount(create("/live")).await.unwrap();
    station.people().set_auth(SetAuthRequest { enabled: true }).await.unwrap();
    let owner = station.person("olga", "owner", "").await;
    let operator = station.person("dj", "operator", "/dj/").await;
    let viewer = station.person("vera", "viewer", "").await;
    let mut port = AdminClient::new(station.by_port());

    assert_eq!(code(port.status(StatusRequest {}).await), Code::Unauthenticated);
    assert_eq!(code(port.create_mount(create("/x")).await), Code::Unauthenticated);
    assert_eq!(code(port.status(with("made.up", StatusRequest {})).await), Code::Unauthenticated);
    for token in [&owner, &operator, &viewer] {
        port.status(with(token, StatusRequest {})).await.unwrap();
        port.list_mounts(with(token, ListMountsRequest {})).await.unwrap();
        port.get_mount(with(token, GetMountRequest { name: "/live".into() })).await.unwrap();
    }
    for (token, name, wanted) in [
        (&viewer, "/dj/a", Code::PermissionDenied),
        (&operator, "/dj/a", Code::Ok),
        (&operator, "/djx", Code::PermissionDenied),
        (&operator, "/other", Code::PermissionDenied),
        (&owner, "/other", Code::Ok),
    ] {
        assert_eq!(code(port.create_mount(with(token, create(name))).await), wanted, "{name}");
    }
    let edit = |name: &str| {
        let settings = Some(MountSettings { title: Some("T".into()), ..MountSettings::default() });
        EditMountRequest { name: name.into(), settings, ..EditMountRequest::default() }
    };
    let reset = |name: &str| ResetPasswordRequest { name: name.into() };
    port.edit_mount(with(&operator, edit("/dj/a"))).await.unwrap();
    port.reset_password(with(&operator, reset("/dj/a"))).await.unwrap();
    assert_eq!(code(port.edit_mount(with(&operator, edit("/live"))).await), Code::PermissionDenied);
    assert_eq!(code(port.reset_password(with(&viewer, reset("/live"))).await), Code::PermissionDenied);
    let drain = SetDrainedRequest { node: "n0".into(), drained: true };
    assert_eq!(code(port.set_drained(with(&operator, drain.clone())).await), Code::PermissionDenied);
    port.set_drained(with(&owner, SetDrainedRequest { drained: false, ..drain })).await.unwrap();
    port.delete_mount(with(&operator, DeleteMountRequest { name: "/dj/a".into() })).await.unwrap();

    // The same roles hold for etcd's clients: there is one list.
    let hashes = RangeRequest { key: "autoradio/mounts/live".into(), ..RangeRequest::default() };
    let mut kv = KvClient::new(station.by_port());
    assert_eq!(code(kv.range(with(&viewer, hashes.clone())).await), Code::PermissionDenied);
    kv.range(with(&owner, hashes)).await.unwrap();

    root.create_mount(create("/by-socket")).await.unwrap();
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_the_audit_log_are_owners_matters() {
    let station = Station::start().await;
    station.people().set_auth(SetAuthRequest { enabled: true }).await.unwrap();
    let owner = station.person("olga", "owner", "").await;
    let operator = station.person("dj", "operator", "/dj/").await;
    let viewer = station.person("vera", "viewer", "").await;
    let mut port = AdminClient::new(station.by_port());
    let mut people = PeopleClient::new(station.by_port());
    for token in [&operator, &viewer] {
        let add = AddUserRequest { name: "me".into(), role: "owner".into(), prefix: String::new() };
        assert_eq!(code(people.add_user(with(token, add)).await), Code::PermissionDenied);
        assert_eq!(code(people.audit(with(token, AuditRequest { limit: 0 })).await), Code::PermissionDenied);
        assert_eq!(code(people.set_auth(with(token, SetAuthRequest { enabled: false })).await), Code::PermissionDenied);
    }
    let listed = people.list_users(with(&owner, ListUsersRequest {})).await.unwrap().into_inner();
    let listed: Vec<_> =
        listed.users.iter().map(|u| (u.name.as_str(), u.roles.join(","), u.prefixes.join(","))).collect();
    let wanted = [("dj", "operator", "/dj/"), ("olga", "owner", ""), ("root", "owner", ""), ("vera", "viewer", "")];
    assert_eq!(listed, wanted.map(|(name, role, prefix)| (name, role.to_owned(), prefix.to_owned())));
    // A new password ends what was logged in with the old one; the socket needs neither.
    let renewed = people.reset_user_password(with(&owner, ResetUserPasswordRequest { name: "vera".into() })).await;
    assert_eq!(code(port.status(with(&viewer, StatusRequest {})).await), Code::Unauthenticated);
    let viewer = station.log_in("vera", renewed.unwrap().into_inner().password).await;
    port.status(with(&viewer, StatusRequest {})).await.unwrap();
    people.delete_user(with(&owner, DeleteUserRequest { name: "vera".into() })).await.unwrap();
    assert_eq!(code(port.status(with(&viewer, StatusRequest {})).await), Code::Unauthenticated);
    assert_eq!(
        code(
            people
                .add_user(with(&owner, AddUserRequest { name: "x".into(), role: "king".into(), ..Default::default() }))
                .await
        ),
        Code::InvalidArgument
    );
    station.people().set_auth(SetAuthRequest { enabled: false }).await.unwrap();
    port.create_mount(create("/free")).await.unwrap();
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_says_who_did_what_from_where() {
    let station = Station::start().await;
    let mut root = AdminClient::new(station.by_socket());
    let password = root.create_mount(create("/live")).await.unwrap().into_inner().password;
    let settings = Some(MountSettings { title: Some("One".into()), ..MountSettings::default() });
    let edit = EditMountRequest { name: "/live".into(), settings, ..EditMountRequest::default() };
    root.edit_mount(edit).await.unwrap();
    station.people().set_auth(SetAuthRequest { enabled: true }).await.unwrap();
    let owner = station.person("olga", "owner", "").await;
    let mut members = ClusterClient::new(station.by_port());
    let add = MemberAddRequest { peer_ur_ls: vec!["http://127.0.0.1:9".into()], is_learner: false };
    members.member_add(with(&owner, add)).await.unwrap();

    let entries = station.audit(0).await;
    let user = rustix::process::geteuid();
    let me = if user.is_root() { "root".to_owned() } else { entries.last().unwrap().who.clone() };
    let lines: Vec<_> = entries.iter().rev().map(|e| (e.who.as_str(), e.action.as_str(), e.target.as_str())).collect();
    let wanted = [
        (me.as_str(), "mount created", "/live"),
        (&me, "mount changed", "/live"),
        (&me, "user added", "root"),
        (&me, "role given to user", "root"),
        (&me, "auth enabled", ""),
        (&me, "user added", "olga"),
        (&me, "role given to user", "olga"),
        ("olga", "member created", lines.last().unwrap().2),
    ];
    assert_eq!(lines, wanted);
    assert_eq!(entries.last().unwrap().from, "admin socket");
    assert!(entries[0].from.starts_with("127.0.0.1:"), "{:?}", entries[0]);
    let changed = &entries[entries.len() - 2];
    assert_eq!((changed.old.as_str(), changed.new.as_str()), (r#"{"title":null}"#, r#"{"title":"One"}"#));
    let now_ms = u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!(entries.iter().all(|e| e.at_ms <= now_ms && now_ms - e.at_ms < 600_000));
    let text = format!("{entries:?}");
    assert!(!text.contains("argon2") && !text.contains(&password), "no secret is in it: {text}");
    assert_eq!(station.audit(2).await.len(), 2);
    station.stop().await;
}

/// The kernel keeps out who is neither the owner nor in the group.
#[tokio::test(flavor = "multi_thread")]
async fn an_unprivileged_user_is_refused_at_the_admin_socket() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become somebody else");
        return;
    }
    let station = Station::start().await;
    let path = station.config.admin_socket.clone().unwrap();
    let as_nobody = |path: std::path::PathBuf| {
        // A thread of its own: Linux' ids are threads', and this one's end with it.
        std::thread::spawn(move || {
            let (user, group) = (rustix::process::Uid::from_raw(65_534), rustix::process::Gid::from_raw(65_534));
            rustix::thread::set_thread_groups(&[]).expect("root may");
            rustix::thread::set_thread_res_gid(group, group, group).expect("root may");
            rustix::thread::set_thread_res_uid(user, user, user).expect("root may");
            std::os::unix::net::UnixStream::connect(path).map(drop).map_err(|error| error.kind())
        })
        .join()
        .expect("the thread ends")
    };
    assert_eq!(as_nobody(path.clone()), Err(std::io::ErrorKind::PermissionDenied));
    // It is the socket's mode that kept them out, and nothing else.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(as_nobody(path), Ok(()));
    station.stop().await;
}
