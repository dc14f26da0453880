//! The local Icecast as a child process: started, watched, restarted, told of changes, stopped.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::Child,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::backoff::jittered;

use super::{
    log::{LastLine, follow},
    program::Program,
    state::{SharedState, State},
};

/// Waits between restarts: the first (so long that a report, which goes out each second, tells of the crash), and the
/// longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(2_500), Duration::from_secs(30));
/// After so long without a crash the back-off starts over.
const STEADY: Duration = Duration::from_secs(60);
/// How often a port that another program has is looked at.
const PORT_RETRY: Duration = Duration::from_secs(15);
/// How long it may take until it accepts connections; loaded machines are slow.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// How often readiness is tried.
const READY_EVERY: Duration = Duration::from_millis(100);
/// Changes that come within this time are told at once; Icecast itself looks once a second.
const DEBOUNCE: Duration = Duration::from_millis(500);
/// How long it has to end by itself; it takes 0.75 s.
const TERM_LIMIT: Duration = Duration::from_secs(3);

/// What the supervisor needs.
pub(super) struct Supervisor {
    pub(super) program: Program,
    /// Where it will listen, by its configuration.
    pub(super) listen: SocketAddr,
    /// The text of its configuration.
    pub(super) config: watch::Receiver<String>,
    pub(super) state: SharedState,
    pub(super) starts: prometheus_client::metrics::counter::Counter,
    pub(super) stop: CancellationToken,
}

/// How one run of the child ended.
enum Ended {
    /// We were told to stop.
    Stopped,
    /// By itself, and why as far as is known.
    Exited(String),
    /// It was not even started.
    PortTaken,
}

impl Supervisor {
    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        let mut wait = BACK_OFF.0;
        loop {
            let began = Instant::now();
            let ended = self.run_once().await;
            if began.elapsed() >= STEADY {
                wait = BACK_OFF.0;
            }
            let pause = match ended {
                Ended::Stopped => break,
                Ended::PortTaken => {
                    self.state.set(State::PortTaken(self.listen));
                    jittered(PORT_RETRY)
                }
                Ended::Exited(reason) => {
                    let pause = jittered(wait);
                    wait = (wait * 2).min(BACK_OFF.1);
                    tracing::warn!(%reason, wait_ms = pause.as_millis(), "the local Icecast ended; starting it again");
                    self.state.set(State::Restarting { at: Instant::now() + pause, reason });
                    pause
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.cancelled() => break,
            }
        }
        self.state.set(State::Off);
    }

    async fn run_once(&mut self) -> Ended {
        // Never grab or share a port: whoever has it is somebody else's.
        if let Err(error) = StdListener::bind(self.listen) {
            return match error.kind() {
                io::ErrorKind::AddrInUse => Ended::PortTaken,
                _ => Ended::Exited(format!("cannot listen on {}: {error}", self.listen)),
            };
        }
        let text = self.config.borrow_and_update().clone();
        if let Err(error) = self.program.write_config(&text) {
            return Ended::Exited(format!("its configuration cannot be written: {error}"));
        }
        self.state.set(State::Starting);
        let (mut child, _keeper) = match spawn_kept(&self.program).await {
            Ok(pair) => pair,
            Err(error) => return Ended::Exited(format!("it cannot be started: {error}")),
        };
        self.starts.inc();
        let last = LastLine::default();
        // Both end with the child's pipes.
        let out = child.stdout.take().map(|pipe| tokio::spawn(follow(pipe, last.clone())));
        let err = child.stderr.take().map(|pipe| tokio::spawn(follow(pipe, last.clone())));
        let ended = self.watch(&mut child).await;
        for reader in [out, err].into_iter().flatten() {
            // A grandchild might hold the pipe open.
            let abort = reader.abort_handle();
            if timeout(Duration::from_millis(200), reader).await.is_err() {
                abort.abort();
            }
        }
        match ended {
            Ended::Exited(reason) => {
                // On its pipe where the configuration is wrong, in its log where it ran.
                let said = Some(last.get()).filter(|line| !line.is_empty()).or_else(|| self.program.last_log_line());
                Ended::Exited(said.map_or(reason.clone(), |said| format!("{reason} ({said})")))
            }
            other => other,
        }
    }

    async fn watch(&mut self, child: &mut Child) -> Ended {
        let ready = wait_ready(self.listen);
        tokio::pin!(ready);
        let mut is_ready = false;
        let mut configured = true;
        loop {
            tokio::select! {
                ended = child.wait() => return Ended::Exited(describe(ended)),
                () = self.stop.cancelled() => {
                    end(child).await;
                    return Ended::Stopped;
                }
                came = &mut ready, if !is_ready => {
                    if !came {
                        end(child).await;
                        return Ended::Exited(format!("it did not listen on {} in {READY_LIMIT:?}", self.listen));
                    }
                    is_ready = true;
                    self.state.set(State::Running);
                }
                changed = self.config.changed(), if configured => match changed {
                    Ok(()) => self.tell_change(child).await,
                    // Nobody changes it any more; the child runs on.
                    Err(_) => configured = false,
                },
            }
        }
    }

    async fn tell_change(&mut self, child: &Child) {
        sleep(DEBOUNCE).await;
        let text = self.config.borrow_and_update().clone();
        if let Err(error) = self.program.write_config(&text) {
            tracing::warn!(%error, "Icecast's new configuration cannot be written; it keeps the old one");
            return;
        }
        signal(child, Signal::HUP);
    }
}

/// Starts the child from a thread that lives as long as the keeper: the kernel sends the death signal when the
/// *thread* that forked ends, and tokio's threads come and go.
async fn spawn_kept(program: &Program) -> io::Result<(Child, std::sync::mpsc::Sender<()>)> {
    let (keeper, kept) = std::sync::mpsc::channel::<()>();
    let (answer, answered) = oneshot::channel();
    let mut command = program.command();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("icecast-parent".into()).spawn(move || {
        let guard = runtime.enter();
        let spawned = command.spawn();
        drop(guard);
        if answer.send(spawned).is_ok() {
            // Ends when the keeper is dropped: nothing is ever sent.
            let _ = kept.recv();
        }
    })?;
    let child = answered.await.map_err(io::Error::other)??;
    Ok((child, keeper))
}

async fn wait_ready(listen: SocketAddr) -> bool {
    let target = super::reachable(listen);
    let began = Instant::now();
    while began.elapsed() < READY_LIMIT {
        if matches!(timeout(Duration::from_secs(1), TcpStream::connect(target)).await, Ok(Ok(_))) {
            return true;
        }
        sleep(READY_EVERY).await;
    }
    false
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
        Err(error) => format!("cannot be watched: {error}"),
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else { return };
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(%error, ?signal, "Icecast could not be signalled");
    }
}

/// SIGTERM, and SIGKILL where that does not help.
async fn end(child: &mut Child) {
    signal(child, Signal::TERM);
    if timeout(TERM_LIMIT, child.wait()).await.is_err() {
        tracing::warn!("Icecast did not end in {TERM_LIMIT:?}; killing it");
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "Icecast could not be killed");
        }
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
