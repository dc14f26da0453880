//! Leaving, removing, backing up, restoring, recovering: by the admin socket, as radioctl does.

use std::path::Path;

use autoradio_node::{
    config::Config,
    daemon::{Daemon, Start},
};
use autoradio_proto::{
    admin::{StateRequest, setup_client::SetupClient},
    keep::{
        BackupRequest, LeaveRequest, Piece, RecoverRequest, RemoveNodeRequest, RestoreReply, keep_client::KeepClient,
    },
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    setup::by_socket,
    support::{config, eventually, get, put},
};

/// Daemons with sockets, each with its node.
struct Daemons {
    dir: tempfile::TempDir,
    configs: Vec<Config>,
    daemons: Vec<Option<Daemon>>,
}

impl Daemons {
    async fn start(count: usize) -> Self {
        let mut all = Self { dir: tempfile::tempdir().expect("a folder"), configs: vec![], daemons: vec![] };
        for index in 0..count {
            let start = match all.configs.first() {
                None => Start::Init,
                Some(first) => Start::Join(first.peer_urls[0].clone()),
            };
            all.waiting(index).await.start(start).await.expect("the node starts");
        }
        eventually("all hear each other", async || {
            let whole = (0..count).all(|index| all.context(index).view.now().loads.len() == count);
            whole.then_some(())
        })
        .await;
        all
    }

    /// A daemon that waits for `init`, `join` or `restore`.
    async fn waiting(&mut self, index: usize) -> Daemon {
        let mut config = config(self.dir.path(), &format!("n{index}"));
        config.admin_socket = Some(self.dir.path().join(format!("n{index}.sock")));
        let daemon = Daemon::open(config.clone()).await.expect("the socket can be made");
        self.configs.push(config);
        self.daemons.push(Some(daemon.clone()));
        daemon
    }

    fn keep(&self, index: usize) -> KeepClient<Channel> {
        KeepClient::new(by_socket(&self.configs[index]))
    }

    fn context(&self, index: usize) -> autoradio_node::context::Context {
        let daemon = self.daemons[index].as_ref().expect("the daemon runs");
        daemon.watch_context().borrow().clone().expect("its node runs")
    }

    async fn initialised(&self, index: usize) -> bool {
        let mut setup = SetupClient::new(by_socket(&self.configs[index]));
        setup.state(StateRequest {}).await.expect("the socket is served").into_inner().initialised
    }

    async fn stops(&self, index: usize) {
        eventually("the node stops", async || (!self.initialised(index).await).then_some(())).await;
    }

    async fn stop(&mut self, index: usize) {
        self.daemons[index].take().expect("the daemon runs").stop().await;
    }

    async fn shutdown(mut self) {
        for daemon in self.daemons.iter_mut().filter_map(Option::take) {
            daemon.stop().await;
        }
    }
}

