//! What nodes and clients say to each other.

use autoradio_machine::{ClusterId, Command, LogIndex, MountName, NodeId, Refusal, Response, Revision};
use autoradio_media::{EpochStart, Frame, Position};
use autoradio_store::RpcKind;
use bytes::Bytes;

/// Who sends or gets a message: a place in the network, which outlives who lives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Node(usize),
    Clients,
}

/// Which node of which cluster a message is meant for, and who sends it (ARCHITECTURE §5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) cluster: ClusterId,
    pub(crate) target: NodeId,
    pub(crate) from: NodeId,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Between consensus modules.
    Raft { envelope: Envelope, kind: RpcKind, payload: Bytes },
    /// An index such that a read at a state that has applied it is linearizable.
    ReadIndex { envelope: Envelope },
    /// Frames of a mount from who takes itself for its origin.
    Frames { envelope: Envelope, mount: MountName, starts: Vec<EpochStart>, frames: Vec<Frame> },
    /// Whether a source is connected there.
    HasSource { envelope: Envelope, mount: MountName },
    /// A client's change.
    Propose(Box<Command>),
    /// A client's read.
    Read { key: String },
    /// A source's next piece.
    Source { mount: MountName, piece: Bytes },
    /// The id of the member with this peer URL.
    MemberAt { url: String },
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Raft(Bytes),
    Index(LogIndex),
    Proposed {
        revision: Revision,
        response: Response,
    },
    Read {
        value: Option<u64>,
        written_at: Option<Revision>,
        revision: Revision,
    },
    /// The newest frame that is there now.
    Frames {
        newest: Option<Position>,
    },
    /// Whether a source is there.
    Source(bool),
    Member(Option<NodeId>),
    Failed(Failure),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody lives there, or the connection was refused.
    Unreachable,
    /// Another node than was meant.
    WrongTarget,
    /// Surely not carried out; who leads, where known.
    NotLeader(Option<NodeId>),
    /// Surely not carried out.
    NoQuorum,
    /// The machine refused it.
    Refused(Refusal),
    /// Frames of an epoch that is over.
    Stale,
    /// Whatever: it may be carried out or not.
    Unknown,
}
