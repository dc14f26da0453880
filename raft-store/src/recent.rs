//! Cells that were written and are not in the database yet: what is read goes through here first.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Bound,
};

use bytes::Bytes;

use crate::disk::{Cell, Tree};

/// A cell, and the frame of the journal that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recently {
    frame: u64,
    /// `None`: it is removed.
    value: Option<Bytes>,
}

type Cells = BTreeMap<Vec<u8>, Recently>;

/// A cell as it goes into the database.
pub(crate) type Carried = (Vec<u8>, Option<Bytes>);

/// The cells of both trees, and what waits to become a frame.
#[derive(Debug)]
pub(crate) struct Recent {
    log: Cells,
    marks: Cells,
    /// The number of the next frame.
    next: u64,
    /// What is to be in it.
    body: Vec<u8>,
    /// The database's log ends here, or before.
    carried_end: Option<Vec<u8>>,
}

impl Recent {
    /// Nothing; the journal's last frame had this number, and the database's log this last key.
    pub(crate) fn after(last: u64, carried_end: Option<Vec<u8>>) -> Self {
        Self { log: Cells::new(), marks: Cells::new(), next: last + 1, body: Vec::new(), carried_end }
    }

    /// Whether the database has no cells of the log from `start` on: what is new need not be looked for there.
    pub(crate) fn has_all_from(&self, start: &[u8]) -> bool {
        self.carried_end.as_deref().is_none_or(|end| start > end)
    }

    /// The database is about to get these cells of the log.
    pub(crate) fn carry(&mut self, cells: &[Carried]) {
        let last = cells.iter().rev().find(|(_, value)| value.is_some()).map(|(key, _)| key);
        if last > self.carried_end.as_ref() {
            self.carried_end = last.cloned();
        }
    }

    fn cells(&self, tree: Tree) -> &Cells {
        match tree {
            Tree::Log => &self.log,
            Tree::Marks => &self.marks,
        }
    }

    fn set(&mut self, tree: Tree, frame: u64, cells: Vec<Cell>) {
        let of = match tree {
            Tree::Log => &mut self.log,
            Tree::Marks => &mut self.marks,
        };
        for (key, value) in cells {
            of.insert(key, Recently { frame, value: value.map(Bytes::from) });
        }
    }

    /// Changes cells; they are part of the next frame.
    ///
    /// # Errors
    /// Where they cannot be written down, which nothing can be done about.
    pub(crate) fn write(&mut self, tree: Tree, cells: Vec<Cell>) -> io::Result<()> {
        if cells.is_empty() {
            return Ok(());
        }
        let before = std::mem::take(&mut self.body);
        self.body = postcard::to_extend(&(tree, &cells), before).map_err(io::Error::other)?;
        self.set(tree, self.next, cells);
        Ok(())
    }

