//! Chunked transfer coding (RFC 9112 §7.1), undone piece by piece: curl sends streams this way, and Icecast lets the
//! chunk sizes into the audio.

use std::ops::Range;

/// The longest line with a chunk's size, in bytes: 16 digits and room for an extension.
pub const MAX_SIZE_LINE_BYTES: usize = 256;
/// The longest trailer section, in bytes; trailers are read over.
pub const MAX_TRAILER_BYTES: usize = 8 * 1024;
/// The largest chunk, in bytes. Chunks are never buffered whole; a larger size is a mistake or an attack.
pub const MAX_CHUNK_BYTES: u64 = 1 << 40;

/// What was wrong with the coding: the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkedError {
    /// The size is not a hex number.
    #[error("a chunk's size is not a hexadecimal number")]
    Size,
    /// The size is out of bounds.
    #[error("a chunk is larger than 1 TiB")]
    TooLarge,
    /// The size's line is too long.
    #[error("the line with a chunk's size is longer than 256 bytes")]
    LineTooLong,
    /// No line end where one must be.
    #[error("a chunk does not end with a line end")]
    LineEnd,
    /// Too many trailers.
    #[error("the trailers are longer than 8 KiB")]
    TrailersTooLong,
}

/// What a push gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Where in the input the body's bytes are, in order; never empty ranges.
    pub pieces: Vec<Range<usize>>,
    /// How much of the input was read: all of it unless the body ended.
    pub consumed: usize,
    /// Whether the body ended.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the size's digits.
    Size { digits: u8 },
    /// Behind the digits: an extension, up to the line end.
    Extension,
    /// The line feed after a size.
    SizeLf,
    /// In a chunk.
    Data,
    /// The carriage return after a chunk.
    DataCr,
    /// The line feed after a chunk.
    DataLf,
    /// In a trailer; `line` bytes of the line so far.
    Trailer { line: usize },
    /// All read.
    Ended,
}

/// An incremental decoder; holds no bytes.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// Bytes left in the chunk, or the size read so far.
    left: u64,
    /// Length of the size line or of the trailers so far.
    length: usize,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, length: 0 }
    }
}

impl ChunkedDecoder {
    /// Reads on. After the end nothing more is consumed.
    ///
    /// # Errors
    /// [`ChunkedError`]; the decoder must not be used any more.
    pub fn push(&mut self, input: &[u8]) -> Result<Decoded, ChunkedError> {
        let mut out = Decoded::default();
        while let (Some(byte), false) = (input.get(out.consumed), self.state == State::Ended) {
            if self.state == State::Data {
                let there = input.len() - out.consumed;
                let taken = usize::try_from(self.left).map_or(there, |left| left.min(there));
                out.pieces.push(out.consumed..out.consumed + taken);
                out.consumed += taken;
                self.left -= taken as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(*byte)?;
            out.consumed += 1;
        }
        out.ended = self.state == State::Ended;
        Ok(out)
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.length += 1;
        Ok(match (self.state, byte) {
            (State::Trailer { .. }, _) if self.length > MAX_TRAILER_BYTES => return Err(ChunkedError::TrailersTooLong),
            (State::Trailer { line: 0 }, b'\n') => State::Ended,
            (State::Trailer { .. }, b'\n') => State::Trailer { line: 0 },
            (State::Trailer { line }, b'\r') => State::Trailer { line },
            (State::Trailer { line }, _) => State::Trailer { line: line.saturating_add(1) },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                (self.left, self.length) = (0, 0);
                State::Size { digits: 0 }
            }
            (State::SizeLf, b'\n') => {
                self.length = 0;
                if self.left == 0 { State::Trailer { line: 0 } } else { State::Data }
            }
            (State::DataCr | State::DataLf | State::SizeLf, _) => return Err(ChunkedError::LineEnd),
            (_, _) if self.length > MAX_SIZE_LINE_BYTES => return Err(ChunkedError::LineTooLong),
            (State::Size { digits: 1.. } | State::Extension, b'\r') => State::SizeLf,
            (State::Size { digits: 1.. }, b';' | b' ' | b'\t') => State::Extension,
            (State::Extension, b'\n' | 0) => return Err(ChunkedError::LineEnd),
            (State::Extension, _) => State::Extension,
            (State::Size { digits }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(ChunkedError::Size)?;
                self.left = self.left.checked_mul(16).ok_or(ChunkedError::TooLarge)? + u64::from(digit);
                if self.left > MAX_CHUNK_BYTES {
                    return Err(ChunkedError::TooLarge);
                }
                State::Size { digits: digits.saturating_add(1) }
            }
            (State::Data | State::Ended, _) => self.state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes input that comes in pieces of `step` bytes: the body, whether it ended, and what is left over.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), ChunkedError> {
        let (mut decoder, mut body, mut read) = (ChunkedDecoder::default(), Vec::new(), 0);
        for piece in input.chunks(step) {
            let found = decoder.push(piece)?;
            found.pieces.iter().for_each(|r| body.extend_from_slice(&piece[r.clone()]));
            read += found.consumed;
            if found.ended {
                return Ok((body, true, input.len() - read));
            }
            assert_eq!(found.consumed, piece.len());
        }
        Ok((body, false, 0))
    }

    #[test]
    fn bodies_are_decoded_at_every_cut() {
        let text = b"4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n000\r\nX: 1\r\nY: 2\r\n\r\nGET";
        for step in 1..text.len() {
            let (body, ended, _) = decode(text, step).unwrap();
            assert_eq!((&body[..], ended), (&b"Wikipedia in \r\n\r\nchunks."[..], true));
        }
        assert_eq!(decode(text, text.len()).unwrap().2, 3);
        assert_eq!(decode(b"0\r\n\r\n", 1).unwrap(), (vec![], true, 0));
        assert_eq!(decode(b"5\r\nab", 1).unwrap(), (b"ab".to_vec(), false, 0));
    }

    #[test]
    fn faults_are_refused() {
        let long_line = format!("5;{}\r\n", "x".repeat(300));
        let long_trailers = format!("0\r\n{}\r\n", "x: 1\r\n".repeat(2000));
        for (input, expected) in [
            ("x\r\n", ChunkedError::Size),
            ("\r\n", ChunkedError::Size),
            ("-5\r\n", ChunkedError::Size),
            ("5\n", ChunkedError::Size),
            ("5;a\nb", ChunkedError::LineEnd),
            ("5\rX", ChunkedError::LineEnd),
            ("1\r\nab", ChunkedError::LineEnd),
            ("1\r\na\rb", ChunkedError::LineEnd),
            ("fffffffffffffffff\r\n", ChunkedError::TooLarge),
            ("10000000001\r\n", ChunkedError::TooLarge),
            (&long_line, ChunkedError::LineTooLong),
            (&long_trailers, ChunkedError::TrailersTooLong),
        ] {
            assert_eq!(decode(input.as_bytes(), 7), Err(expected), "{input:.40}");
        }
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..10), step in 1usize..50) {
            let mut coded = Vec::new();
            for chunk in &chunks {
                coded.extend(format!("{:x}\r\n", chunk.len()).bytes());
                coded.extend(chunk);
                coded.extend(b"\r\n");
            }
            coded.extend(b"0\r\n\r\n");
            prop_assert_eq!(decode(&coded, step), Ok((chunks.concat(), true, 0)));
        }

        #[test]
        fn never_panics(input in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..50) {
            let _ = decode(&input, step);
        }
    }
}
