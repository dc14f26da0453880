//! An encoded message in parts: what is short is copied together, what is long is shared with whoever has it, too.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};

/// From here on sharing costs less than copying.
const SHARED_BYTES: usize = 1_024;

/// Bytes in parts, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    closed: VecDeque<Bytes>,
    /// What is short, since the last long one.
    open: BytesMut,
}

impl Parts {
    /// Adds the message's fields.
    pub(super) fn put(&mut self, message: &impl Message) {
        message.encode(&mut self.open).expect("the buffer grows as it has to");
    }

    /// Adds the head of a gRPC message (not compressed) of so many bytes, which are to follow.
    pub(super) fn put_grpc_head(&mut self, bytes: usize) {
        self.open.put_u8(0);
        // Answers are cut long before this.
        self.open.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Adds the head of a field with so many bytes, which are to follow.
    pub(super) fn put_field_head(&mut self, tag: u32, bytes: usize) {
        encode_key(tag, WireType::LengthDelimited, &mut self.open);
        encode_varint(bytes as u64, &mut self.open);
    }

    /// Adds these bytes.
    pub(super) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES {
            self.open.extend_from_slice(bytes);
        } else {
            self.close();
            self.closed.push_back(bytes.clone());
        }
    }

    /// Adds all of these.
    pub(super) fn put_all(&mut self, other: &Self) {
        other.closed.iter().for_each(|part| self.put_bytes(part));
        self.open.extend_from_slice(&other.open);
    }

    /// The next part to send.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let short = || (!self.open.is_empty()).then(|| self.open.split().freeze());
        self.closed.pop_front().or_else(short)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.is_empty()
    }

    /// All bytes.
    pub(super) fn len(&self) -> usize {
        self.closed.iter().map(Bytes::len).sum::<usize>() + self.open.len()
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.closed.push_back(self.open.split().freeze());
        }
    }
}

/// What a field with so many bytes takes, its head and all.
pub(super) fn field_len(tag: u32, bytes: usize) -> usize {
    key_len(tag) + encoded_len_varint(bytes as u64) + bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(mut parts: Parts) -> Vec<Bytes> {
        std::iter::from_fn(|| parts.pop()).collect()
    }

    #[test]
    fn short_ones_are_put_together_and_long_ones_are_shared() {
        let long = Bytes::from(vec![7; SHARED_BYTES]);
        let mut parts = Parts::default();
        for piece in [&Bytes::from_static(b"a"), &Bytes::from_static(b"b"), &long, &Bytes::from_static(b"c")] {
            parts.put_bytes(piece);
        }
        let mut both = Parts::default();
        both.put_bytes(&Bytes::from_static(b">"));
        both.put_all(&parts);
        assert_eq!((parts.len(), both.len()), (SHARED_BYTES + 3, SHARED_BYTES + 4));
        let all = drained(both);
        assert_eq!(all, [Bytes::from_static(b">ab"), long.clone(), Bytes::from_static(b"c")]);
        assert_eq!(all[1].as_ptr(), long.as_ptr(), "not copied");
    }

    #[test]
    fn heads_are_as_long_as_they_say() {
        for bytes in [0, 127, 128, 70_000] {
            let mut parts = Parts::default();
            parts.put_field_head(11, bytes);
            assert_eq!(parts.len() + bytes, field_len(11, bytes));
        }
        let mut parts = Parts::default();
        parts.put_grpc_head(258);
        assert_eq!(drained(parts), [Bytes::from_static(&[0, 0, 0, 1, 2])]);
        assert!(Parts::default().is_empty());
    }
}
