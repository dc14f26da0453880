//! Ranges of keys put together: what several permissions allow in sum.

use bytes::Bytes;

/// Ranges that neither overlap nor touch, by start; an end of `None` is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(Bytes, Option<Bytes>)>);

/// The key that comes right after `key`: a point is a range up to it.
fn after(key: &[u8]) -> Bytes {
    [key, b"\0"].concat().into()
}

/// The end of a range as etcd writes it: nothing for one key, a zero byte for an open end. `None`: open.
fn end_of(key: &[u8], range_end: &Bytes) -> Option<Bytes> {
    match &range_end[..] {
        [] => Some(after(key)),
        [0] => None,
        _ => Some(range_end.clone()),
    }
}

impl Ranges {
    /// The union of ranges, given as key and range end. Those that end before they begin are empty.
    pub(super) fn of(ranges: Vec<(&Bytes, &Bytes)>) -> Self {
        let mut all: Vec<_> = ranges.into_iter().map(|(key, end)| (key.clone(), end_of(key, end))).collect();
        all.retain(|(start, end)| end.as_ref().is_none_or(|end| end > start));
        all.sort();
        let mut merged: Vec<(Bytes, Option<Bytes>)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match merged.last_mut() {
                Some((_, last)) if last.as_ref().is_none_or(|last| *last >= start) => {
                    // Open ends are beyond all others.
                    if let Some(before) = last
                        && end.as_ref().is_none_or(|end| end > before)
                    {
                        *last = end;
                    }
                }
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    /// Whether all keys of a range are inside. A range that ends before it begins counts as its first key.
    pub(super) fn cover(&self, key: &[u8], range_end: &[u8]) -> bool {
        let point = || Some(after(key));
        let end = match range_end {
            [0] => None,
            end if end <= key => point(),
            end => Some(Bytes::copy_from_slice(end)),
        };
        let place = self.0.partition_point(|(start, _)| &start[..] <= key);
        let Some((_, last)) = place.checked_sub(1).and_then(|place| self.0.get(place)) else { return false };
        match (last, end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(last), Some(end)) => end <= *last,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(list: &[(&'static str, &'static str)]) -> Ranges {
        let list: Vec<(Bytes, Bytes)> = list.iter().map(|(key, end)| ((*key).into(), (*end).into())).collect();
        Ranges::of(list.iter().map(|(key, end)| (key, end)).collect())
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let union = ranges(&[("a", "c"), ("c", "e"), ("x", "")]);
        assert!(union.cover(b"a", b"e") && union.cover(b"b", b"d") && union.cover(b"d", b""));
        assert!(!union.cover(b"a", b"f") && !union.cover(b"e", b"") && !union.cover(b"a", b"\0"));
        assert!(union.cover(b"x", b"") && union.cover(b"x", b"x\0") && !union.cover(b"x", b"x\0\0"));
        assert!(!union.cover(b"xy", b""));
    }

    #[test]
    fn an_open_end_covers_all_that_follow_and_only_an_open_end_covers_an_open_end() {
        let union = ranges(&[("m", "\0"), ("a", "b"), ("n", "p")]);
        assert!(union.cover(b"m", b"\0") && union.cover(b"zz", b"\0") && union.cover(b"n", b"zzz"));
        assert!(!union.cover(b"l", b"\0") && !union.cover(b"a", b"\0"));
        assert!(!ranges(&[("a", "\u{7f}")]).cover(b"b", b"\0"));
        assert!(ranges(&[("\0", "\0")]).cover(b"\0", b"\0"));
    }

    #[test]
    fn a_range_that_ends_before_it_begins_gives_nothing_and_asks_for_its_key() {
        assert_eq!(ranges(&[("b", "a")]), Ranges::default());
        let union = ranges(&[("b", "c")]);
        assert!(union.cover(b"b", b"a") && !union.cover(b"c", b"a"));
    }

    proptest! {
        #[test]
        fn a_union_covers_what_its_parts_do_together(
            parts in prop::collection::vec((0..20u8, 0..22u8), 0..8), from in 0..20u8, to in 0..22u8,
        ) {
            let end_of = |to: u8| if to == 21 { vec![0] } else { vec![to + 1] };
            let list: Vec<(Bytes, Bytes)> =
                parts.iter().map(|(from, to)| (vec![from + 1].into(), end_of(*to).into())).collect();
            let union = Ranges::of(list.iter().map(|(key, end)| (key, end)).collect());
            // All the keys that matter, 0 to 20, and one far behind for what is open.
            let keys = |from: u8, to: u8| -> BTreeSet<u8> {
                if to == 21 { (from..=30).collect() } else { (from..to).collect() }
            };
            let allowed: BTreeSet<u8> = parts.iter().flat_map(|(from, to)| keys(*from, *to)).collect();
            let asked = if to <= from { BTreeSet::from([from]) } else { keys(from, to) };
            prop_assert_eq!(union.cover(&[from + 1], &end_of(to)), asked.is_subset(&allowed));
        }
    }
}
