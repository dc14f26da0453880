//! Ranges of keys.

use std::ops::Bound;

/// A range of keys, in etcd's terms: `end` empty for one key, one zero byte for all keys from `start` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) start: &'a [u8],
    pub(crate) end: &'a [u8],
}

impl Span<'_> {
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match self.end {
            [] => key == self.start,
            [0] => key >= self.start,
            end => key >= self.start && key < end,
        }
    }

    /// An end below the start makes an empty range, which `BTreeMap::range` would panic on.
    pub(crate) fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let start = Bound::Included(self.start.to_vec());
        match self.end {
            [] => (start, Bound::Included(self.start.to_vec())),
            [0] => (start, Bound::Unbounded),
            end if end <= self.start => (start, Bound::Excluded(self.start.to_vec())),
            end => (start, Bound::Excluded(end.to_vec())),
        }
    }
}

pub(crate) fn borrowed(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    fn one(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
        bound.as_ref().map(Vec::as_slice)
    }
    (one(&bounds.0), one(&bounds.1))
}
