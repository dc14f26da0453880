//! Joining, mounts on every node, partitions, and a restart of everything.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use autoradio_system::{
    Cluster, Encoding, FfmpegLoop, Host, Recording, decoder_complaints, mpv_complaints, wait_until,
};
use serde_json::Value;

fn mounts(status: &Value) -> Vec<&str> {
    status["mounts"].as_array().into_iter().flatten().filter_map(|m| m["name"].as_str()).collect()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn three_nodes_join_and_agree_and_a_mount_is_everywhere_in_a_second() {
    let cluster = Cluster::up(3);
    // One leader, the same one to all, and the same picture everywhere.
    let elected = leader(&cluster, 1);
    assert!(elected.is_some());
    for n in 1..=3 {
        wait_until("the same leader", Duration::from_secs(2), || (leader(&cluster, n) == elected).then_some(()));
        let status = cluster.status(n);
        let nodes = status["nodes"].as_array().expect("nodes");
        assert_eq!(nodes.len(), 3, "{status}");
        assert_eq!(nodes.iter().filter(|n| n["role"] == "leader").count(), 1, "{status}");
        assert_eq!(status["cluster_id"], cluster.status(1)["cluster_id"]);
    }
    assert!(cluster.log(2).contains("joined in"), "{}", cluster.log(2));

    let created = Instant::now();
    let credentials = cluster.create_mount(3, "/live.ogg");
    assert!(credentials.password.len() >= 16);
    for n in 1..=3 {
        wait_until("the mount on every node", Duration::from_secs(1).saturating_sub(created.elapsed()), || {
            mounts(&cluster.status(n)).contains(&"/live.ogg").then_some(())
        });
    }
    // Only the hash is stored, and shown nowhere.
    for n in 1..=3 {
        let shown = cluster.json(n, &["show-mount", "/live.ogg"]).to_string();
        assert!(!shown.contains(&credentials.password) && !shown.contains("argon2"), "{shown}");
    }
    // Joining twice says that it is a member already.
    let program = autoradio_system::program("autoradio-node");
    let socket = cluster.socket(2).display().to_string();
    let again = cluster
        .testbed
        .exec(Host::Node(2), &[program.to_str().expect("a plain path"), "join", "host1", "--admin-socket", &socket]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned() + &String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("already"), "{said}");
    // Errors are for people, exit codes for programs.
    let (code, _, said) = cluster.radioctl(1, &["create-mount", "/live.ogg"]);
    assert_eq!(code, 4, "{said}");
    let (code, _, said) = cluster.radioctl(1, &["show-mount", "/nothing"]);
    assert_eq!(code, 3, "{said}");
    let (code, _, said) = cluster.radioctl(1, &["create-mount", "no-slash"]);
    assert_eq!(code, 2, "{said}");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn the_majority_goes_on_without_the_leader_and_one_history_remains() {
    let cluster = Cluster::up(3);
    let credentials = cluster.create_mount(1, "/live.mp3");
    let leader = leader(&cluster, 1).expect("a leader");
    let others: Vec<_> = (1..=3).filter(|n| *n != leader).collect();
    // A source and a listener on the side that will be the minority.
    let _encoder = FfmpegLoop::start(&cluster.testbed, Encoding::Mp3, &credentials, &[Host::Node(leader)]);
    wait_until("the source is on air", Duration::from_secs(10), || cluster.origin(others[0], "/live.mp3"));
    let mut there = Recording::start(&cluster.testbed, "there.mp3", Host::Node(leader), "/live.mp3");
    there.wait_more(20_000, Duration::from_secs(10));

    let cut = Instant::now();
    cluster.testbed.script(&["cut", &leader.to_string()]);
    let (_, outage) = wait_until("the majority takes writes", Duration::from_secs(8), || {
        let (code, ..) = cluster.radioctl(others[0], &["--timeout", "400ms", "create-mount", "/after-the-cut.mp3"]);
        (code == 0 || code == 4).then_some(())
    });
    println!("majority took a write {:?} after the cut", cut.elapsed());
    assert!(outage < Duration::from_secs(3), "{outage:?}");
    // The minority serves on, those who listen and those who come,
    there.wait_more(60_000, Duration::from_secs(10));
    let newcomer = Recording::start(&cluster.testbed, "newcomer.mp3", Host::Node(leader), "/live.mp3");
    newcomer.wait_more(20_000, Duration::from_secs(5));
    // refuses changes, says so, and still answers.
    let (code, out, err) = cluster.radioctl(leader, &["create-mount", "/in-the-minority.mp3"]);
    assert!(code == 6 || code == 7, "{code} {out}{err}");
    assert!(err.contains("majority"), "{err}");
    // The source's lease runs out at the majority meanwhile: those who can be reached are served on all the same.
    there.wait_more(240_000, Duration::from_secs(30));
    let status = cluster.status(leader);
    assert!(mounts(&status).contains(&"/live.mp3"), "{status}");
    assert_eq!(status["quorum"], false, "{status}");
    let server = format!("@10.77.0.{leader}");
    let dns = cluster.testbed.exec(Host::Client, &["dig", "+short", "+time=1", "+tries=1", &server, "radio.test", "A"]);
    assert!(dns.stdout.starts_with(b"10.77.0."), "the minority answers DNS: {dns:?}");

    cluster.testbed.script(&["heal"]);
    for n in 1..=3 {
        wait_until("one history", Duration::from_secs(10), || {
            let status = cluster.status(n);
            let names = mounts(&status);
            (names.contains(&"/after-the-cut.mp3") && !names.contains(&"/in-the-minority.mp3")).then_some(())
        });
    }
    wait_until("one revision", Duration::from_secs(5), || {
        let revisions: Vec<_> = (1..=3).map(|n| cluster.status(n)["revision"].clone()).collect();
        revisions.iter().all(|r| *r == revisions[0]).then_some(())
    });
    there.wait_more(60_000, Duration::from_secs(15));
    assert!(there.connected(), "the listener at the minority stays connected through it all");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn nothing_acknowledged_is_lost_when_all_are_killed() {
    let mut cluster = Cluster::up(3);
    // Written on every node until each is killed; what was acknowledged is remembered.
    let written = AtomicUsize::new(0);
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let (cluster, written) = (&cluster, &written);
        let writers: Vec<_> = (1..=3)
            .map(|n| {
                scope.spawn(move || {
                    let mut names = Vec::new();
                    for i in 0.. {
                        let name = format!("/node{n}-{i}.mp3");
                        if cluster.radioctl(n, &["--timeout", "2s", "create-mount", &name]).0 != 0 {
                            return names;
                        }
                        names.push(name);
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    names
                })
            })
            .collect();
        wait_until("writes", Duration::from_secs(20), || (written.load(Ordering::Relaxed) >= 20).then_some(()));
        let kills: Vec<_> =
            (1..=3).map(|n| scope.spawn(move || cluster.testbed.script(&["kill", &n.to_string()]))).collect();
        kills.into_iter().for_each(|kill| drop(kill.join().expect("killed")));
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
    });
    cluster.kill_all();
    println!("{} mounts were acknowledged", acknowledged.len());
    (1..=3).for_each(|n| cluster.restart(n));
    for n in 1..=3 {
        wait_until("every mount is back", Duration::from_secs(15), || {
            let status = cluster.status(n);
            let there = mounts(&status);
            (status["quorum"] == true && acknowledged.iter().all(|name| there.contains(&name.as_str()))).then_some(())
        });
    }
    let _ = cluster.create_mount(2, "/afterwards.mp3");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn two_encoders_on_two_nodes_are_heard_on_the_third() {
    let cluster = Cluster::up(3);
    let vorbis = cluster.create_mount(3, "/live.ogg");
    let mp3 = cluster.create_mount(3, "/live.mp3");
    let testbed = &cluster.testbed;
    let _one = FfmpegLoop::start(testbed, Encoding::Vorbis, &vorbis, &[Host::Node(1)]);
    let _two = FfmpegLoop::start(testbed, Encoding::Mp3, &mp3, &[Host::Node(2)]);
    wait_until("both are on air", Duration::from_secs(15), || {
        (cluster.origin(3, "/live.ogg")? == "host1" && cluster.origin(3, "/live.mp3")? == "host2").then_some(())
    });
    for (mount, encoding) in [("/live.ogg", Encoding::Vorbis), ("/live.mp3", Encoding::Mp3)] {
        let name = mount.trim_start_matches('/');
        let recording = Recording::start(testbed, name, Host::Node(3), mount);
        recording.wait_more(120_000, Duration::from_secs(20));
        let path = recording.finish(encoding);
        assert_eq!(decoder_complaints(&path), "", "{mount}: ffmpeg");
        assert_eq!(mpv_complaints(&path), "", "{mount}: mpv");
    }
    // Playlists name the nodes, best first.
    let playlist = testbed.exec(Host::Client, &["curl", "-s", "http://10.77.0.3/live.mp3.m3u"]);
    let playlist = String::from_utf8_lossy(&playlist.stdout).into_owned();
    assert_eq!(playlist.lines().filter(|l| l.starts_with("http://")).count(), 3, "{playlist}");
}

/// The host of the leader, as node `n` sees it.
pub(crate) fn leader(cluster: &Cluster, n: usize) -> Option<usize> {
    let status = cluster.status(n);
    let name = status["nodes"].as_array()?.iter().find(|n| n["role"] == "leader")?["name"].as_str()?.to_owned();
    name.strip_prefix("host")?.parse().ok()
}
