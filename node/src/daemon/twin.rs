//! A data folder that was found to be one of two: it is marked, so that it is not started again.
//!
//! Neither may go on under this id: each has acknowledged entries, and voted, in the other's name.

use std::{
    io::{ErrorKind, Write},
    path::Path,
};

/// The mark, in the data folder; what it says is shown at each start.
const FILE: &str = "two-nodes-with-one-id";

fn words(data_dir: &Path) -> String {
    let dir = data_dir.display();
    format!(
        "two nodes ran with this node's id at the same time: {dir} was copied. Both have stopped, and neither may go on \
         under this id, since each has voted in the other's name. The way out: on another member, radioctl node remove \
         NAME (or etcdctl member remove ID); on both machines, empty the data folder; then let each join anew: radioctl \
         token create, and autoradio-node join HOST, under two names"
    )
}

/// Marks the folder; what to say.
pub(super) fn condemn(data_dir: &Path) -> Option<String> {
    let words = words(data_dir);
    let write = || {
        let mut file = std::fs::File::create(data_dir.join(FILE))?;
        file.write_all(words.as_bytes())?;
        file.sync_all()
    };
    if let Err(error) = write() {
        tracing::error!(%error, "the data folder could not be marked; do not start this node again");
    }
    Some(words)
}

/// What the mark says, if there is one.
pub(super) fn condemned(data_dir: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(data_dir.join(FILE)) {
        Ok(words) => Ok(Some(words)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
