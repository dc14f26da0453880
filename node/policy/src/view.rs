//! The cluster as one immutable picture, for every decision.

use std::{collections::BTreeMap, sync::Arc};

use autoradio_machine::{Catalog, MountName, NodeId};
use serde::{Deserialize, Serialize};

/// Mounts, members, origins and loads at one moment, as this node sees them.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// This node.
    pub me: NodeId,
    /// What the store says.
    pub catalog: Catalog,
    /// Who leads, where known.
    pub leader: Option<NodeId>,
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Whether a majority of voters is in reach (from the leader's point of view, or by having a live leader).
    pub quorum: bool,
    /// What each node said of itself last, with its age; without those that were never heard.
    pub loads: BTreeMap<NodeId, Heard>,
}

/// A load report and when it came.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// How long ago it came, in milliseconds; 0 for this node itself.
    pub age_ms: u64,
    /// The report.
    pub load: Arc<Load>,
}

/// What a node says of itself once a second. Never goes through the log (ARCHITECTURE §4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Grows by one with each report; from 0 anew when the process starts.
    pub sequence: u64,
    /// Program version.
    pub version: String,
    /// How long the process has run, in seconds.
    pub uptime_s: u64,
    /// Listeners now.
    pub listeners: u32,
    /// Sent to listeners, in bytes a second, over the last few seconds.
    pub sent_bytes_per_s: u64,
    /// Applied log index.
    pub applied_index: u64,
    /// State of the local Icecast: `off`, `running`, or why it is not.
    pub icecast: String,
    /// Whether the node is ready for listeners (fronts bound, caught up, not stopping).
    pub ready: bool,
    /// Whether it takes no changes for want of room on its disk.
    #[serde(default)]
    pub disk_full: bool,
    /// Each mount that this node holds a log of.
    pub mounts: BTreeMap<MountName, MountLoad>,
}

/// A mount's log on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountLoad {
    /// Epoch of the newest frame.
    pub epoch: u64,
    /// Sequence of the newest frame.
    pub seq: u64,
    /// Whether frames came in within the last two seconds.
    pub live: bool,
    /// Listeners here.
    pub listeners: u32,
    /// Bit rate measured over the log, in bits a second.
    pub bitrate_bits_per_s: u64,
    /// What the parser found: `mp3 44100 Hz stereo`, `ogg vorbis`, …
    pub codec: String,
    /// The title now.
    pub title: String,
    /// Bytes taken in from the source (origin only).
    pub received_bytes: u64,
}
