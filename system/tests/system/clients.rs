//! Client libraries that are not ours do their ordinary work while the leader is killed; and a leader that was stopped
//! for a while tells nothing old.

use std::time::{Duration, Instant};

use autoradio_system::{Cluster, Host, Job, wait_until};

/// Writes after which the leader is killed: the client is in the middle of its work.
const KILL_AFTER: &str = "acknowledged 100\n";

/// A client's whole work: an election, and a lease that outlives its first time to live.
const WORK: Duration = Duration::from_secs(90);

/// The node that node `n` says leads.
fn leader(cluster: &Cluster, n: usize) -> Option<usize> {
    let status = cluster.status(n);
    let name = status["nodes"].as_array()?.iter().find(|n| n["role"] == "leader")?["name"].as_str()?.to_owned();
    name.strip_prefix("host")?.parse().ok()
}

/// Runs a client on the client's host, and kills the leader in the middle of its work.
fn works_through_a_kill(log: &str, command: &[&str], endpoint: impl Fn(usize) -> String) {
    let mut cluster = Cluster::up(3);
    let endpoints: Vec<String> = (1..=3).map(endpoint).collect();
    let line: Vec<&str> = command.iter().copied().chain(endpoints.iter().map(String::as_str)).collect();
    let mut client = cluster.testbed.spawn(Host::Client, log, &line);
    let wrote = |cluster: &Cluster, client: &mut Job, text: &str| {
        let said = cluster.testbed.log(log);
        assert!(said.contains(text) || client.running(), "the client ended: {said}");
        cluster.testbed.log(log).contains(text).then_some(())
    };
    wait_until("the client is at work", WORK, || wrote(&cluster, &mut client, KILL_AFTER));
    let victim = leader(&cluster, 1).expect("a leader");
    cluster.kill(victim);
    let killed = Instant::now();
    wait_until("the client has done its work", WORK, || wrote(&cluster, &mut client, "all is well\n"));
    println!("{log}: done {:?} after host{victim}, the leader, was killed", killed.elapsed());
}

#[cfg(feature = "foreign")]
#[test]
#[ignore = "needs root and network namespaces"]
fn rusts_etcd_client_works_through_a_kill() {
    let program = autoradio_system::program("foreign-client");
    let program = program.to_str().expect("a plain path");
    works_through_a_kill("etcd-client", &[program], |n| format!("http://{}:2379", Host::Node(n).ip()));
}

#[test]
#[ignore = "needs root and network namespaces"]
fn pythons_etcd3_works_through_a_kill() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/clients/etcd3_client.py");
    works_through_a_kill("python-etcd3", &["/usr/bin/python3", script], |n| Host::Node(n).ip());
}

/// etcd #20418: a leader whose process had been stopped answered linearizable reads with what was old.
#[test]
#[ignore = "needs root and network namespaces"]
fn a_leader_that_was_stopped_for_a_while_tells_nothing_old() {
    let cluster = Cluster::up(3);
    let etcdctl = |n: usize, words: &[&str]| {
        let endpoint = format!("{}:2379", Host::Node(n).ip());
        let line =
            [&["env", "ETCDCTL_API=3", "etcdctl", "--command-timeout=2s", "--endpoints", &endpoint], words].concat();
        let output = cluster.testbed.exec(Host::Client, &line);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    for round in 1..=3 {
        let stopped = wait_until("a leader", Duration::from_secs(10), || leader(&cluster, 1)).0;
        let other = if stopped == 1 { 2 } else { 1 };
        assert!(etcdctl(stopped, &["put", "k", &format!("{round} before")]).is_some());
        cluster.pause(stopped);
        let after = format!("{round} after");
        wait_until("another leader takes a write", Duration::from_secs(15), || etcdctl(other, &["put", "k", &after]));
        cluster.resume(stopped);
        // At once, and until it has noticed: no answer is no lie.
        let mut answers = 0;
        wait_until("it has answered", Duration::from_secs(20), || {
            let found = etcdctl(stopped, &["get", "k", "--print-value-only"])?;
            assert_eq!(found, after, "a linearizable read at the one that was stopped");
            answers += 1;
            (answers == 5).then_some(())
        });
    }
}
