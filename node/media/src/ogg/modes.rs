//! Block sizes of Vorbis packets (Vorbis I §4.2.4, §4.3.1).

/// A mode in the setup header: block flag, window type, transform type, mapping.
const MODE_BITS: usize = 1 + 16 + 16 + 8;
/// The count of modes less one stands before them in so many bits.
const COUNT_BITS: usize = 6;
const MODES_MAX: usize = 1 << COUNT_BITS;
const MAPPINGS_MAX: u32 = 64;

/// The two block sizes, and which mode has which; all modes have the long one while the setup header is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    short: u32,
    long: u32,
    is_long: Vec<bool>,
}

fn bits(data: &[u8], at: usize, count: usize) -> Option<u32> {
    (0..count).try_fold(0, |value, index| {
        let at = at + index;
        Some(value | u32::from(data.get(at / 8)? >> (at % 8) & 1) << index)
    })
}

impl Modes {
    /// With the byte of the identification header that has both exponents.
    pub(super) fn new(blocks: u8) -> Self {
        Self { short: 1 << (blocks & 15), long: 1 << (blocks >> 4), is_long: Vec::new() }
    }

    /// Reads the modes, which end the setup header, from its end: what is before them would take a whole decoder.
    pub(super) fn read_setup(&mut self, setup: &[u8]) {
        let Some(last) = setup.iter().rposition(|byte| *byte != 0) else { return };
        // The framing bit is the last bit that is set.
        let framing = last * 8 + setup.get(last).map_or(0, |byte| 7 - byte.leading_zeros() as usize);
        let (mut found, mut flags) = (Vec::new(), Vec::new());
        for count in 1..=MODES_MAX {
            let Some(start) = framing.checked_sub(MODE_BITS * count) else { break };
            let plain = bits(setup, start + 1, 32) == Some(0);
            if !plain || bits(setup, start + 33, 8).is_none_or(|mapping| mapping >= MAPPINGS_MAX) {
                break;
            }
            flags.push(bits(setup, start, 1) == Some(1));
            let said = start.checked_sub(COUNT_BITS).and_then(|at| bits(setup, at, COUNT_BITS));
            if said.is_some_and(|said| said as usize + 1 == count) {
                found = flags.iter().rev().copied().collect();
            }
        }
        self.is_long = found;
    }

    /// The block size of a packet, by the mode that its first bits name.
    pub(super) fn block(&self, head: &[u8]) -> u32 {
        let width = self.is_long.len().checked_sub(1).and_then(usize::checked_ilog2).map_or(0, |log| log as usize + 1);
        let mode = bits(head, 1, width).map_or(0, |mode| mode as usize);
        if self.is_long.get(mode).copied().unwrap_or(true) { self.long } else { self.short }
    }

    /// Samples that packets give after a packet of block size `before`; the first of a stream gives none.
    pub(super) fn samples(&self, heads: &[&[u8]], before: Option<u32>) -> i64 {
        let (mut before, mut samples) = (before, 0);
        for head in heads {
            let block = self.block(head);
            samples += before.map_or(0, |before| i64::from(before / 4) + i64::from(block / 4));
            before = Some(block);
        }
        samples
    }
}
