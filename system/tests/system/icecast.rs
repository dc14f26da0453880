//! Icecast beside every node.

use std::time::Duration;

use autoradio_system::{Cluster, Encoding, FfmpegLoop, Host, Recording, decoder_complaints, wait_until};

#[test]
#[ignore = "needs root, network namespaces and icecast2"]
fn every_nodes_icecast_plays_the_mount_and_comes_back_after_a_crash() {
    let cluster = Cluster::up_with(3, &["--icecast", "auto"]);
    let credentials = cluster.create_mount(1, "/live.ogg");
    let _encoder = FfmpegLoop::start(&cluster.testbed, Encoding::Vorbis, &credentials, &[Host::Node(1)]);
    for n in 1..=3 {
        heard_at_icecast(&cluster, n);
    }
    // A crash, and another whenever it is back, until status says so: the first one is over before it is reported.
    // Processes are looked for on the host only.
    let script = "pkill -KILL --exact icecast2 --ns $$ --nslist net";
    let kill = || cluster.testbed.exec(Host::Node(3), &["bash", "-c", script]).status.success();
    assert!(kill(), "icecast of host3 was running");
    wait_until("status says so", Duration::from_secs(15), || {
        kill();
        let status = cluster.status(3);
        let node = status["nodes"].as_array()?.iter().find(|n| n["name"] == "host3")?;
        (node["icecast"].as_str()? != "running").then_some(())
    });
    wait_until("icecast is back", Duration::from_secs(30), || {
        let status = cluster.status(3);
        let node = status["nodes"].as_array()?.iter().find(|n| n["name"] == "host3")?;
        (node["icecast"].as_str()? == "running").then_some(())
    });
    heard_at_icecast(&cluster, 3);
}

fn heard_at_icecast(cluster: &Cluster, n: usize) {
    let url = format!("http://10.77.0.{n}:8000/live.ogg");
    wait_until(&format!("{url} answers"), Duration::from_secs(20), || {
        let got = cluster
            .testbed
            .exec(Host::Client, &["curl", "-s", "-m", "1", "-o", "/dev/null", "-w", "%{http_code}", &url]);
        (String::from_utf8_lossy(&got.stdout) == "200").then_some(())
    });
    let recording = Recording::at(&cluster.testbed, &format!("icecast{n}.ogg"), &url);
    recording.wait_more(60_000, Duration::from_secs(20));
    assert_eq!(decoder_complaints(&recording.finish(Encoding::Vorbis)), "", "{url}");
}
