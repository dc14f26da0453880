//! mp3.

use bytes::Bytes;

use crate::Cut;

/// mp3.
#[derive(Debug, Default)]
pub(crate) struct Mp3Parser(crate::raw::RawParser);

impl Mp3Parser {
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
