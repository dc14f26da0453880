//! How nodes come to be: init and join by the admin socket, static bootstrap, refusals; and radioctl's service.

use autoradio_node::{
    config::Config,
    daemon::{Daemon, Node, Start, StartError},
};
use autoradio_proto::admin::{
    CreateMountRequest, EditMountRequest, GetMountRequest, InitRequest, JoinRequest, MountSettings, SetDrainedRequest,
    StatusRequest, admin_client::AdminClient, setup_client::SetupClient,
};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::support::{Cluster, config, eventually, http_get};

pub(crate) fn by_socket(config: &Config) -> Channel {
    let path = config.admin_socket.clone().expect("the test has a socket");
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://socket").connect_with_connector_lazy(connector)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_waits_becomes_a_node_by_init_and_join() {
    let dir = tempfile::tempdir().unwrap();
    let with_socket = |name: &str| {
        let mut config = config(dir.path(), name);
        config.admin_socket = Some(dir.path().join(format!("{name}.sock")));
        config
    };
    let (first, second) = (with_socket("n0"), with_socket("n1"));
    let (a, b) = (Daemon::open(first.clone()).await.unwrap(), Daemon::open(second.clone()).await.unwrap());
    let waits = a.start(Start::Found).await.unwrap_err();
    assert!(waits.to_string().contains("autoradio-node init"), "{waits}");
    let refused = AdminClient::new(by_socket(&first)).status(StatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let made = SetupClient::new(by_socket(&first)).init(InitRequest {}).await.unwrap().into_inner();
    assert_eq!((made.already, made.role.as_str()), (false, "voter"));
    let again = SetupClient::new(by_socket(&first)).init(InitRequest {}).await.unwrap().into_inner();
    assert_eq!((again.already, again.cluster_id), (true, made.cluster_id.clone()));

    let host = first.peer_urls[0].clone();
    let joined =
        SetupClient::new(by_socket(&second)).join(JoinRequest { host: host.clone(), ..JoinRequest::default() }).await;
    let joined = joined.unwrap().into_inner();
    assert_eq!((joined.already, joined.role.as_str(), &joined.cluster_id), (false, "voter", &made.cluster_id));
    let again = SetupClient::new(by_socket(&second))
        .join(JoinRequest { host, ..JoinRequest::default() })
        .await
        .unwrap()
        .into_inner();
    assert!(again.already);

    let open = Daemon::open(first).await.err().unwrap();
    assert!(matches!(open, StartError::Socket { .. }), "{open}");
    b.stop().await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_given_to_all_makes_one_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let mut configs: Vec<Config> = (0..3).map(|index| config(dir.path(), &format!("n{index}"))).collect();
    let list: Vec<_> = configs.iter().map(|config| (config.name.clone(), config.peer_urls[0].clone())).collect();
    for config in &mut configs {
        config.initial_cluster = list.clone();
    }
    let mut nodes = Vec::new();
    for config in configs {
        nodes.push(Node::start(config).await.unwrap());
    }
    eventually("all know all", async || {
        nodes.iter().all(|node| node.context().raft.catalog().members.len() == 3).then_some(())
    })
    .await;
    let ids: std::collections::BTreeSet<_> = nodes.iter().map(|node| node.context().raft.cluster_id()).collect();
    assert_eq!(ids.len(), 1);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_use_is_not_let_in() {
    let cluster = Cluster::start(1).await;
    let dir = tempfile::tempdir().unwrap();
    let join = Start::Join(cluster.configs[0].peer_urls[0].clone());
    let refused = Node::start_as(config(dir.path(), "n0"), join).await.err().unwrap();
    assert!(refused.to_string().contains("choose another --name"), "{refused}");
    let nobody = Node::start(config(dir.path(), "n5")).await.err().unwrap();
    assert!(matches!(nobody, StartError::NotInitialised), "{nobody}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_made_changed_and_deleted_from_any_node() {
    let cluster = Cluster::start(3).await;
    let client = |index: usize| {
        let url = cluster.configs[index].client_urls[0].clone();
        AdminClient::new(Endpoint::from_shared(url).unwrap().connect_lazy())
    };
    let name = "/path/to/live.ogg".to_owned();
    let request = CreateMountRequest { name: name.clone(), ..CreateMountRequest::default() };
    let made = client(2).create_mount(request.clone()).await.unwrap().into_inner();
    assert_eq!(made.password.len(), 20);
    assert_eq!(made.mount.unwrap().username, "source");
    let twice = client(1).create_mount(request).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists, "{twice}");

    let settings = Some(MountSettings { burst_ms: Some(1_500), ..MountSettings::default() });
    let edit = EditMountRequest { name: name.clone(), settings, ..EditMountRequest::default() };
    client(1).edit_mount(edit).await.unwrap();
    let shown = client(0).get_mount(GetMountRequest { name: name.clone() }).await.unwrap().into_inner();
    assert_eq!(shown.settings.unwrap().burst_ms, Some(1_500));
    let absent = client(0).get_mount(GetMountRequest { name: "/absent".into() }).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound, "{absent}");
    let bad = CreateMountRequest { name: "no-slash".into(), ..CreateMountRequest::default() };
    assert_eq!(client(0).create_mount(bad).await.unwrap_err().code(), Code::InvalidArgument);

    client(0).set_drained(SetDrainedRequest { node: "n1".into(), drained: true }).await.unwrap();
    let status = client(0).status(StatusRequest {}).await.unwrap().into_inner();
    let drained: Vec<_> = status.nodes.iter().filter(|node| node.state == "drained").map(|node| &node.name).collect();
    assert_eq!(drained, ["n1"]);
    assert_eq!((status.quorum, status.voters, status.can_lose), (true, 3, 1));

    let delete = autoradio_proto::admin::DeleteMountRequest { name: name.clone() };
    client(2).delete_mount(delete.clone()).await.unwrap();
    assert_eq!(client(1).delete_mount(delete).await.unwrap_err().code(), Code::NotFound);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_port_speaks_http_too() {
    let cluster = Cluster::start(1).await;
    let get = async |path: &str| http_get(&cluster, 0, path).await;
    let health = get("/health").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""health":"true""#), "{health}");
    assert!(get("/version").await.contains(env!("CARGO_PKG_VERSION")));
    assert!(get("/nope").await.starts_with("HTTP/1.1 404"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_gives_a_join_up() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::open(config(dir.path(), "n0")).await.unwrap();
    // By TLS it would be told at once that it needs a token.
    let nobody = format!("http://{}", crate::support::free_addr());
    let joining = tokio::spawn({
        let daemon = daemon.clone();
        async move { daemon.start(Start::Join(nobody)).await }
    });
    tokio::time::timeout(crate::support::LIMIT, daemon.stop()).await.unwrap();
    let given_up = tokio::time::timeout(crate::support::LIMIT, joining).await.unwrap().unwrap();
    let error = given_up.unwrap_err();
    assert!(error.to_string().contains("was stopped"), "{error}");
}
