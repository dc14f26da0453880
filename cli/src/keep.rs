//! Who is a member, and what is kept: `node`, `backup`, `restore` and `raft`. By the daemon's socket only.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use autoradio_proto::{
    admin::StatusRequest,
    keep::{
        BackupRequest, LeaveRequest, Piece, RecoverRequest, RemoveNodeRequest, RestoreReply, keep_client::KeepClient,
    },
};
use clap::Subcommand;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Response, Status, transport::Channel};

use crate::{
    command::{Outcome, Session, failed},
    error::{CliError, Effect},
    json,
    render::{self, Look},
};

/// One piece of a file that is sent.
const PIECE_BYTES: usize = 64 << 10;

/// Making and starting a cluster takes longer than other answers.
const MAKING: Duration = Duration::from_secs(120);

/// How long one piece of a backup may take.
const PIECE_LIMIT: Duration = Duration::from_secs(60);

/// `node …`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes: who votes, who is silent, where they are reached
    #[command(visible_alias = "ls")]
    List,
    /// Remove a node, dead or alive; refused where the others would lose their majority
    #[command(visible_alias = "rm")]
    Remove {
        /// The node's name or id
        node: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Take this node out of its cluster: leadership and sources go elsewhere first
    Leave {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `raft …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RaftCommand {
    /// Make a new cluster of what this node has, where the majority is lost for good
    Recover {
        /// The id of the cluster to give up; without it, what would be done is told
        #[arg(long, value_name = "CLUSTER-ID")]
        confirm: Option<String>,
    },
}

type Keep = KeepClient<Channel>;

impl Session {
    /// `node …`; `remove` and `leave` are confirmed already.
    pub(crate) async fn node(&self, command: &NodeCommand) -> Result<Outcome, CliError> {
        match command {
            NodeCommand::List => self.list_nodes().await,
            NodeCommand::Remove { node, .. } => {
                let request = RemoveNodeRequest { node: node.clone() };
                let ask = async |mut keep: Keep| keep.remove_node(request).await;
                let reply = self.ask_keep(&format!("node remove {node}"), self.timeout, ask).await?;
                Ok(self.done(|| render::removed(&reply), || json::Removed::from(reply.clone())))
            }
            NodeCommand::Leave { .. } => {
                let ask = async |mut keep: Keep| keep.leave(LeaveRequest {}).await;
                let reply = self.ask_keep("node leave", self.timeout, ask).await?;
                Ok(self.done(|| render::left(&reply), || json::Removed::from(reply.clone())))
            }
        }
    }

    async fn list_nodes(&self) -> Result<Outcome, CliError> {
        let ask = async |mut admin: crate::command::Admin| admin.status(StatusRequest {}).await;
        let reply = self.ask("node list", Effect::Reads, ask).await?;
        let nodes = || json::Nodes { nodes: reply.nodes.iter().cloned().map(Into::into).collect() };
        Ok(self.done(|| render::nodes(&reply, self.look), nodes))
    }

    /// `raft …`.
    pub(crate) async fn raft(&self, command: &RaftCommand) -> Result<Outcome, CliError> {
        let RaftCommand::Recover { confirm } = command;
        let request = RecoverRequest { confirm: confirm.clone().unwrap_or_default() };
        let ask = async |mut keep: Keep| keep.recover(request).await;
        let reply = self.ask_keep("raft recover", MAKING, ask).await?;
        let look = Look { colour: false, ..self.look };
        Ok(self.done(|| render::recovery(&reply, look), || json::Recovery::from(reply.clone())))
    }

    /// `backup`: the file goes to standard output.
    pub(crate) async fn backup(&self) -> Result<Outcome, CliError> {
        if io::stdout().is_terminal() {
            let reason = "a backup is no text for a terminal: write it to a file, radioctl backup > autoradio.snapshot";
            return Err(CliError::Usage(reason.into()));
        }
        let ask = async |mut keep: Keep| keep.backup(BackupRequest {}).await;
        let mut pieces = self.ask_keep("backup", self.timeout, ask).await?;
        let mut left = None;
        loop {
            let next = timeout(PIECE_LIMIT, pieces.message()).await;
            let next = next.map_err(|_| late("backup", Effect::Reads, PIECE_LIMIT))?;
            match next.map_err(|status| failed("backup".into(), Effect::Reads, status))? {
                None => break,
                Some(piece) => {
                    io::stdout().lock().write_all(&piece.data).map_err(CliError::Output)?;
                    left = Some(piece.remaining_bytes);
                }
            }
        }
        if left != Some(0) {
            return Err(CliError::Incomplete { what: "backup".into(), lacks: "its end" });
        }
        Ok(Outcome { text: String::new(), exit: crate::exit::Exit::Ok })
    }

    /// `restore FILE`.
    pub(crate) async fn restore(&self, file: &Path) -> Result<Outcome, CliError> {
        let bytes = read(file)?;
        let ask = async |mut keep: Keep| {
            let mut pieces: Vec<Piece> = Vec::new();
            for chunk in bytes.chunks(PIECE_BYTES) {
                pieces.push(Piece { data: chunk.to_vec().into(), remaining_bytes: 0 });
            }
            keep.restore(tokio_stream::iter(pieces)).await
        };
        let what = format!("restore {}", file.display());
        let reply: RestoreReply = self.ask_keep(&what, MAKING, ask).await?;
        Ok(self.done(|| render::restored(&reply), || json::Restored::from(reply.clone())))
    }

    /// Connects by the socket and asks, all within the time limit.
    async fn ask_keep<T, F>(&self, what: &str, limit: Duration, call: impl FnOnce(Keep) -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + limit;
        let keep = KeepClient::new(self.target.connect_to_socket(what, deadline).await?);
        match timeout_at(deadline, call(keep)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(what.into(), Effect::Changes, status)),
            Err(_) => Err(late(what, Effect::Changes, limit)),
        }
    }
}

fn late(what: &str, effect: Effect, limit: Duration) -> CliError {
    CliError::TimedOut { what: what.into(), effect, limit }
}

/// The file, or standard input for `-`.
fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: io::Error| CliError::File { path: PathBuf::from(file), reason: error.to_string() };
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(failed)
}