fn kept_aside(data_dir: &Path, what: &str) -> usize {
    let entries = std::fs::read_dir(data_dir).expect("the folder is there");
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_removed_is_told_so_stops_and_can_join_anew() {
    let all = Daemons::start(2).await;
    let old = all.context(1).raft.node_id();
    let own = all.keep(0).remove_node(RemoveNodeRequest { node: "n0".into() }).await.unwrap_err();
    assert!(own.message().contains("radioctl node leave"), "{own}");
    let unknown = all.keep(0).remove_node(RemoveNodeRequest { node: "n7".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let removed = all.keep(0).remove_node(RemoveNodeRequest { node: "n1".into() }).await.unwrap().into_inner();
    assert_eq!((removed.name.as_str(), removed.voters_left), ("n1", 1));
    all.stops(1).await;
    put(&all.context(0), "after", "1").await;
    eventually("its folder is put aside", async || {
        (kept_aside(&all.configs[1].data_dir, "raft.removed-") == 1).then_some(())
    })
    .await;
    // Under a new id, in the same daemon.
    let join = Start::Join(all.configs[0].peer_urls[0].clone());
    all.daemons[1].as_ref().unwrap().start(join).await.unwrap();
    let context = all.context(1);
    assert_ne!(context.raft.node_id(), old);
    eventually("it has all", async || get(&context, "after")).await;
    all.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_removed_while_it_was_off_is_told_when_it_comes_back() {
    let mut all = Daemons::start(3).await;
    all.stop(2).await;
    // The last of two that live is not given up for one that is dead; the dead one is.
    eventually("its silence is noticed", async || {
        let view = all.context(0).view.now();
        view.loads.values().any(|heard| heard.age_ms > 3_000).then_some(())
    })
    .await;
    let refused = all.keep(0).remove_node(RemoveNodeRequest { node: "n1".into() }).await.unwrap_err();
    assert!(refused.message().contains("1 of the 2 voters left would answer, and 2 are needed"), "{refused}");
    all.keep(0).remove_node(RemoveNodeRequest { node: "n2".into() }).await.unwrap();
    let daemon = Daemon::open(all.configs[2].clone()).await.unwrap();
    daemon.start(Start::Found).await.unwrap();
    all.daemons[2] = Some(daemon);
    all.stops(2).await;
    all.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_and_the_others_go_on() {
    let all = Daemons::start(3).await;
    let leader = eventually("there is a leader, and three vote", async || {
        let leads = |index: &usize| all.context(*index).raft.leads();
        (0..3).find(leads).filter(|index| all.context(*index).raft.status().voters.len() == 3)
    })
    .await;
    let left = all.keep(leader).leave(LeaveRequest {}).await.unwrap().into_inner();
    assert_eq!(left.voters_left, 2);
    all.stops(leader).await;
    let other = (leader + 1) % 3;
    put(&all.context(other), "after", "1").await;
    assert_eq!(all.context(other).raft.catalog().members.len(), 2);
    all.shutdown().await;
}

async fn backup(all: &Daemons, index: usize) -> Vec<u8> {
    let mut pieces = all.keep(index).backup(BackupRequest {}).await.expect("it is served").into_inner();
    let mut file = Vec::new();
    while let Some(piece) = pieces.message().await.expect("it does not break off") {
        file.extend_from_slice(&piece.data);
    }
    file
}

async fn restore(all: &Daemons, index: usize, file: &[u8]) -> Result<RestoreReply, Status> {
    let pieces: Vec<Piece> =
        file.chunks(1_000).map(|chunk| Piece { data: chunk.to_vec().into(), remaining_bytes: 0 }).collect();
    all.keep(index).restore(tokio_stream::iter(pieces)).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_into_a_new_cluster_and_a_damaged_one_is_refused() {
    let mut all = Daemons::start(1).await;
    put(&all.context(0), "kept", "1").await;
    let cluster = all.context(0).raft.cluster_id();
    let file = backup(&all, 0).await;
    let taken = restore(&all, 0, &file).await.unwrap_err();
    assert!(taken.message().contains("is a member of cluster"), "{taken}");
    all.waiting(1).await;
    let cut = restore(&all, 1, &file[..file.len() - 10]).await.unwrap_err();
    assert!(cut.message().contains("cut off"), "{cut}");
    let mut bad = file.clone();
    bad[200] ^= 1;
    let bad = restore(&all, 1, &bad).await.unwrap_err();
    assert!(bad.message().contains("SHA-256"), "{bad}");
    assert!(!all.initialised(1).await, "nothing was begun");

    let made = restore(&all, 1, &file).await.unwrap();
    let context = all.context(1);
    assert_eq!(made.cluster_id, autoradio_machine::hex_id(context.raft.cluster_id()));
    assert_ne!(context.raft.cluster_id(), cluster);
    assert_eq!(get(&context, "kept").as_deref(), Some("1"));
    let members: Vec<_> = context.raft.catalog().members.values().map(|member| member.name.clone()).collect();
    assert_eq!(members, ["n1"]);
    put(&context, "after", "1").await;
    all.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_node_begins_a_new_cluster_with_what_it_has() {
    let mut all = Daemons::start(3).await;
    put(&all.context(0), "kept", "1").await;
    let needless = all.keep(0).recover(RecoverRequest::default()).await.unwrap_err();
    assert!(needless.message().contains("a majority of the cluster answers"), "{needless}");
    eventually("the last node has it", async || get(&all.context(2), "kept")).await;
    all.stop(0).await;
    all.stop(1).await;
    let told = eventually("the majority is lost", async || {
        all.keep(2).recover(RecoverRequest::default()).await.ok().map(tonic::Response::into_inner)
    })
    .await;
    assert!(!told.done && told.voters.len() == 3, "{told:?}");
    let wrong = all.keep(2).recover(RecoverRequest { confirm: "beef".into() }).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let confirm = RecoverRequest { confirm: told.cluster_id.clone() };
    let done = all.keep(2).recover(confirm).await.unwrap().into_inner();
    assert!(done.done && done.new_cluster_id != told.cluster_id, "{done:?}");
    let context = all.context(2);
    assert_eq!(get(&context, "kept").as_deref(), Some("1"));
    put(&context, "after", "1").await;
    assert_eq!(kept_aside(&all.configs[2].data_dir, "raft.lost-"), 1);
    // One of the old cluster comes back: it is of another, and stays out.
    let daemon = Daemon::open(all.configs[0].clone()).await.unwrap();
    daemon.start(Start::Found).await.unwrap();
    all.daemons[0] = Some(daemon);
    put(&context, "undisturbed", "1").await;
    assert_eq!(context.raft.catalog().members.len(), 1);
    assert!(all.context(0).raft.barrier().await.is_err(), "it found nobody");
    all.shutdown().await;
}
