//! Why a node did not start.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use autoradio_machine::hex_id;
use autoradio_store::{ConsensusError, StoreError};

use crate::{peer::JoinError, tls::TlsError};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not part of a cluster.
    #[error("this node is not part of a cluster yet; run: autoradio-node init, or autoradio-node join HOST")]
    NotInitialised,
    /// Part of one.
    #[error("this node is a member of cluster {} already", hex_id(*.cluster_id))]
    AlreadyMember {
        /// The cluster.
        cluster_id: u64,
    },
    /// A port in use, or an address that is not here.
    #[error("cannot listen on {addr} for {what}: {source}; see {option}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// For what.
        what: &'static str,
        /// The option that sets it.
        option: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A socket in the file system.
    #[error("cannot listen on {path}: {reason}; see --admin-socket")]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificates of the clients' port.
    #[error("TLS for clients: {0}; see --cert-file, --key-file and --trusted-ca-file")]
    Tls(#[from] TlsError),
    /// The data folder.
    #[error("{dir}: {source}; see --data-dir")]
    DataDir {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Log, snapshots or identity.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The consensus.
    #[error("the consensus did not start: {0}")]
    Consensus(#[from] ConsensusError),
    /// Two nodes with one id.
    #[error("{0}")]
    Twin(String),
    /// Keys and certificates.
    #[error(transparent)]
    Trust(#[from] crate::trust::TrustError),
    /// A list of TLS peers, without a CA that they have in common.
    #[error(
        "https:// in --initial-cluster: a list cannot found a cluster with TLS, since its nodes have no CA in common; run \
         autoradio-node init on one, radioctl token create there, and autoradio-node join on the others"
    )]
    ListedTls,
    /// Not let in.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// None of the listed members let this node in.
    #[error(
        "cannot fetch cluster info from peer urls: none of [{urls}] let this node in within {limit:?}; the last said: {last}"
    )]
    NobodyAnswered {
        /// Who was asked.
        urls: String,
        /// For how long.
        limit: Duration,
        /// The last answer.
        last: String,
    },
    /// A list without this node.
    #[error("couldn't find local name \"{name}\" in the initial cluster configuration; see --initial-cluster")]
    NotListed {
        /// This node's name.
        name: String,
    },
    /// No randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Told to end meanwhile.
    #[error("the daemon was stopped before the node had started")]
    Stopped,
    /// One of the node's parts.
    #[error("{part} did not start: {reason}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        reason: String,
    },
}
