//! webm.

use bytes::Bytes;

use crate::Cut;

/// webm.
#[derive(Debug, Default)]
pub(crate) struct WebmParser(crate::raw::RawParser);

impl WebmParser {
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.0.push(bytes)
    }

    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.0.finish()
    }

    pub(crate) fn describe(&self) -> String {
        String::new()
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        0
    }
}
