//! The supervisor with small programs in Icecast's place; the real one is in `tests/icecast`.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use super::*;

const PATIENCE: Duration = Duration::from_secs(15);

struct Rig {
    dir: tempfile::TempDir,
    state: SharedState,
    starts: prometheus_client::metrics::counter::Counter,
    stop: CancellationToken,
    config: watch::Sender<String>,
    listen: SocketAddr,
    task: Option<tokio::task::JoinHandle<()>>,
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Rig {
    /// A supervisor of a shell script, which runs in the child's folder.
    fn start(script: &str, listen: SocketAddr) -> Self {
        // The child may be another user, who must reach the script.
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let (config, receiver) = watch::channel("<first/>".to_owned());
        let (state, stop) = (SharedState::default(), CancellationToken::new());
        let starts = prometheus_client::metrics::counter::Counter::default();
        let supervisor = Supervisor {
            program: Program::new(path, dir.path().join("icecast")),
            listen,
            config: receiver,
            state: state.clone(),
            starts: starts.clone(),
            stop: stop.clone(),
        };
        let task = Some(tokio::spawn(supervisor.run()));
        Self { dir, state, starts, stop, config, listen, task }
    }

    async fn until(&self, what: &str, mut test: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !test(self) {
            assert!(began.elapsed() < PATIENCE, "{what} did not come; it is {}", self.state.get());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.dir.path().join("icecast").join(file)).unwrap_or_default()
    }

    async fn stop(mut self) -> SharedState {
        self.stop.cancel();
        timeout(PATIENCE, self.task.take().unwrap()).await.expect("it stops").unwrap();
        self.state.clone()
    }
}

/// Who plays the open port while the script plays the process.
fn listens_later(address: SocketAddr, started: &Path) -> std::thread::JoinHandle<TcpListener> {
    let started = started.to_owned();
    std::thread::spawn(move || {
        let began = Instant::now();
        while !started.exists() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        TcpListener::bind(address).expect("the port is still free")
    })
}

#[tokio::test]
async fn a_crash_is_restarted_with_its_reason() {
    let rig = Rig::start("echo one; echo 'port is bad' >&2; exit 3", free_port());
    rig.until("a restart", |rig| rig.starts.get() >= 2).await;
    rig.until("the reason", |rig| rig.state.get().to_string().contains("exited with status 3")).await;
    let words = rig.state.get().to_string();
    assert!(words.starts_with("restarting in ") && words.contains("port is bad"), "{words}");
    assert_eq!(rig.stop().await.get(), State::Off);
}

#[tokio::test]
async fn ready_is_running_a_change_is_a_hang_up_and_stop_is_gentle() {
    let listen = free_port();
    let script = "trap 'cat icecast.xml >> hup' HUP; trap 'echo bye > term; exit 0' TERM; \
                  touch started; while :; do sleep 0.05; done";
    let rig = Rig::start(script, listen);
    let port = listens_later(listen, &rig.dir.path().join("icecast/started"));
    rig.until("running", |rig| rig.state.get() == State::Running).await;
    let _port = port.join().unwrap();
    rig.config.send_replace("<second/>".into());
    rig.until("a hang-up", |rig| rig.said("hup") == "<second/>").await;
    rig.config.send_replace("<third/>".into());
    rig.config.send_replace("<fourth/>".into());
    rig.until("one hang-up for two changes", |rig| rig.said("hup") == "<second/><fourth/>").await;
    assert_eq!(rig.starts.get(), 1);
    let mut rig = rig;
    rig.stop.cancel();
    timeout(PATIENCE, rig.task.take().unwrap()).await.expect("it stops").unwrap();
    assert_eq!(rig.said("term"), "bye\n");
    assert_eq!(rig.state.get(), State::Off);
}

#[tokio::test]
async fn who_ignores_the_end_is_killed() {
    let listen = free_port();
    let rig = Rig::start("trap '' TERM; touch started; while :; do sleep 0.05; done", listen);
    let port = listens_later(listen, &rig.dir.path().join("icecast/started"));
    rig.until("running", |rig| rig.state.get() == State::Running).await;
    drop(port.join().unwrap());
    let began = Instant::now();
    rig.stop().await;
    assert!(began.elapsed() >= TERM_LIMIT, "it was given its time");
}

#[tokio::test]
async fn another_programs_port_is_never_grabbed() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let rig = Rig::start("touch started; sleep 60", other.local_addr().unwrap());
    rig.until("the words", |rig| rig.state.get() == State::PortTaken(rig.listen)).await;
    assert_eq!(rig.starts.get(), 0);
    assert!(!rig.dir.path().join("icecast/started").exists());
    rig.stop().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_so() {
    let rig = Rig::start("exit 0", free_port());
    fs::remove_file(rig.dir.path().join("program")).unwrap();
    rig.until("a reason", |rig| matches!(rig.state.get(), State::Restarting { .. })).await;
    rig.stop().await;
}
