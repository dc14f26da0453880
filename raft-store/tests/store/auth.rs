//! Past faults of etcd's auth: the state of auth differed between members, so that one carried out what another refused.

use std::time::Duration;

use autoradio_machine::{
    Asked, AuthCommand, AuthRefusal, Caller, Command, NodeId, Permission, PermissionKind, PutRequest, Refusal, Who,
};
use autoradio_store::ConsensusError;

use crate::{Cluster, PATIENCE, eventually};

/// Small enough that a node which was away needs a snapshot.
const SNAPSHOT_EVERY: u64 = 40;

fn role(name: &str) -> AuthCommand {
    AuthCommand::RoleAdd { role: name.into() }
}

fn grant(role: &str, key: &str) -> AuthCommand {
    let permission = Permission { kind: PermissionKind::ReadWrite, key: key.to_owned().into(), range_end: "".into() };
    AuthCommand::RoleGrant { role: role.into(), permission }
}

fn put(key: &str, value: &str) -> Command {
    Command::Put(PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() })
}

/// As user `u`, known as of an auth revision.
fn by_u(auth_revision: u64, command: Command) -> Command {
    let who = Who::User { name: "u".into(), auth_revision };
    Command::As(Box::new(Asked { caller: Caller { who, from: "test".into(), at_ms: 1 }, command }))
}

/// Auth on; `u` may write `mine`.
fn guard() -> Vec<AuthCommand> {
    let user = |name: &str| AuthCommand::UserAdd { name: name.into(), password_hash: Some("h".into()) };
    let give = |user: &str, role: &str| AuthCommand::UserGrant { user: user.into(), role: role.into() };
    let mut all = vec![user("root"), give("root", "root"), user("u"), role("r"), give("u", "r"), grant("r", "mine")];
    all.push(AuthCommand::Enable);
    all
}

/// Proposes at whoever leads; the refusal, if it is one.
async fn propose(cluster: &Cluster, command: &Command) -> Option<Refusal> {
    eventually("it is decided", || async {
        let leader = cluster.leader().await;
        match cluster.node(leader).propose(command, Duration::from_secs(2)).await {
            Ok(_) => Some(None),
            Err(ConsensusError::Refused(refusal)) => Some(Some(refusal)),
            Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await
}

async fn change(cluster: &Cluster, command: AuthCommand) {
    assert_eq!(propose(cluster, &Command::Auth(command)).await, None);
}

/// Writes of `u` that are carried out, and others that are refused, each for its reason.
async fn write_by_rule(cluster: &Cluster, value: &str) {
    let leader = cluster.leader().await;
    let now = cluster.node(leader).read(|machine| machine.auth_revision());
    assert_eq!(propose(cluster, &by_u(now, put("mine", value))).await, None);
    let denied = Some(Refusal::Auth(AuthRefusal::Denied));
    assert_eq!(propose(cluster, &by_u(now, put("theirs", value))).await, denied);
    let old = Some(Refusal::Auth(AuthRefusal::OldRevision));
    assert_eq!(propose(cluster, &by_u(now - 1, put("mine", "old"))).await, old);
}

/// Waits until all have applied what the leader has; all of their states, and auth above all, are the same.
async fn all_have_one_state(cluster: &Cluster) {
    let leader = cluster.leader().await;
    let index = cluster.node(leader).read_index(PATIENCE).await.unwrap();
    let mut states = Vec::new();
    for id in cluster.ids() {
        cluster.node(id).wait_applied(index, PATIENCE).await.unwrap();
        states.push(cluster.node(id).read(|machine| (machine.auth_revision(), machine.hash(0), machine.to_snapshot())));
    }
    for state in &states[1..] {
        assert_eq!((state.0, &state.1), (states[0].0, &states[0].1), "auth revision and hash");
        assert!(state.2 == states[0].2, "the whole state");
    }
}

fn another(than: NodeId) -> NodeId {
    (1..=3).find(|id| *id != than).expect("there are three")
}

/// etcd #11651: a member that had been started anew had an older auth revision than the others, and refused entries that
/// they carried out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_have_one_auth_revision_over_restarts() {
    let mut cluster = Cluster::with(3, SNAPSHOT_EVERY).await;
    for command in guard() {
        change(&cluster, command).await;
    }
    for round in 0..4 {
        // Now the leader, now another; with a snapshot that is older than the last changes, and without.
        let leader = cluster.leader().await;
        let victim = if round % 2 == 0 { leader } else { another(leader) };
        if round > 1 {
            cluster.node(victim).snapshot_now(PATIENCE).await.unwrap();
        }
        change(&cluster, role(&format!("before{round}"))).await;
        write_by_rule(&cluster, &format!("before {round}")).await;
        cluster.stop(victim).await;
        change(&cluster, role(&format!("while{round}"))).await;
        write_by_rule(&cluster, &format!("while {round}")).await;
        cluster.start(victim).await.unwrap();
        write_by_rule(&cluster, &format!("after {round}")).await;
        all_have_one_state(&cluster).await;
    }
    let revision = cluster.node(1).read(|machine| machine.auth_revision());
    assert_eq!(revision, 1 + 6 + 2 * 4, "each change counts once, and enabling does not");
}

/// etcd #14571: a member that had got its state by a snapshot knew no permissions, and refused what the others carried
/// out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_came_by_a_snapshot_judges_as_the_others() {
    let mut cluster = Cluster::with(3, SNAPSHOT_EVERY).await;
    let leader = cluster.leader().await;
    let away = another(leader);
    cluster.stop(away).await;
    for command in guard() {
        change(&cluster, command).await;
    }
    for n in 0..2 * SNAPSHOT_EVERY {
        write_by_rule(&cluster, &n.to_string()).await;
    }
    cluster.node(cluster.leader().await).snapshot_now(PATIENCE).await.unwrap();
    cluster.start(away).await.unwrap();
    eventually("it gets a snapshot", || async {
        let restored = cluster.counters[&away].restored.lock().unwrap().clone();
        restored.into_iter().find(|index| *index > SNAPSHOT_EVERY)
    })
    .await;
    write_by_rule(&cluster, "with it").await;
    all_have_one_state(&cluster).await;
    // Now it decides what they apply.
    let handed = eventually("it leads", || async {
        let leader = cluster.leader().await;
        cluster.node(leader).hand_over(Some(away), PATIENCE).await.ok()
    });
    assert_eq!(handed.await, away);
    write_by_rule(&cluster, "led by it").await;
    all_have_one_state(&cluster).await;
}
