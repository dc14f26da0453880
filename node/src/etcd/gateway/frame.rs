//! gRPC's framing: a flag (compressed or not), four bytes of length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tonic::Status;

const HEAD_BYTES: usize = 5;

/// A message, framed.
pub(super) fn of(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(HEAD_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("bodies are bounded far below four gigabytes"));
    framed.put_slice(message);
    framed.freeze()
}

/// The first message of what has come, if it is whole.
pub(super) fn take(bytes: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    if head[0] != 0 {
        return Err(Status::internal("the answer is compressed, which was not asked for"));
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let length = usize::try_from(length).map_err(|_| Status::internal("the answer is too large"))?;
    if bytes.len() - HEAD_BYTES < length {
        return Ok(None);
    }
    bytes.advance(HEAD_BYTES);
    Ok(Some(bytes.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let whole = [of(b"one"), of(b""), of(b"three")].concat();
        for cut in 0..whole.len() {
            let (mut bytes, mut found) = (BytesMut::from(&whole[..cut]), Vec::new());
            while let Some(message) = take(&mut bytes).unwrap() {
                found.push(message);
            }
            bytes.put_slice(&whole[cut..]);
            while let Some(message) = take(&mut bytes).unwrap() {
                found.push(message);
            }
            assert_eq!(found, [&b"one"[..], b"", b"three"]);
        }
        assert!(take(&mut BytesMut::from(&[1, 0, 0, 0, 0][..])).is_err());
    }
}
