//! What happened, folded into one number: two runs with the same one were the same.

use std::fmt::Debug;

use autoradio_policy::dice::mix;

/// Folds events into a hash; prints them where asked to.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: 0, events: 0, print }
    }

    /// Takes an event in. `bytes` go into the hash and are not printed.
    pub(crate) fn note(&mut self, at_ms: u64, what: &impl Debug, bytes: &[u8]) {
        let text = format!("{what:?}");
        self.hash = [text.as_bytes(), bytes]
            .concat()
            .iter()
            .fold(self.hash ^ mix(at_ms), |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        self.events += 1;
        if self.print {
            println!("{at_ms:>6} {text}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        mix(self.hash)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}
