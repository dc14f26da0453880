//! Lets etcdctl 3.4 in: asked about one endpoint (`endpoint status`, `hashkv`, `defrag`) it sends the whole URL as
//! `:authority`, with `http://` before the host, which the HTTP/2 library refuses as malformed.
//!
//! The slashes are replaced on the way in, before the headers are decoded. HPACK (RFC 7541) makes this a change of two
//! bytes: each character is put in place of one whose Huffman code is as long, so that no length changes, neither of
//! the frame nor of the string nor in the table that both sides keep. Nobody looks at the authority here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;

/// “A literal, to be remembered, of the name `:authority`” (RFC 7541, 6.2.1 and appendix A).
const AUTHORITY: u8 = 0x41;
/// The bit of a length that says “in Huffman's code”.
const HUFFMAN: u8 = 0x80;
/// `http://` in that code; one more bit, which is 0, stands at the head of the next byte.
const HTTP_SLASHES: [u8; 5] = [0x9d, 0x29, 0xae, 0xe3, 0x0c];
/// `httpB--`, as long.
const HTTP_DASHES: [u8; 5] = [0x9d, 0x29, 0xae, 0xea, 0xcb];
/// Name, length, and the code with its last bit.
const PATTERN_BYTES: usize = 2 + HTTP_SLASHES.len() + 1;

/// A connection whose authorities are mended.
pub(super) struct Mended<S> {
    stream: S,
    place: Place,
}

/// Where in the connection the next byte stands.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In the preface.
    Preface(usize),
    /// In a frame's head.
    Head([u8; FRAME_HEAD_BYTES], usize),
    /// In a frame of this kind, with so many bytes to go.
    Payload(u8, usize),
    /// No HTTP/2.
    Other,
}

impl<S> Mended<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, place: Place::Preface(0) }
    }
}

impl Place {
    /// Follows the bytes that came, and mends what is to be. A pattern that two reads cut in two is left as it is: heads
    /// of requests come in one piece.
    fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match self {
                Self::Preface(seen) => {
                    let part = bytes.len().min(PREFACE.len() - *seen);
                    if bytes[..part] != PREFACE[*seen..*seen + part] {
                        *self = Self::Other;
                        return;
                    }
                    *seen += part;
                    if *seen == PREFACE.len() {
                        *self = Self::Head([0; FRAME_HEAD_BYTES], 0);
                    }
                    part
                }
                Self::Head(head, seen) => {
                    let part = bytes.len().min(FRAME_HEAD_BYTES - *seen);
                    head[*seen..*seen + part].copy_from_slice(&bytes[..part]);
                    *seen += part;
                    if *seen == FRAME_HEAD_BYTES {
                        let left = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                        *self = Self::after(head[3], left);
                    }
                    part
                }
                Self::Payload(kind, left) => {
                    let part = bytes.len().min(*left);
                    if *kind == HEADERS {
                        mend(&mut bytes[..part]);
                    }
                    *self = Self::after(*kind, *left - part);
                    part
                }
                Self::Other => return,
            };
            bytes = &mut bytes[taken..];
        }
    }

    fn after(kind: u8, left: usize) -> Self {
        if left == 0 { Self::Head([0; FRAME_HEAD_BYTES], 0) } else { Self::Payload(kind, left) }
    }
}

fn mend(headers: &mut [u8]) {
    let found = headers.windows(PATTERN_BYTES).position(|bytes| {
        bytes[0] == AUTHORITY && bytes[1] & HUFFMAN != 0 && bytes[2..7] == HTTP_SLASHES && bytes[7] & 0x80 == 0
    });
    if let Some(place) = found {
        headers[place + 2..place + 2 + HTTP_DASHES.len()].copy_from_slice(&HTTP_DASHES);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mended<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.place.follow(&mut buf.filled_mut()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mended<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, 4, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn authority(code: [u8; 5]) -> Vec<u8> {
        [&[0x82, AUTHORITY, 0x90][..], &code, &[0x08, 0x9d, 0x5c]].concat()
    }

    #[test]
    fn the_slashes_of_an_authority_are_replaced_and_nothing_else() {
        let sent = [PREFACE, &frame(4, &[]), &frame(0, &authority(HTTP_SLASHES)), &frame(1, &authority(HTTP_SLASHES))];
        let wanted = [PREFACE, &frame(4, &[]), &frame(0, &authority(HTTP_SLASHES)), &frame(1, &authority(HTTP_DASHES))];
        let mut bytes = sent.concat();
        Place::Preface(0).follow(&mut bytes);
        assert_eq!(bytes, wanted.concat());
        // However the reads cut the frames, as long as they do not cut the pattern.
        let mut bytes = sent.concat();
        let (mut place, at) = (Place::Preface(0), bytes.len() - authority(HTTP_SLASHES).len());
        let (first, last) = bytes.split_at_mut(at);
        first.chunks_mut(5).for_each(|piece| place.follow(piece));
        place.follow(last);
        assert_eq!(bytes, wanted.concat());
    }

    #[test]
    fn other_protocols_pass_as_they_are() {
        let mut bytes = [b"GET / HTTP/1.1\r\n".as_slice(), &authority(HTTP_SLASHES)].concat();
        let before = bytes.clone();
        let mut place = Place::Preface(0);
        place.follow(&mut bytes);
        assert_eq!((bytes, place), (before, Place::Other));
    }
}
