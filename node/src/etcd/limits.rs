//! Bounds, each with its reason.

use std::time::Duration;

/// The version that clients are told: the one whose behaviour was recorded. Clients refuse below 3.0, and choose
/// features by it.
pub const SERVER_VERSION: &str = "3.5.16";

/// The version that all members agree on, in etcd's terms.
pub const CLUSTER_VERSION: &str = "3.5.0";

/// etcd's `--max-request-bytes`: larger requests are refused before they are proposed.
pub(super) const REQUEST_MAX_BYTES: usize = 1_572_864;

/// What a gRPC message may have at most: etcd adds 512 KiB to a request for its frame.
pub(super) const MESSAGE_MAX_BYTES: usize = REQUEST_MAX_BYTES + (512 << 10);

/// How deep transactions may be nested: enough for any client, and the machine's recursion stays shallow. etcd has no
/// bound of its own; protobuf's decoder ends at a hundred messages.
pub(super) const TXN_DEPTH_MAX: usize = 16;

/// Watches of one stream. etcd has no bound; each costs some hundred bytes and a look per change.
pub(super) const WATCHES_MAX: usize = 10_000;

/// Watches of all streams of a node: some tens of megabytes, and a millisecond's look at each change. etcd has no bound.
pub(super) const WATCHES_NODE_MAX: usize = 100_000;

/// Batches of events that the hub remembers for streams that are behind; those further behind read history.
pub(super) const HUB_BATCHES: usize = 256;

/// Answers of a stream that wait for a slow client.
pub(super) const ANSWERS_QUEUED: usize = 16;

/// Revisions looked through while the machine is held once: some hundred microseconds.
pub(super) const HISTORY_WINDOW: i64 = 1_000;

/// Events of one watch answer in bytes, about, unless one revision has more: below clients' least limit of 4 MiB.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// Watches that asked for progress are told it after so long without events (etcd's `progressReportInterval`).
pub(super) const PROGRESS_EVERY: Duration = Duration::from_secs(600);

/// A piece of a snapshot: well below clients' least limit.
pub(super) const SNAPSHOT_PIECE_BYTES: usize = 64 << 10;

/// How long a client may take over one piece of a snapshot, or of answers to keep-alives.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// A batch with more bytes is not remembered by the hub: streams read it from history. Bounds what the hub holds.
pub(super) const HUB_BATCH_BYTES: usize = 1 << 20;

/// Calls that wait for a lock or to lead an election, for each node. etcd has no bound; each costs some kilobytes, and
/// a look per change.
pub(super) const QUEUE_WAITS_MAX: usize = 10_000;

/// The time to live of a lease that a lock or a campaign without one is given (etcd's `defaultSessionTTL`).
pub(super) const QUEUE_LEASE_TTL_S: i64 = 60;
