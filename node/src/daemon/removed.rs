//! A node that was removed from its cluster: it serves no more, keeps what it had out of the way, and can join anew.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use autoradio_machine::hex_id;

use super::{Birth, found, notify};
use crate::{config::Config, context::Context};

/// How often it is looked whether this node's own log says it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who asked for the removal by way of this node is answered first.
const LAST_WORD: Duration = Duration::from_millis(300);

/// Waits until this node is no member any more: by the word of one that is, or by its own log. While the consensus still
/// counts on it, it is needed, and goes on.
pub(super) async fn wait(context: &Context) {
    let mut told = context.peers.watch_removed();
    let raft = &context.raft;
    while !*told.borrow_and_update() && !raft.is_gone(raft.node_id()) {
        let _news = tokio::time::timeout(LOOK_EVERY, told.changed()).await;
    }
    tokio::time::sleep(LAST_WORD).await;
}

/// Puts the folder of the consensus out of the way; where to. The node must have stopped.
pub(super) fn put_aside(config: &Config, why: &str) -> std::io::Result<PathBuf> {
    let dir = found::raft_dir(config);
    let aside = free_name(&dir, why);
    std::fs::rename(&dir, &aside)?;
    // A birth that was not over is over now.
    Birth::forget(&config.data_dir)?;
    std::fs::File::open(&config.data_dir)?.sync_all()?;
    Ok(aside)
}

/// `raft.removed-1790000000`, with a number more where that is taken.
fn free_name(dir: &Path, why: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = |number: u64| dir.with_extension(format!("{why}-{number}"));
    (now..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// Says what has happened, and how to go on.
pub(super) fn tell(context: &Context, kept: &std::io::Result<PathBuf>) {
    let (name, raft) = (&context.config.name, &context.raft);
    let (id, cluster) = (hex_id(raft.node_id()), hex_id(raft.cluster_id()));
    let kept = match kept {
        Ok(path) => format!("what it had is kept in {}", path.display()),
        Err(error) => {
            let dir = found::raft_dir(&context.config);
            format!("what it had could not be put aside ({error}): move {} away", dir.display())
        }
    };
    tracing::error!(
        "this node ({name}, {id}) was removed from cluster {cluster}: it serves no more; {kept}. To join anew, under a \
         new id: autoradio-node join HOST"
    );
    notify::status(&format!("removed from cluster {cluster}; to join anew: autoradio-node join HOST"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_free() {
        let dir = tempfile::tempdir().unwrap();
        let raft = dir.path().join("raft");
        let first = free_name(&raft, "removed");
        assert!(first.file_name().unwrap().to_string_lossy().starts_with("raft.removed-"));
        std::fs::create_dir(&first).unwrap();
        assert_ne!(free_name(&raft, "removed"), first);
    }
}
