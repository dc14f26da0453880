//! Files and folders at one moment. Copies are cheap: unchanged blocks are shared.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
    sync::Arc,
};

/// What a filesystem writes at least at once.
pub(crate) const BLOCK: usize = 4096;
pub(crate) const ROOT: u64 = 1;

/// A file's bytes; blocks that are missing are zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) len: u64,
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

/// A file or a folder.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(Bytes),
    Folder(BTreeMap<OsString, u64>),
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write { ino: u64, offset: u64, data: Arc<[u8]> },
    Resize { ino: u64, len: u64 },
    Make { parent: u64, name: OsString, ino: u64, folder: bool },
    Remove { parent: u64, name: OsString },
    Rename { from: (u64, OsString), to: (u64, OsString) },
}

impl Op {
    /// The file whose bytes it changes; `None` where it changes names.
    pub(crate) fn file(&self) -> Option<u64> {
        match self {
            Self::Write { ino, .. } | Self::Resize { ino, .. } => Some(*ino),
            Self::Make { .. } | Self::Remove { .. } | Self::Rename { .. } => None,
        }
    }
}

/// Files and folders at one moment.
#[derive(Clone, Debug)]
pub struct State {
    nodes: BTreeMap<u64, Node>,
}

impl Default for State {
    fn default() -> Self {
        Self { nodes: BTreeMap::from([(ROOT, Node::Folder(BTreeMap::new()))]) }
    }
}

impl Bytes {
    pub(crate) fn read(&self, offset: u64, size: usize) -> Vec<u8> {
        let end = self.len.min(offset.saturating_add(size as u64));
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let (block, within) = place(at);
            let some = (BLOCK - within).min(usize::try_from(end - at).unwrap_or(BLOCK));
            match self.blocks.get(&block) {
                Some(found) => bytes.extend_from_slice(&found[within..within + some]),
                None => bytes.resize(bytes.len() + some, 0),
            }
            at += some as u64;
        }
        bytes
    }

    pub(crate) fn write(&mut self, offset: u64, mut data: &[u8]) {
        let mut at = offset;
        while !data.is_empty() {
            let (block, within) = place(at);
            let (some, rest) = data.split_at(data.len().min(BLOCK - within));
            let found = self.blocks.entry(block).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(found)[within..within + some.len()].copy_from_slice(some);
            at += some.len() as u64;
            data = rest;
        }
        self.len = self.len.max(at);
    }

    fn resize(&mut self, len: u64) {
        if len < self.len {
            let (block, within) = place(len);
            self.blocks.split_off(&(block + u64::from(within > 0)));
            if let Some(last) = self.blocks.get_mut(&block) {
                Arc::make_mut(last)[within..].fill(0);
            }
        }
        self.len = len;
    }

    /// Blocks that a write there would add.
    pub(crate) fn missing_blocks(&self, offset: u64, len: usize) -> u64 {
        let (first, last) = (place(offset).0, place(offset + (len as u64).saturating_sub(1)).0);
        let present = self.blocks.range(first..=last).count() as u64;
        if len == 0 { 0 } else { last - first + 1 - present }
    }

    pub(crate) fn block_count(&self) -> u64 {
        self.blocks.len() as u64
    }
}

fn place(offset: u64) -> (u64, usize) {
    let size = BLOCK as u64;
    (offset / size, usize::try_from(offset % size).unwrap_or(0))
}

impl State {
    pub(crate) fn node(&self, ino: u64) -> Option<&Node> {
        self.nodes.get(&ino)
    }

    pub(crate) fn file(&self, ino: u64) -> Option<&Bytes> {
        match self.nodes.get(&ino)? {
            Node::File(bytes) => Some(bytes),
            Node::Folder(_) => None,
        }
    }

    pub(crate) fn folder(&self, ino: u64) -> Option<&BTreeMap<OsString, u64>> {
        match self.nodes.get(&ino)? {
            Node::Folder(names) => Some(names),
            Node::File(_) => None,
        }
    }

    pub(crate) fn find(&self, parent: u64, name: &OsStr) -> Option<u64> {
        self.folder(parent)?.get(name).copied()
    }

    /// The file or folder at a path from the root.
    pub(crate) fn at(&self, path: &Path) -> Option<u64> {
        path.iter().try_fold(ROOT, |ino, name| self.find(ino, name))
    }

    /// Carries a change out. A file's bytes may be there before its name is.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { ino, offset, data } => self.bytes(*ino).write(*offset, data),
            Op::Resize { ino, len } => self.bytes(*ino).resize(*len),
            Op::Make { parent, name, ino, folder } => {
                let empty = if *folder { Node::Folder(BTreeMap::new()) } else { Node::File(Bytes::default()) };
                self.nodes.entry(*ino).or_insert(empty);
                self.names(*parent, |names| names.insert(name.clone(), *ino));
            }
            Op::Remove { parent, name } => self.names(*parent, |names| names.remove(name)),
            Op::Rename { from, to } => {
                let mut moved = None;
                self.names(from.0, |names| {
                    moved = names.remove(&from.1);
                    moved
                });
                if let Some(ino) = moved {
                    self.names(to.0, |names| names.insert(to.1.clone(), ino));
                }
            }
        }
    }

    fn bytes(&mut self, ino: u64) -> &mut Bytes {
        let node = self.nodes.entry(ino).or_insert_with(|| Node::File(Bytes::default()));
        if !matches!(node, Node::File(_)) {
            *node = Node::File(Bytes::default());
        }
        match node {
            Node::File(bytes) => bytes,
            Node::Folder(_) => unreachable!("it was made a file just now"),
        }
    }

    fn names(&mut self, ino: u64, change: impl FnOnce(&mut BTreeMap<OsString, u64>) -> Option<u64>) {
        if let Some(Node::Folder(names)) = self.nodes.get_mut(&ino) {
            change(names);
        }
    }

    /// Drops what has no name and is not in `besides`.
    pub(crate) fn sweep(&mut self, besides: &BTreeSet<u64>) {
        let named: BTreeSet<u64> = self.named();
        self.nodes.retain(|ino, _| *ino == ROOT || named.contains(ino) || besides.contains(ino));
    }

    pub(crate) fn named(&self) -> BTreeSet<u64> {
        let folders = self.nodes.values().filter_map(|node| match node {
            Node::Folder(names) => Some(names.values().copied()),
            Node::File(_) => None,
        });
        folders.flatten().collect()
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        let blocks: u64 = self.nodes.keys().filter_map(|ino| self.file(*ino)).map(Bytes::block_count).sum();
        blocks * BLOCK as u64
    }

    /// Writes all files and folders below `dir`, which exists.
    ///
    /// # Errors
    /// The system's.
    pub fn write_out(&self, dir: &Path) -> io::Result<()> {
        self.write_folder(ROOT, dir)
    }

    fn write_folder(&self, ino: u64, dir: &Path) -> io::Result<()> {
        for (name, child) in self.folder(ino).into_iter().flatten() {
            let path = dir.join(name);
            match self.nodes.get(child) {
                Some(Node::Folder(_)) => {
                    fs::create_dir(&path)?;
                    self.write_folder(*child, &path)?;
                }
                Some(Node::File(bytes)) => self.write_file(bytes, &path)?,
                None => fs::write(&path, [])?,
            }
        }
        Ok(())
    }

    fn write_file(&self, bytes: &Bytes, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = fs::File::create(path)?;
        file.set_len(bytes.len)?;
        for (block, data) in &bytes.blocks {
            let at = block * BLOCK as u64;
            let some = usize::try_from(bytes.len.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
            file.write_all_at(&data[..some], at)?;
        }
        Ok(())
    }
}
