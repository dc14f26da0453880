//! What lies below log and snapshots: the seam at which a disk that loses things is put in for the real one.

use std::{io, ops::ControlFlow, path::PathBuf};

/// A collection of cells in a [`Disk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Tree {
    /// The log's entries, in pieces.
    Log,
    /// Vote, committed and purged.
    Marks,
}

/// One change of one cell: its key, and its value, or `None` to remove it.
pub type Cell = (Vec<u8>, Option<Vec<u8>>);

/// Is told when what was written before is durable, or why it is not.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Is shown cells in order of their keys, until it breaks or fails.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>> + 'a;

/// Where the log keeps its cells. What was written is seen at once, and durable when a later [`Disk::sync`] is done.
/// Writes become durable in their order; each of them whole or not at all.
pub trait Disk: Send + Sync + 'static {
    /// A cell's value.
    ///
    /// # Errors
    /// The system's.
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Shows the cells from `start` on, those from `end` on left out.
    ///
    /// # Errors
    /// The system's, and the visitor's.
    fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()>;

    /// The last cell's key.
    ///
    /// # Errors
    /// The system's.
    fn last_key(&self, tree: Tree) -> io::Result<Option<Vec<u8>>>;

    /// Changes cells.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, tree: Tree, cells: Vec<Cell>) -> io::Result<()>;

    /// Tells `done` when everything that was written before is durable. Does not block.
    fn sync(&self, done: Done);
}

/// Where snapshots are kept, as files of one folder.
pub trait Files: Send + Sync + 'static {
    /// The folder, to be named in messages.
    fn folder(&self) -> PathBuf;

    /// Whether a call may wait for a disk, and belongs on a thread that may be blocked.
    fn blocks(&self) -> bool;

    /// The files' names.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's bytes.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Writes a file: whatever happens, the old one or the new one is there, and the new one when this returns.
    ///
    /// # Errors
    /// The system's.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;
}
