//! Follows a loop through a listener's frames and counts what was lost and what came twice.

use std::collections::BTreeMap;

/// What a listener missed or got twice, in bytes of audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came as expected.
    pub in_order: u64,
    /// Bytes of frames that never came.
    pub lost_bytes: u64,
    /// Bytes of frames that came again.
    pub repeated_bytes: u64,
}

/// A loop's frames by content, and where in it the listener is.
#[derive(Debug)]
pub struct Tracker {
    /// Each frame of the loop, in order.
    frames: Vec<Vec<u8>>,
    /// Where each content stands in the loop (some, such as silence, stand several times).
    places: BTreeMap<Vec<u8>, Vec<usize>>,
    next: Option<usize>,
    counts: Counts,
}

impl Tracker {
    /// A tracker for a loop of these frames.
    #[must_use]
    pub fn new(frames: Vec<Vec<u8>>) -> Self {
        let mut places: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (i, frame) in frames.iter().enumerate() {
            places.entry(frame.clone()).or_default().push(i);
        }
        Self { frames, places, next: None, counts: Counts::default() }
    }

    /// Takes the listener's next frame.
    pub fn heard(&mut self, frame: &[u8]) {
        let Some(places) = self.places.get(frame) else {
            // Not of the loop: a header, or bytes that were never sent.
            return;
        };
        let Some(expected) = self.next else {
            // Only a frame that stands once tells where the listener starts.
            if let [place] = places[..] {
                self.next = Some((place + 1) % self.frames.len());
            }
            return;
        };
        let here = self.nearest(places, expected);
        let ahead = self.distance(expected, here);
        let behind = self.distance(here, expected);
        if ahead == 0 {
            self.counts.in_order += 1;
        } else if ahead <= behind {
            self.counts.lost_bytes += self.bytes(expected, ahead);
        } else {
            self.counts.repeated_bytes += self.bytes(here, behind);
        }
        self.next = Some((here + 1) % self.frames.len());
    }

    /// What was counted since the last call of [`Tracker::reset`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts from nothing again; the place in the loop is kept.
    pub fn reset(&mut self) {
        self.counts = Counts::default();
    }

    /// Forgets the place in the loop: what comes next is where it goes on, and neither lost nor repeated.
    pub fn lose_place(&mut self) {
        self.next = None;
    }

    /// Of all places of a content, the one nearest to the expected place, ahead of it if in doubt.
    fn nearest(&self, places: &[usize], expected: usize) -> usize {
        let reach = |place: &usize| {
            let ahead = self.distance(expected, *place);
            let behind = self.distance(*place, expected);
            (ahead.min(behind), ahead)
        };
        places.iter().min_by_key(|p| reach(p)).copied().unwrap_or(expected)
    }

    /// Steps from one place forward to another, around the loop.
    fn distance(&self, from: usize, to: usize) -> usize {
        (to + self.frames.len() - from) % self.frames.len()
    }

    fn bytes(&self, from: usize, count: usize) -> u64 {
        (0..count).map(|i| self.frames[(from + i) % self.frames.len()].len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker() -> Tracker {
        Tracker::new((0..10u8).map(|i| vec![i; 100]).collect())
    }

    fn hear(frames: &[u8]) -> Counts {
        let mut tracker = tracker();
        frames.iter().for_each(|i| tracker.heard(&[*i; 100]));
        tracker.counts()
    }

    #[test]
    fn a_whole_loop_and_its_seam_are_in_order() {
        assert_eq!(hear(&[7, 8, 9, 0, 1, 2]), Counts { in_order: 5, ..Counts::default() });
    }

    #[test]
    fn a_gap_is_lost_and_a_step_back_is_repeated() {
        assert_eq!(hear(&[1, 2, 5, 6]), Counts { in_order: 2, lost_bytes: 200, repeated_bytes: 0 });
        assert_eq!(hear(&[1, 2, 3, 2, 3]), Counts { in_order: 3, lost_bytes: 0, repeated_bytes: 200 });
        assert_eq!(hear(&[8, 9, 9, 0]), Counts { in_order: 2, lost_bytes: 0, repeated_bytes: 100 });
    }

    #[test]
    fn equal_frames_are_taken_for_the_nearest_place() {
        let mut tracker = Tracker::new(vec![vec![1], vec![0], vec![0], vec![2], vec![0], vec![3]]);
        [1, 0, 0, 2, 0, 3, 1].iter().for_each(|i| tracker.heard(&[*i]));
        assert_eq!(tracker.counts(), Counts { in_order: 6, ..Counts::default() });
    }
}
