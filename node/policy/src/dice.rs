//! Deterministic mixing: the same seed gives the same order on every node.

/// A stream of numbers from a seed (SplitMix64, Steele et al. 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound` (0 for a bound of 0). The bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or(0)
    }

    /// Puts the items in an order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}

/// SplitMix64's finalizer: every input bit changes about half of the output bits.
#[must_use]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of text that is the same in every version of the program (FNV-1a, finalized by [`mix`]).
pub(crate) fn hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_are_even_and_repeatable() {
        let mut first = [0u32; 4];
        for seed in 0..4000 {
            let mut items = [0usize, 1, 2, 3];
            Dice::new(seed).shuffle(&mut items);
            let mut again = [0usize, 1, 2, 3];
            Dice::new(seed).shuffle(&mut again);
            assert_eq!(items, again);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|n| (850..1150).contains(n)), "{first:?}");
    }

    #[test]
    fn hashes_are_fixed_for_ever() {
        // A change here would move followers about while a cluster is being upgraded.
        assert_eq!((hash(""), hash("/live.ogg")), (17_665_956_581_633_026_203, 7_845_181_469_197_765_962));
    }
}
