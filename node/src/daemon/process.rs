//! The process: command line in, exit code out.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use autoradio_proto::admin::{InitRequest, JoinRequest, SetupReply, StateRequest, setup_client::SetupClient};
use autoradio_store::StoreError;
use tokio::signal::unix::{SignalKind, signal};

use super::{Daemon, SetupError, Start, StartError, found, notify, socket};
use crate::{
    config::{
        Config, Facts,
        args::{CliCommand, Options},
        resolve,
    },
    trust::read_token,
};

/// The consensus stopped for good: systemd starts the process again.
pub const EXIT_FATAL: u8 = 70;

/// The disk failed, or is full: systemd starts the process again, and it comes back when the disk does (`EX_IOERR`).
pub const EXIT_DISK: u8 = 74;

/// The store is damaged, or one of two copies: starting again is of no use, somebody has to act (`EX_DATAERR`).
pub const EXIT_DAMAGED: u8 = 65;

/// The exit code for what [`run`] failed with.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let start = match error.downcast_ref::<SetupError>() {
        Some(SetupError::Start(start)) => Some(start),
        _ => error.downcast_ref::<StartError>(),
    };
    match start {
        Some(StartError::Twin(_) | StartError::Store(StoreError::Damaged { .. } | StoreError::MovedAside { .. })) => {
            ExitCode::from(EXIT_DAMAGED)
        }
        Some(StartError::Store(StoreError::Io { .. } | StoreError::SnapshotLost { .. })) => ExitCode::from(EXIT_DISK),
        _ => ExitCode::FAILURE,
    }
}

/// What a token in the command line is answered with.
const IN_ARGV: &str = "a join token does not belong into a command line or the environment, where others read it: leave \
    it out and it is asked for, or give it by --token-file FILE (- for standard input). The one that was given may have \
    been seen: radioctl token revoke, on a member";

/// How long a daemon is given to say whether it is a member.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the daemon gives itself to become a node.
const RPC_TIMEOUT: Duration = Duration::from_secs(140);

/// Carries the command out; returns when the process is to end.
///
/// # Errors
/// Why it could not be carried out, for the person who ran it.
pub async fn run(command: CliCommand) -> anyhow::Result<ExitCode> {
    let (options, join) = match command {
        CliCommand::Version => {
            println!("autoradio-node {}", env!("CARGO_PKG_VERSION"));
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Demo { seconds } => {
            crate::demo::run(seconds).await?;
            return Ok(ExitCode::SUCCESS);
        }
        CliCommand::Run(options) => return serve(configure(&options)?).await,
        CliCommand::Init(options) => (options, None),
        CliCommand::Join { host, token_file, token, extra, options } => {
            anyhow::ensure!(token.is_none() && extra.is_none(), "{IN_ARGV}");
            (options, Some((host, token_file)))
        }
    };
    let config = configure(&options)?;
    if is_member_already(&config).await? {
        return Ok(ExitCode::SUCCESS);
    }
    let start = match join {
        None => Start::Init,
        Some((host, token_file)) => how_to_join(host, token_file.as_deref())?,
    };
    if let Some(path) = &config.admin_socket
        && let Some(reply) = ask_daemon(path, &start).await?
    {
        tell(&reply, &config, &start);
        return Ok(ExitCode::SUCCESS);
    }
    let daemon = Daemon::open(config.clone()).await?;
    match daemon.start(start.clone()).await {
        Ok(reply) => tell(&reply, &config, &start),
        Err(error @ SetupError::NotSettled { .. }) => eprintln!("autoradio-node: {error}"),
        Err(error) => {
            daemon.stop().await;
            return Err(error.into());
        }
    }
    until_the_end(daemon).await
}

/// Whether there is nothing to do: here, or in the daemon that runs.
async fn is_member_already(config: &Config) -> anyhow::Result<bool> {
    if let Some(path) = &config.admin_socket
        && let Some(channel) = socket::connect(path).await?
    {
        let mut daemon = SetupClient::new(channel);
        let state = tokio::time::timeout(STATE_TIMEOUT, daemon.state(StateRequest {})).await??.into_inner();
        if state.initialised {
            println!("{} is a member of cluster {} already", state.name, state.cluster_id);
        }
        return Ok(state.initialised);
    }
    let Some(found) = found::on_disk_for(config, &Start::Init)? else { return Ok(false) };
    let cluster = autoradio_machine::hex_id(found.identity.cluster_id);
    println!("{} is a member of cluster {cluster} already; start it with: autoradio-node run", config.name);
    Ok(true)
}

/// By a token, unless a cluster without TLS is meant.
fn how_to_join(host: String, token_file: Option<&Path>) -> anyhow::Result<Start> {
    if host.starts_with("http://") {
        anyhow::ensure!(token_file.is_none(), "{host} names a cluster without TLS, which takes no token; say https://");
        return Ok(Start::Join(host));
    }
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    Ok(Start::JoinByToken(host, read_token(token_file, credentials)?))
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
            Start::Join(host) => client.join(JoinRequest { host: host.clone(), token: String::new() }).await,
            Start::JoinByToken(host, token) => {
                client.join(JoinRequest { host: host.clone(), token: token.reveal() }).await
            }
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
fn tell(reply: &SetupReply, config: &Config, start: &Start) {
    let name = &config.name;
    let SetupReply { already, cluster_id, node_id, role, took_ms } = reply;
    if *already {
        println!("{name} is a member of cluster {cluster_id} already");
        return;
    }
    match start {
        Start::Join(_) | Start::JoinByToken(..) => {
            let (seconds, tenths) = (took_ms / 1_000, took_ms % 1_000 / 100);
            println!("joined in {seconds}.{tenths} s (cluster {cluster_id}, node {node_id}, {role})");
            println!("Next: radioctl status");
        }
        Start::Init | Start::Found => {
            println!("cluster {cluster_id} created; this node: {name} ({role})");
            if config.peer_urls.iter().any(|url| url.starts_with("http://")) {
                println!("Next, on each other host: autoradio-node join http://{name}");
            } else {
                println!("Next, for each other host: radioctl token create, and there: autoradio-node join {name}");
            }
            println!("Then, on any: radioctl create-mount /live.ogg");
        }
    }
}