    /// The next frame's number and body, which it is the caller's to write; `None` where nothing waits.
    pub(crate) fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        let body = std::mem::take(&mut self.body);
        if body.is_empty() {
            return None;
        }
        self.next += 1;
        Some((self.next - 1, body))
    }

    /// What a frame of the journal has.
    ///
    /// # Errors
    /// `InvalidData` where it cannot be read.
    pub(crate) fn replay(&mut self, frame: u64, mut body: &[u8]) -> io::Result<()> {
        while !body.is_empty() {
            let ((tree, cells), rest) = postcard::take_from_bytes::<(Tree, Vec<Cell>)>(body)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("frame {frame}: {error}")))?;
            self.set(tree, frame, cells);
            body = rest;
        }
        Ok(())
    }

    /// A cell, where it was written of late: `Some(None)` where it was removed.
    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Option<Option<Bytes>> {
        self.cells(tree).get(key).map(|recently| recently.value.clone())
    }

    /// The cells from `start` on, those from `end` on left out.
    pub(crate) fn range(&self, tree: Tree, start: &[u8], end: &[u8]) -> Vec<Carried> {
        let range = (Bound::Included(start), Bound::Excluded(end));
        let cells = self.cells(tree).range::<[u8], _>(range);
        cells.map(|(key, recently)| (key.clone(), recently.value.clone())).collect()
    }

    /// The last cell's key that was not removed.
    pub(crate) fn last_key(&self, tree: Tree) -> Option<Vec<u8>> {
        self.cells(tree).iter().rev().find(|(_, recently)| recently.value.is_some()).map(|(key, _)| key.clone())
    }

    /// The keys of cells that were removed.
    pub(crate) fn removed(&self, tree: Tree) -> BTreeSet<Vec<u8>> {
        let removed = self.cells(tree).iter().filter(|(_, recently)| recently.value.is_none());
        removed.map(|(key, _)| key.clone()).collect()
    }

    /// The cells that frames up to `upto` have, and no later one.
    pub(crate) fn upto(&self, tree: Tree, upto: u64) -> Vec<Carried> {
        let cells = self.cells(tree).iter().filter(|(_, recently)| recently.frame <= upto);
        cells.map(|(key, recently)| (key.clone(), recently.value.clone())).collect()
    }

    /// Forgets them: the database has them.
    pub(crate) fn forget(&mut self, upto: u64) {
        self.log.retain(|_, recently| recently.frame > upto);
        self.marks.retain(|_, recently| recently.frame > upto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(key: &str, value: Option<&str>) -> Cell {
        (key.into(), value.map(Into::into))
    }

    fn text(cells: Vec<Carried>) -> Vec<String> {
        let shown = |(key, value): Carried| {
            format!(
                "{}={}",
                String::from_utf8_lossy(&key),
                value.map_or("-".into(), |v| String::from_utf8_lossy(&v).into_owned())
            )
        };
        cells.into_iter().map(shown).collect()
    }

    fn written() -> Recent {
        let mut recent = Recent::after(4, Some(b"Z".to_vec()));
        recent.write(Tree::Log, vec![cell("a", Some("1")), cell("b", Some("1"))]).unwrap();
        recent.write(Tree::Marks, vec![cell("vote", Some("1"))]).unwrap();
        assert_eq!(recent.take().map(|(number, _)| number), Some(5));
        recent.write(Tree::Log, vec![cell("b", None), cell("c", Some("2"))]).unwrap();
        recent
    }

    #[test]
    fn what_is_read_is_what_was_written_last() {
        let recent = written();
        assert_eq!(recent.get(Tree::Log, b"a"), Some(Some("1".into())));
        assert_eq!((recent.get(Tree::Log, b"b"), recent.get(Tree::Log, b"d")), (Some(None), None));
        assert_eq!(recent.get(Tree::Marks, b"a"), None);
        assert_eq!(text(recent.range(Tree::Log, b"a", b"c")), ["a=1", "b=-"]);
        assert_eq!(recent.removed(Tree::Log), [b"b".to_vec()].into());
        assert_eq!(recent.last_key(Tree::Log), Some(b"c".to_vec()));
        assert_eq!(recent.last_key(Tree::Marks), Some(b"vote".to_vec()));
    }

    #[test]
    fn what_the_database_got_is_forgotten_and_what_came_since_is_not() {
        let mut recent = written();
        assert_eq!(text(recent.upto(Tree::Log, 5)), ["a=1"]);
        recent.forget(5);
        assert_eq!(text(recent.range(Tree::Log, b"a", b"z")), ["b=-", "c=2"]);
        assert!(recent.upto(Tree::Marks, u64::MAX).is_empty());
        assert!(recent.has_all_from(b"a") && !recent.has_all_from(b"A"));
        recent.carry(&recent.upto(Tree::Log, u64::MAX));
        assert!(recent.has_all_from(b"d") && !recent.has_all_from(b"c"));
    }

    #[test]
    fn a_frame_read_again_makes_the_same_cells_and_a_broken_one_says_so() {
        let mut recent = written();
        recent.forget(5);
        let (number, body) = recent.take().unwrap();
        assert!(recent.take().is_none());
        let mut again = Recent::after(number, None);
        again.replay(number, &body).unwrap();
        assert_eq!((&again.log, &again.marks), (&recent.log, &recent.marks));
        let error = again.replay(9, &body[..body.len() - 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
