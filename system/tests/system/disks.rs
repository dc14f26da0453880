//! Disks that rot or run full below one node: the others go on, and it comes back.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use autoradio_system::{Cluster, Encoding, FfmpegLoop, Host, Recording, Writer, wait_until};

use crate::cluster::leader;

const SOON: Duration = Duration::from_secs(20);
/// Without writes while a full leader hands on.
const HANDED_OVER_MAX: Duration = Duration::from_secs(2);
/// The size of a node's small disk: room for its store, and for what must stay free.
const DISK_MIB: u64 = 160;
/// What a disk that is full has left: less than the 64 MiB that must stay.
const LEFT_MIB: u64 = 24;

/// Turns the bits of one byte in an entry that was acknowledged long ago, wherever in the log it is.
fn rot(cluster: &Cluster, n: usize, key: &str) {
    let found = ["journal-a", "journal-b", "db"].iter().find_map(|name| {
        let path = cluster.data_dir(n).join("raft/log").join(name);
        let bytes = fs::read(&path).expect("a file of the log");
        let at = bytes.windows(key.len()).position(|window| window == key.as_bytes())?;
        Some((path, bytes, at))
    });
    let (path, bytes, at) = found.expect("the entry is in the log");
    let file = OpenOptions::new().write(true).open(&path).expect("the log's file can be written");
    file.write_all_at(&[bytes[at] ^ 0xff], at as u64).expect("a byte is turned");
}

