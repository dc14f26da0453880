//! ICY metadata: titles put into the audio, a block each so many bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::text::start_of;

#[cfg(test)]
mod tests;

/// A block's length is one byte that counts these.
const UNIT_BYTES: usize = 16;
const TEXT_BYTES_MAX: usize = 255 * UNIT_BYTES;
const BEFORE_TITLE: &[u8] = b"StreamTitle='";
const AFTER_TITLE: &[u8] = b"';";
const TITLE_BYTES_MAX: usize = TEXT_BYTES_MAX - BEFORE_TITLE.len() - AFTER_TITLE.len();

/// A block that changes nothing.
const UNCHANGED: Bytes = Bytes::from_static(&[0]);

/// Puts titles into one listener's audio.
#[derive(Clone, Debug)]
pub struct IcyInserter {
    // Small numbers, as each of 20,000 listeners has them.
    metaint: u32,
    /// Audio bytes until the next block; 1 to `metaint`.
    left: u32,
    /// The title that was sent last.
    sent: Option<Box<str>>,
}

impl IcyInserter {
    /// A block each `metaint` bytes of audio (16,000 everywhere).
    #[must_use]
    pub fn new(metaint: usize) -> Self {
        let metaint = u32::try_from(metaint).unwrap_or(u32::MAX).max(1);
        Self { metaint, left: metaint, sent: None }
    }

    /// The audio as slices of `audio` with blocks between them; a block has the title if it has changed, and is one
    /// zero byte if not.
    pub fn insert(&mut self, audio: &Bytes, title: Option<&str>) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < audio.len() {
            let there = audio.len() - at;
            let left = self.left as usize;
            if there < left {
                pieces.push(audio.slice(at..));
                self.left -= u32::try_from(there).expect("less than a u32");
                break;
            }
            pieces.push(audio.slice(at..at + left));
            pieces.push(self.next_block(title));
            at += left;
            self.left = self.metaint;
        }
        pieces
    }

    fn next_block(&mut self, title: Option<&str>) -> Bytes {
        match title.map(|title| start_of(title, TITLE_BYTES_MAX)) {
            Some(title) if self.sent.as_deref() != Some(title) => {
                self.sent = Some(title.into());
                block(title)
            }
            _ => UNCHANGED,
        }
    }
}

/// A metadata block: its length in units of 16 bytes, `StreamTitle='…';`, zeros.
///
/// Quotes in the title stay as they are, as with Icecast: players look for the `';` at the end. Control characters
/// become blanks, since players take a zero for the end. What is too long is cut between two characters.
#[must_use]
pub fn block(title: &str) -> Bytes {
    let title = start_of(title, TITLE_BYTES_MAX);
    let text_bytes = BEFORE_TITLE.len() + title.len() + AFTER_TITLE.len();
    let units = text_bytes.div_ceil(UNIT_BYTES);
    let mut block = BytesMut::with_capacity(1 + units * UNIT_BYTES);
    block.put_u8(u8::try_from(units).expect("the title's bound keeps it to 255"));
    block.put_slice(BEFORE_TITLE);
    // Only ASCII's: the two-byte ones cannot be taken for anything else.
    block.extend(title.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    block.put_slice(AFTER_TITLE);
    block.resize(1 + units * UNIT_BYTES, 0);
    block.freeze()
}
