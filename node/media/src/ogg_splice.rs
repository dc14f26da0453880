//! ogg_splice.

use crate::{Cut, MountLog, splice::Joint};

/// ogg_splice.
#[derive(Debug)]
pub(crate) struct OggSplice {
    joint: Joint,
}

impl OggSplice {
    pub(crate) fn new(joint: Joint, _log: &MountLog) -> Self {
        Self { joint }
    }

    pub(crate) fn push(&mut self, cut: Cut) -> Vec<Cut> {
        vec![cut]
    }

    pub(crate) fn joint(&self) -> Option<Joint> {
        Some(self.joint)
    }
}