/// Each member's own HashKV at one revision, as etcdctl shows it.
fn hashes(cluster: &Cluster) -> Vec<u64> {
    let hash = |n| {
        let (code, out, err) = cluster.etcdctl(n, &["endpoint", "hashkv", "-w", "json"]);
        assert_eq!(code, 0, "{err}");
        let shown: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        shown.pointer("/0/HashKV/hash").and_then(serde_json::Value::as_u64).expect("a hash")
    };
    (1..=3).map(hash).collect()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_rotten_log_is_moved_aside_and_the_node_joins_anew_with_equal_data() {
    let mut cluster = Cluster::up(3);
    let writer = Writer::start(&cluster.testbed, &[Host::Node(1), Host::Node(2)]);
    writer.wait_more(50);
    let key = writer.acknowledged().pop_first().expect("a write");
    assert_eq!(cluster.terminate(3), 0);
    rot(&cluster, 3, &key);
    cluster.restart(3);
    assert_eq!(cluster.wait_exit(3), 65, "it refuses: {}", cluster.log(3));
    let said = cluster.log(3);
    assert!(said.contains("raft.damaged-") && said.contains("node remove") && said.contains("join"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // Nor does it come back as if nothing had been.
    cluster.restart(3);
    assert_eq!(cluster.wait_exit(3), 65, "it refuses again: {}", cluster.log(3));

    let old = cluster.member(1, "host3")["id"].clone();
    wait_until("its silence is noticed", SOON, || (cluster.member(1, "host3")["state"] == "silent").then_some(()));
    let _ = cluster.radioctl_well(1, &["node", "remove", "host3"]);
    cluster.join(3);
    cluster.wait_voters(1, 3);
    assert_ne!(cluster.member(1, "host3")["id"], old);
    let written = writer.finish();
    wait_until("equal data", SOON, || {
        let all = hashes(&cluster);
        all.iter().all(|hash| *hash == all[0]).then_some(())
    });
    let (_, out, _) = cluster.etcdctl(3, &["get", "steady/", "--prefix", "--keys-only", "--consistency=s"]);
    assert!(written.iter().all(|key| out.contains(key.as_str())), "all that was acknowledged is at host3");
    println!("{} writes are on the machine whose log had rotted", written.len());
}

/// A node's data folder is a small disk of its own: in what the node sees, and nobody else.
fn small_disk(cluster: &mut Cluster, n: usize) {
    let data = cluster.data_dir(n).display().to_string();
    let script = format!("mount -t tmpfs -o size={DISK_MIB}m,mode=700 small-disk {data} && exec \"$@\"");
    cluster.run_by(n, ["bash", "-c", &script, "small-disk"].map(str::to_owned).to_vec());
}

/// What takes the room on a node's disk, as the node sees it.
fn ballast(cluster: &Cluster, n: usize) -> PathBuf {
    let data = cluster.data_dir(n);
    let inside = data.strip_prefix("/").expect("a whole path");
    PathBuf::from(format!("/proc/{}/root", cluster.pid(n))).join(inside).join("ballast")
}

/// Fills a node's disk, and waits until it says so.
fn fill(cluster: &Cluster, n: usize) {
    let path = ballast(cluster, n).display().to_string();
    let folder = path.trim_end_matches("/ballast");
    let script = format!(
        "room=$(stat --file-system --format='%a*%S' {folder}) && fallocate -l $((room - ({LEFT_MIB} << 20))) {path}"
    );
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    wait_full(cluster, n, true);
}

/// Makes room again, and waits until the node says so.
fn make_room(cluster: &Cluster, n: usize) {
    fs::remove_file(ballast(cluster, n)).expect("the ballast is there");
    wait_full(cluster, n, false);
}

fn wait_full(cluster: &Cluster, n: usize, full: bool) {
    let url = format!("http://{}/metrics", Host::Node(n).ip());
    let want = format!("autoradio_store_disk_full {}", u8::from(full));
    wait_until(&format!("{want} at host{n}"), SOON, || {
        let output = cluster.testbed.exec(Host::Client, &["curl", "--silent", &url]);
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line == want).then_some(())
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_full_disk_stops_no_stream_and_a_full_majority_takes_writes_again_when_there_is_room() {
    let mut cluster = Cluster::idle(3, &["--icecast", "off"]);
    (1..=2).for_each(|n| small_disk(&mut cluster, n));
    cluster.found();
    (2..=3).for_each(|n| cluster.join(n));
    cluster.wait_voters(1, 3);
    let credentials = cluster.create_mount(3, "/live.mp3");
    let _encoder = FfmpegLoop::start(&cluster.testbed, Encoding::Mp3, &credentials, &[Host::Node(1)]);
    wait_until("on air at host1", SOON, || (cluster.origin(3, "/live.mp3")? == "host1").then_some(()));
    let mut listener = Recording::start(&cluster.testbed, "at1.mp3", Host::Node(1), "/live.mp3");
    listener.wait_more(40_000, SOON);
    let writer = Writer::start(&cluster.testbed, &[1, 2, 3].map(Host::Node));
    assert_eq!(leader(&cluster, 3), Some(1));

    // The leader first: another leads, and writes go on.
    let since = SystemTime::now();
    fill(&cluster, 1);
    wait_until("another leads", SOON, || leader(&cluster, 3).filter(|n| *n != 1));
    writer.wait_more(40);
    let gap = writer.longest_gap(since);
    println!("the leader's disk ran full: no write for {gap:?} at most");
    assert!(gap < HANDED_OVER_MAX, "{gap:?}");
    let healthz = cluster.testbed.exec(Host::Client, &["curl", "--silent", "--fail", "http://10.77.0.1/healthz"]);
    assert!(healthz.status.success() && healthz.stdout.starts_with(b"ok; the disk is full"), "{healthz:?}");
    let (code, said, _) = cluster.radioctl(3, &["status"]);
    assert!(code == 8 && said.contains("host1's disk is full"), "{code} {said}");

    // A majority: refused in etcd's words, while streams, reads and DNS go on at the full nodes.
    fill(&cluster, 2);
    let refused = |said: &str| said.contains("mvcc: database space exceeded");
    wait_until("writes are refused", SOON, || refused(&cluster.etcdctl(3, &["put", "k", "v"]).2).then_some(()));
    let (code, out, said) = cluster.etcdctl(3, &["get", "steady/", "--prefix", "--limit=1", "--keys-only"]);
    assert!(code == 0 && out.contains("steady/"), "{code} {said}");
    listener.wait_more(60_000, SOON);
    let dig = cluster.testbed.exec(Host::Client, &["dig", "+short", "+time=1", "@10.77.0.1", "radio.test", "A"]);
    assert!(String::from_utf8_lossy(&dig.stdout).contains("10.77.0.1"), "a full node gets listeners: {dig:?}");

    (1..=2).for_each(|n| make_room(&cluster, n));
    writer.wait_more(40);
    wait_until("all is well", SOON, || (cluster.radioctl(1, &["status"]).0 == 0).then_some(()));
    assert!(listener.connected(), "the listener at the full node stayed");
    let written = writer.finish();
    wait_until("equal data", SOON, || {
        let all = hashes(&cluster);
        all.iter().all(|hash| *hash == all[0]).then_some(())
    });
    let (_, out, _) = cluster.etcdctl(1, &["get", "steady/", "--prefix", "--keys-only", "--consistency=s"]);
    assert!(written.iter().all(|key| out.contains(key.as_str())), "all that was acknowledged is at host1");
}
