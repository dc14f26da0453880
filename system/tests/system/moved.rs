//! A data folder that moves to another machine, and one that is copied there.

use std::{
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use autoradio_system::{Cluster, Host, Writer, wait_until};

const SOON: Duration = Duration::from_secs(20);
/// From a moved node's start until the others reach it.
const FOUND_MAX: Duration = Duration::from_secs(3);
/// Without writes while a follower moves.
const UNTOUCHED_MAX: Duration = Duration::from_secs(1);
/// Without writes while two with one id run: the one that is not reached may stand for election.
const DISTURBED_MAX: Duration = Duration::from_secs(4);

/// As an administrator does it who has stopped the node.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("--archive").arg(from.join(".")).arg(to).status().expect("cp runs");
    assert!(status.success(), "{} is copied to {}", from.display(), to.display());
}

/// Where the others reach the node with this id, and its state.
fn reached_at(cluster: &Cluster, id: &str) -> Option<(String, String)> {
    let status = cluster.status(1);
    let node = status["nodes"].as_array()?.iter().find(|node| node["id"] == id)?;
    Some((node.pointer("/peer_urls/0")?.as_str()?.to_owned(), node["state"].as_str()?.to_owned()))
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_node_that_moved_is_found_at_its_new_address_and_a_copy_of_it_stops_both() {
    let mut cluster = Cluster::idle(4, &["--icecast", "off"]);
    cluster.found();
    (2..=3).for_each(|n| cluster.join(n));
    cluster.wait_voters(1, 3);
    let id = cluster.member(1, "host3")["id"].as_str().expect("an id").to_owned();
    let writer = Writer::start(&cluster.testbed, &[Host::Node(1), Host::Node(2)]);
    let since = SystemTime::now();

    // Its disk is put into another machine.
    assert_eq!(cluster.terminate(3), 0);
    copy(&cluster.data_dir(3), &cluster.data_dir(4));
    cluster.restart(4);
    let moved = ("https://10.77.0.4:2380".to_owned(), "ok".to_owned());
    let (_, took) = wait_until("reached at host4", SOON, || (reached_at(&cluster, &id)? == moved).then_some(()));
    println!("a node that moved was reached at its new address {took:?} after its start");
    cluster.wait_voters(4, 3);
    wait_until("it takes writes", SOON, || (cluster.etcdctl(4, &["put", "k", "v"]).0 == 0).then_some(()));
    writer.wait_more(20);
    let gap = writer.longest_gap(since);
    println!("a follower moved: no write for {gap:?} at most");
    // It was found before it missed a leader, and stood for election: which would cost the others theirs.
    assert!(took < FOUND_MAX && gap < UNTOUCHED_MAX, "{took:?} {gap:?}");

    // And somebody starts the machine it came from: two with one id.
    cluster.restart(3);
    for n in [3, 4] {
        assert_ne!(cluster.wait_exit(n), 0, "host{n} stops: {}", cluster.log(n));
        assert!(cluster.log(n).contains("two nodes ran with this node's id"), "{}", cluster.log(n));
        cluster.restart(n);
        assert_eq!(cluster.wait_exit(n), 65, "host{n} does not start again: {}", cluster.log(n));
        assert!(cluster.log(n).contains("radioctl node remove"), "the way out: {}", cluster.log(n));
    }
    writer.wait_more(20);
    let gap = writer.longest_gap(since);
    println!("it was copied: no write for {gap:?} at most");
    assert!(gap < DISTURBED_MAX, "{gap:?}");

    // The way out, as told.
    wait_until("its silence is noticed", SOON, || (reached_at(&cluster, &id)?.1 == "silent").then_some(()));
    let _ = cluster.radioctl_well(1, &["node", "remove", &id]);
    for n in [3, 4] {
        let data = cluster.data_dir(n);
        std::fs::rename(&data, data.with_extension("copied")).expect("the folder can be moved");
        cluster.join(n);
    }
    wait_until("four are well", SOON, || (cluster.radioctl(1, &["status"]).0 == 0).then_some(()));
    assert_eq!(cluster.status(1)["nodes"].as_array().map(Vec::len), Some(4));
    assert!(!writer.finish().is_empty());
}
