//! The real Icecast: started, fed, killed, and heard.

use std::{
    net::TcpListener as StdListener,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::status::test_view;
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(20);
/// The demo's loop: 500 frames of 192 bytes, 24 ms each.
const LOOP: &[u8] = include_bytes!("../demo/assets/loop.mp3");

/// The loop for ever, four frames at a time, in real time.
struct LoopTap {
    at: usize,
}

#[async_trait::async_trait]
impl Tap for LoopTap {
    async fn begin(&mut self) -> Option<Beginning> {
        let ice = vec![("name".into(), "Loop".into())];
        Some(Beginning { content_type: "audio/mpeg".into(), ice, title: "Ünder & out".into() })
    }

    async fn next(&mut self) -> Next {
        sleep(Duration::from_millis(24 * 4)).await;
        let frames = &LOOP[self.at..self.at + 4 * 192];
        self.at = (self.at + frames.len()) % LOOP.len();
        Next::Audio(vec![Bytes::from_static(frames)])
    }
}

async fn get(address: SocketAddr, path: &str, until: usize) -> Vec<u8> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        while answer.len() < until && stream.read_buf(&mut answer).await.ok()? > 0 {}
        Some(answer)
    };
    timeout(Duration::from_secs(5), ask).await.ok().flatten().unwrap_or_default()
}

/// The audio after the head, once there is enough.
async fn listen(address: SocketAddr) -> Vec<u8> {
    let began = Instant::now();
    loop {
        let answer = get(address, "/loop.mp3", 12_000).await;
        if let Some(at) = answer.windows(4).position(|w| w == b"\r\n\r\n")
            && answer.starts_with(b"HTTP/1.0 200")
            && answer.len() >= 12_000
        {
            return answer[at + 4..].to_vec();
        }
        assert!(began.elapsed() < PATIENCE, "no audio: {}", String::from_utf8_lossy(&answer));
        sleep(Duration::from_millis(100)).await;
    }
}

async fn until(state: &SharedState, what: &str, test: impl Fn(&State) -> bool) {
    let began = Instant::now();
    while !test(&state.get()) {
        assert!(began.elapsed() < PATIENCE, "{what} did not come; it is {}", state.get());
        sleep(Duration::from_millis(20)).await;
    }
}

fn pid_of(dir: &Path) -> i32 {
    let found = Command::new("pgrep").args(["-x", "icecast2"]).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let ours = |pid: &&str| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir.join("icecast"));
    text.split_whitespace().find(ours).expect("our Icecast runs in its folder").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs icecast2"]
async fn a_fed_mount_plays_and_comes_back_after_a_crash() {
    let address = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // 0700: the child's user cannot pass through it, and need not.
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::random().unwrap();
    let settings = crate::config::Config { icecast_listen: address, ..crate::status::test_config() };
    let render = |view: &ClusterView| configuration(&settings, &secrets, view);
    let mut view = test_view();
    let (config, receiver) = watch::channel(render(&view));
    let (state, stop, connections) = (SharedState::default(), CancellationToken::new(), Counter::default());
    let supervisor = Supervisor {
        program: Program::new(
            program::find(&crate::config::IcecastMode::Auto).expect("icecast2"),
            dir.path().join("icecast"),
        ),
        listen: address,
        config: receiver,
        state: state.clone(),
        starts: Counter::default(),
        stop: stop.clone(),
    };
    let supervising = tokio::spawn(supervisor.run());
    let target = Target { address, secrets: secrets.clone(), connections: connections.clone() };
    let name = MountName::parse("/loop.mp3").unwrap();
    let (_live, receiver) = watch::channel(BTreeSet::from([name]));
    let feeding = tokio::spawn(feeds::run(target, receiver, |_| Some(LoopTap { at: 0 }), stop.clone()));

    until(&state, "running", |state| *state == State::Running).await;
    let audio = listen(address).await;
    assert!(
        audio.chunks_exact(192).all(|frame| LOOP.chunks_exact(192).any(|of| of == frame)),
        "whole frames, unchanged"
    );
    let status = String::from_utf8(get(address, "/status-json.xsl", 100_000).await).unwrap();
    assert!(status.contains("Ünder & out") && status.contains("\"Loop\""), "{status}");
    // Neither the outside's password nor a wrong one makes a source.
    let refused = get(address, "/admin/stats", 1_000).await;
    assert!(refused.starts_with(b"HTTP/1.0 401"), "{}", String::from_utf8_lossy(&refused));

    // A changed configuration drops nobody.
    let mut listener = TcpStream::connect(address).await.unwrap();
    listener.write_all(b"GET /loop.mp3 HTTP/1.0\r\n\r\n").await.unwrap();
    Arc::make_mut(&mut view.catalog.mounts).clear();
    config.send_replace(render(&view));
    let (mut bytes, began) = (0, Instant::now());
    while began.elapsed() < Duration::from_secs(4) {
        let mut chunk = [0; 4_096];
        let length = timeout(PATIENCE, listener.read(&mut chunk)).await.unwrap().unwrap();
        assert!(length > 0, "the listener was dropped");
        bytes += length;
    }
    assert!(bytes > 24_000, "{bytes} bytes in 4 s");

    let pid = pid_of(dir.path());
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    until(&state, "the crash", |state| state.to_string().contains("killed by signal 9 (")).await;
    until(&state, "running again", |state| *state == State::Running).await;
    listen(address).await;
    assert_eq!(connections.get(), 2);
    assert_ne!(pid_of(dir.path()), pid);

    let began = Instant::now();
    stop.cancel();
    timeout(PATIENCE, supervising).await.unwrap().unwrap();
    timeout(PATIENCE, feeding).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "it ends by itself");
    assert!(TcpStream::connect(address).await.is_err());
}
