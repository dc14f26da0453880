//! What happened, folded into one number: two runs with the same one were the same.

use std::fmt::Debug;

use autoradio_policy::dice::mix;

use crate::scenario::Events;

/// Folds events into a hash; prints or keeps them where asked to.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    count: u64,
    events: Events,
    lines: Vec<String>,
}

impl Trace {
    pub(crate) fn new(events: Events) -> Self {
        Self { hash: 0, count: 0, events, lines: Vec::new() }
    }

    /// Takes an event in. `bytes` go into the hash and are not shown.
    pub(crate) fn note(&mut self, at_ms: u64, what: &impl Debug, bytes: &[u8]) {
        let text = format!("{what:?}");
        self.hash = [text.as_bytes(), bytes]
            .concat()
            .iter()
            .fold(self.hash ^ mix(at_ms), |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        self.count += 1;
        match self.events {
            Events::Dropped => {}
            Events::Printed => println!("{at_ms:>6} {text}"),
            // With the hash, since runs may part in bytes that are not shown.
            Events::Kept => self.lines.push(format!("{at_ms:>6} {:016x} {text}", self.hash)),
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        mix(self.hash)
    }

    pub(crate) fn events(&self) -> u64 {
        self.count
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }
}
