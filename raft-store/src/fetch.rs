//! A snapshot that is damaged is fetched anew from another node, before the consensus starts.
//!
//! Log and vote are whole then, so that nothing was forgotten: any snapshot from the log's beginning on will do, since it
//! holds what was committed and no more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::{LogIndex, Machine, NodeId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Consensus, ConsensusError, RpcKind, Transport,
    consensus::{read, stopped},
    network,
    snapshot::{Kept, Snapshots},
    types::SnapshotMeta,
};

/// A message must fit the peers' limit with room to spare.
const PIECE_BYTES: usize = 1024 * 1024;
/// How long a piece is waited for: the first may be written first.
const PIECE_LIMIT: Duration = Duration::from_secs(10);
/// How often all others are asked, and how long is waited between.
const ROUNDS: u32 = 3;
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1);
/// More than any state: what an answer may make this node hold.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    /// The snapshot must reach as far.
    at_least: LogIndex,
    /// Which one, once it is known.
    id: Option<String>,
    offset: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Piece {
    meta: SnapshotMeta,
    total_bytes: u64,
    bytes: Bytes,
}

/// What is being given, so that the file is not read again for each piece.
#[derive(Clone, Default)]
pub(crate) struct Giving(Arc<Mutex<Option<Arc<Kept>>>>);

impl Giving {
    fn find(&self, id: &str) -> Option<Arc<Kept>> {
        let giving = self.0.lock().expect("nothing panics while it holds this");
        giving.clone().filter(|kept| kept.meta.snapshot_id == id)
    }

    fn set(&self, kept: Option<Arc<Kept>>) {
        *self.0.lock().expect("nothing panics while it holds this") = kept;
    }
}

fn reaches(kept: &Kept, at_least: LogIndex) -> bool {
    kept.meta.last_log_id.is_some_and(|id| id.index >= at_least)
}

impl Consensus {
    /// Answers with a piece of this node's newest snapshot, which is written first where there is none that reaches as far.
    pub(crate) async fn give_snapshot(&self, payload: &[u8]) -> Result<Bytes, ConsensusError> {
        let wanted: Wanted = read(payload)?;
        let kept = match wanted.id.as_deref().and_then(|id| self.giving.find(id)) {
            Some(kept) => kept,
            None => self.choose_snapshot(wanted.at_least).await?,
        };
        let total = kept.machine.len();
        let start = usize::try_from(wanted.offset).unwrap_or(total).min(total);
        let end = total.min(start + PIECE_BYTES);
        let bytes = Bytes::copy_from_slice(&kept.machine[start..end]);
        let piece = Piece { meta: kept.meta.clone(), total_bytes: total as u64, bytes };
        self.giving.set((end < total).then_some(kept));
        network::encode(&piece).map_err(stopped)
    }

    async fn choose_snapshot(&self, at_least: LogIndex) -> Result<Arc<Kept>, ConsensusError> {
        let newest = async || {
            let found = self.snapshots.run(Snapshots::newest).await.map_err(stopped)?.map_err(stopped)?;
            Ok::<_, ConsensusError>(found.0.filter(|kept| reaches(kept, at_least)))
        };
        if let Some(kept) = newest().await? {
            return Ok(Arc::new(kept));
        }
        self.snapshot_now(PIECE_LIMIT / 2).await?;
        let missing = || stopped(format!("no snapshot here reaches entry {at_least} yet"));
        newest().await?.map(Arc::new).ok_or_else(missing)
    }
}

/// Asks the nodes in turn for a snapshot that reaches `at_least`; what the last one said where none gave one.
pub(crate) async fn fetch(
    transport: &dyn Transport,
    nodes: &BTreeMap<NodeId, String>,
    at_least: LogIndex,
) -> Result<Kept, String> {
    let mut last = "no other node is known".to_owned();
    for round in 0..ROUNDS {
        if round > 0 && !nodes.is_empty() {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
        }
        for (node, addr) in nodes {
            match fetch_from(transport, *node, addr, at_least).await {
                Ok(kept) => return Ok(kept),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

async fn fetch_from(transport: &dyn Transport, node: NodeId, addr: &str, at_least: LogIndex) -> Result<Kept, String> {
    let (mut machine, mut id): (Vec<u8>, Option<String>) = (Vec::new(), None);
    loop {
        let wanted = Wanted { at_least, id: id.clone(), offset: machine.len() as u64 };
        let payload = network::encode(&wanted).map_err(|e| e.to_string())?;
        let answer = transport.call(node, addr.to_owned(), RpcKind::Fetch, payload, PIECE_LIMIT);
        let piece: Piece = network::decode(&answer.await.map_err(|e| e.to_string())?)?;
        if id.get_or_insert_with(|| piece.meta.snapshot_id.clone()) != &piece.meta.snapshot_id {
            return Err(format!("{node:x} changed to another snapshot meanwhile"));
        }
        machine.extend_from_slice(&piece.bytes);
        if machine.len() as u64 >= piece.total_bytes {
            // Its checksum is looked at here.
            Machine::from_snapshot(&machine).map_err(|e| format!("{node:x}: {e}"))?;
            let kept = Kept { meta: piece.meta, machine };
            return if reaches(&kept, at_least) { Ok(kept) } else { Err(format!("{node:x} has no newer snapshot")) };
        }
        if piece.bytes.is_empty() || piece.total_bytes > SNAPSHOT_BYTES_MAX {
            return Err(format!("{node:x} gave a snapshot that does not end"));
        }
    }
}
