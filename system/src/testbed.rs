//! `scripts/testbed` as a value: up when made, down when dropped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::wait::wait_until;

/// A host of the testbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A node's host, from 1 on.
    Node(usize),
    /// The host that encoders and players run on.
    Client,
}

impl Host {
    /// The host's address.
    #[must_use]
    pub fn ip(self) -> String {
        match self {
            Self::Node(n) => format!("10.77.0.{n}"),
            Self::Client => "10.77.0.100".into(),
        }
    }

    fn argument(self) -> String {
        match self {
            Self::Node(n) => n.to_string(),
            Self::Client => "client".into(),
        }
    }
}

/// Hosts in network namespaces, joined by a bridge.
#[derive(Debug)]
pub struct Testbed {
    id: String,
    folder: tempfile::TempDir,
}

/// A program on a host; killed with its children when dropped.
#[derive(Debug)]
pub struct Job {
    child: Child,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is one below the root").to_owned()
}

/// A released program (`AUTORADIO_BIN_DIR`, else `target/release`).
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("AUTORADIO_BIN_DIR").map_or_else(|| root().join("target/release"), PathBuf::from);
    let program = folder.join(name);
    assert!(program.exists(), "{} is not built: cargo build --release", program.display());
    program
}

impl Testbed {
    /// Brings hosts up.
    #[must_use]
    pub fn up(hosts: usize) -> Self {
        // `scripts/test` finds what a test that was ended left behind by the prefix.
        let prefix = std::env::var("AUTORADIO_TESTBED_PREFIX").unwrap_or_default();
        let id = format!("{prefix}{}n{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let testbed = Self { id, folder };
        testbed.script(&["up", &hosts.to_string()]);
        testbed
    }

    /// The folder for one host's files, or for anything.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder in the temporary folder");
        folder
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(root().join("scripts/testbed"));
        command.args(arguments).env("AUTORADIO_TESTBED_ID", &self.id).stdin(Stdio::null());
        command
    }

    /// Runs the script and expects success.
    pub fn script(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("scripts/testbed runs");
        assert!(
            output.status.success(),
            "testbed {arguments:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a program on a host to its end.
    #[must_use]
    pub fn exec(&self, host: Host, command: &[&str]) -> Output {
        let host = host.argument();
        self.command(&[&["exec", host.as_str()], command].concat()).output().expect("scripts/testbed runs")
    }

    /// Starts a program on a host; its output goes to a file in the testbed's folder.
    #[must_use]
    pub fn spawn(&self, host: Host, log: &str, command: &[&str]) -> Job {
        let log = File::create(self.folder("logs").join(log)).expect("a log file");
        let host = host.argument();
        let mut line = self.command(&[&["exec", host.as_str()], command].concat());
        // A group of its own, so that the whole of it can be killed.
        std::os::unix::process::CommandExt::process_group(&mut line, 0);
        let child =
            line.stdout(log.try_clone().expect("a second handle")).stderr(log).spawn().expect("scripts/testbed runs");
        Job { child }
    }

    /// What a [`Testbed::spawn`]ed program wrote.
    #[must_use]
    pub fn log(&self, log: &str) -> String {
        std::fs::read_to_string(self.folder("logs").join(log)).unwrap_or_default()
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for file in std::fs::read_dir(self.folder("logs")).into_iter().flatten().flatten() {
                let text = std::fs::read_to_string(file.path()).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(40).collect();
                eprintln!("--- {}", file.path().display());
                tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
        let _ = self.command(&["down"]).status();
    }
}

impl Job {
    /// Whether it still runs.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
    }

    /// The process' id: of the program itself, which took the place of `scripts/testbed`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> i32 {
        let ended = || self.child.try_wait().expect("a child can be waited for");
        wait_until("the program's end", limit, ended).0.code().unwrap_or(-1)
    }

    /// Kills it at once, with its children (`kill -9`).
    pub fn kill(&mut self) {
        self.signal("-KILL");
        let _ = self.child.wait();
    }

    /// Asks it to end and waits.
    pub fn terminate(&mut self) {
        self.signal("-TERM");
        let _ = self.child.wait();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.running() {
            self.kill();
        }
    }
}
