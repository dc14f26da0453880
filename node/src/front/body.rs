//! A source's body: unframed, of a length, or chunked.

use autoradio_policy::{chunked::ChunkedDecoder, head::RequestHead};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::FrontError;

/// Read at once from a source at most.
const READ_BYTES: usize = 16 * 1024;

/// Undoes the framing of a source's body.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    buffer: BytesMut,
}

#[derive(Debug)]
enum Framing {
    /// Until the connection ends: what nearly every encoder sends.
    Unframed,
    /// So many bytes are left.
    Length(u64),
    Chunked(ChunkedDecoder),
    Ended,
}

impl Body {
    /// The body of this request; `read` is what came with its head.
    pub(super) fn new(head: &RequestHead, read: BytesMut) -> Self {
        let framing = match head.content_length() {
            _ if head.is_chunked() => Framing::Chunked(ChunkedDecoder::default()),
            // libshout says 0 and means none; a stream of no bytes is nobody's wish.
            Some(length) if length > 0 => Framing::Length(length),
            _ => Framing::Unframed,
        };
        Self { framing, buffer: read }
    }

    /// The next bytes of the stream; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or the coding is damaged.
    pub(super) async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Bytes>, FrontError> {
        loop {
            if !self.buffer.is_empty() {
                let raw = self.buffer.split().freeze();
                let data = self.undo(&raw)?;
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            if matches!(self.framing, Framing::Ended) {
                return Ok(None);
            }
            self.buffer.reserve(READ_BYTES);
            if from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn undo(&mut self, raw: &Bytes) -> Result<Bytes, FrontError> {
        match &mut self.framing {
            Framing::Unframed => Ok(raw.clone()),
            Framing::Ended => Ok(Bytes::new()),
            Framing::Length(left) => {
                let take = usize::try_from(*left).map_or(raw.len(), |left| left.min(raw.len()));
                *left -= take as u64;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
                Ok(raw.slice(..take))
            }
            Framing::Chunked(decoder) => {
                let decoded = decoder.push(raw)?;
                if decoded.ended {
                    self.framing = Framing::Ended;
                }
                match decoded.pieces.as_slice() {
                    [] => Ok(Bytes::new()),
                    [piece] => Ok(raw.slice(piece.clone())),
                    pieces => {
                        let mut joined = BytesMut::with_capacity(raw.len());
                        pieces.iter().for_each(|piece| joined.extend_from_slice(&raw[piece.clone()]));
                        Ok(joined.freeze())
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use autoradio_policy::head::{HeadResult, parse_head};

    use super::*;

    async fn body_of(request: &str) -> Vec<u8> {
        let HeadResult::Head { head, body_offset } = parse_head(request.as_bytes()) else { panic!("{request}") };
        let mut rest = &request.as_bytes()[body_offset..];
        let mut body = Body::new(&head, BytesMut::new());
        let mut all = Vec::new();
        while let Some(data) = body.next(&mut rest).await.unwrap() {
            all.extend_from_slice(&data);
        }
        all
    }

    #[tokio::test]
    async fn each_framing_is_undone() {
        for (request, expected) in [
            ("PUT /a HTTP/1.1\r\n\r\nabc", "abc"),
            ("SOURCE /a HTTP/1.0\r\nContent-Length: 0\r\n\r\nabc", "abc"),
            ("PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc", "ab"),
            ("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\nxyz", "abc"),
        ] {
            assert_eq!(body_of(request).await, expected.as_bytes(), "{request}");
        }
    }
}
