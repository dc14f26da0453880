//! The process: command line in, exit code out.

use std::{path::Path, process::ExitCode, time::Duration};

use autoradio_proto::admin::{InitRequest, JoinRequest, SetupReply, setup_client::SetupClient};
use autoradio_store::StoreError;
use tokio::signal::unix::{SignalKind, signal};

use super::{Daemon, SetupError, Start, StartError, found, notify, socket};
use crate::config::{
    Config, Facts,
    args::{CliCommand, Options},
    resolve,
};

/// The consensus stopped for good: systemd starts the process again.
pub const EXIT_FATAL: u8 = 70;

/// The disk failed, or is full: systemd starts the process again, and it comes back when the disk does (`EX_IOERR`).
pub const EXIT_DISK: u8 = 74;

/// The store is damaged: starting again is of no use, somebody has to act (`EX_DATAERR`).
pub const EXIT_DAMAGED: u8 = 65;

/// The exit code for what [`run`] failed with.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let start = match error.downcast_ref::<SetupError>() {
        Some(SetupError::Start(start)) => Some(start),
        _ => error.downcast_ref::<StartError>(),
    };
    match start {
        Some(StartError::Store(StoreError::Damaged { .. } | StoreError::MovedAside { .. })) => {
            ExitCode::from(EXIT_DAMAGED)
        }
        Some(StartError::Store(StoreError::Io { .. })) => ExitCode::from(EXIT_DISK),
        _ => ExitCode::FAILURE,
    }
}

/// Longer than the daemon gives itself to become a node.
const RPC_TIMEOUT: Duration = Duration::from_secs(140);

/// Carries the command out; returns when the process is to end.
///
/// # Errors
/// Why it could not be carried out, for the person who ran it.
pub async fn run(command: CliCommand) -> anyhow::Result<ExitCode> {
    let (options, start) = match command {
        CliCommand::Version => {
            println!("autoradio-node {}", env!("CARGO_PKG_VERSION"));
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Demo { seconds } => {
            crate::demo::run(seconds).await?;
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Run(options) => (options, Start::Found),
        CliCommand::Init(options) => (options, Start::Init),
        CliCommand::Join { host, options } => (options, Start::Join(host)),
    };
    let config = configure(&options)?;
    if start == Start::Found {
        return serve(config).await;
    }
    if let Some(path) = &config.admin_socket
        && let Some(reply) = ask_daemon(path, &start).await?
    {
        tell(&reply, &config.name, &start);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(found) = found::on_disk_for(&config, &start)? {
        let cluster = autoradio_machine::hex_id(found.identity.cluster_id);
        println!("{} is a member of cluster {cluster} already; start it with: autoradio-node run", config.name);
        return Ok(ExitCode::SUCCESS);
    }
    let daemon = Daemon::open(config.clone()).await?;
    match daemon.start(start.clone()).await {
        Ok(reply) => tell(&reply, &config.name, &start),
        Err(error @ SetupError::NotSettled { .. }) => eprintln!("autoradio-node: {error}"),
        Err(error) => {
            daemon.stop().await;
            return Err(error.into());
        }
    }
    until_the_end(daemon).await
}

fn configure(options: &Options) -> anyhow::Result<Config> {
    let facts = Facts::gather(options);
    Ok(resolve(options, &facts)?)
}

/// `autoradio-node run`.
async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::open(config).await?;
    match daemon.start(Start::Found).await {
        Ok(reply) => notify::ready(&format!("node {} of cluster {}", reply.node_id, reply.cluster_id)),
        Err(SetupError::Start(error @ StartError::NotInitialised)) => {
            tracing::warn!("{error}");
            notify::ready(&error.to_string());
        }
        Err(error) => {
            daemon.stop().await;
            return Err(error.into());
        }
    }
    until_the_end(daemon).await
}

/// Until a signal, or the consensus' end.
async fn until_the_end(daemon: Daemon) -> anyhow::Result<ExitCode> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut contexts = daemon.watch_context();
    let code = loop {
        tokio::select! {
            _ = term.recv() => break ExitCode::SUCCESS,
            _ = interrupt.recv() => break ExitCode::SUCCESS,
            reason = daemon.fatal() => {
                tracing::error!(%reason, "the consensus has stopped for good; ending");
                let disk = contexts.borrow().as_ref().filter(|context| context.raft.status().storage_failed).cloned();
                break match disk {
                    Some(context) => {
                        let dir = context.config.data_dir.display();
                        eprintln!(
                            "autoradio-node: the disk below {dir} failed: {reason}; nothing more is promised, and this \
                             process ends; it may be started again, and comes back if the disk does"
                        );
                        ExitCode::from(EXIT_DISK)
                    }
                    None => {
                        eprintln!("autoradio-node: the consensus has stopped for good: {reason}");
                        ExitCode::from(EXIT_FATAL)
                    }
                };
            }
            Ok(()) = contexts.changed() => {
                let cluster = contexts.borrow_and_update().as_ref().map(|context| context.raft.cluster_id());
                if let Some(cluster) = cluster {
                    notify::status(&format!("member of cluster {}", autoradio_machine::hex_id(cluster)));
                }
            }
        }
    };
    notify::stopping();
    daemon.stop().await;
    Ok(code)
}

/// Has the daemon that runs already do it; `None` where none runs.
async fn ask_daemon(path: &Path, start: &Start) -> anyhow::Result<Option<SetupReply>> {
    let Some(channel) = socket::connect(path).await? else { return Ok(None) };
    let mut client = SetupClient::new(channel);
    let asked = async {
        match start {
            Start::Join(host) => client.join(JoinRequest { host: host.clone() }).await,
            Start::Init | Start::Found => client.init(InitRequest {}).await,
        }
    };
    match tokio::time::timeout(RPC_TIMEOUT, asked).await {
        Ok(Ok(reply)) => Ok(Some(reply.into_inner())),
        Ok(Err(status)) => anyhow::bail!("{}", status.message()),
        Err(_) => anyhow::bail!("the daemon did not answer in {RPC_TIMEOUT:?}; see its log"),
    }
}

/// Tells the person what was done, and what to do next.
fn tell(reply: &SetupReply, name: &str, start: &Start) {
    let SetupReply { already, cluster_id, node_id, role, took_ms } = reply;
    if *already {
        println!("{name} is a member of cluster {cluster_id} already");
        return;
    }
    match start {
        Start::Join(_) => {
            let (seconds, tenths) = (took_ms / 1_000, took_ms % 1_000 / 100);
            println!("joined in {seconds}.{tenths} s (cluster {cluster_id}, node {node_id}, {role})");
            println!("Next: radioctl status");
        }
        Start::Init | Start::Found => {
            println!("cluster {cluster_id} created; this node: {name} ({role})");
            println!("Next, on each other host: autoradio-node join {name}");
            println!("Then, on any: radioctl create-mount /live.ogg");
        }
    }
}
