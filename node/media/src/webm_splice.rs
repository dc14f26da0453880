//! webm_splice.

use crate::{Cut, MountLog, splice::Joint};

/// webm_splice.
#[derive(Debug)]
pub(crate) struct WebmSplice {
    joint: Joint,
}

impl WebmSplice {
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
