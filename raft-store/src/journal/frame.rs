//! Frames: what one sync makes durable, with a number and a checksum, as bytes of a file.
//!
//! `id u64 | number u64 | length u32 | crc32c u32 | body | zeros up to a multiple of 8`, numbers in little-endian order. The
//! checksum is of all that comes before it, and of the body. The id is the journal's own, drawn when it was made, so that
//! nobody who writes values can write a frame.

/// Where frames begin: at multiples of this.
const ALIGN: usize = 8;
const CHECKED_BYTES: usize = 20;
const HEAD_BYTES: usize = 24;

/// A frame that was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// They are numbered one by one, across files.
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    /// Where the next one belongs.
    pub(crate) end: usize,
}

/// How long a frame with such a body is.
pub(crate) fn length(body: &[u8]) -> usize {
    (HEAD_BYTES + body.len()).next_multiple_of(ALIGN)
}

/// A frame's bytes; `None` where the body is longer than a frame can be.
pub(crate) fn encode(id: u64, number: u64, body: &[u8]) -> Option<Vec<u8>> {
    let body_length = u32::try_from(body.len()).ok()?;
    let mut bytes = Vec::with_capacity(length(body));
    bytes.extend(id.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(body_length.to_le_bytes());
    bytes.extend(crc32c::crc32c_append(crc32c::crc32c(&bytes), body).to_le_bytes());
    bytes.extend(body);
    bytes.resize(length(body), 0);
    Some(bytes)
}

/// All frames of `id` in a file's bytes, in their order there. What is between them (a torn frame, rot, what is left of the
/// file's earlier use) is passed over: whether a number is missing is seen by who knows which are needed.
pub(crate) fn find(id: u64, bytes: &[u8]) -> Vec<Frame> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match read(id, bytes, at) {
            Some(frame) => {
                at = frame.end;
                found.push(frame);
            }
            None => at += ALIGN,
        }
    }
    found
}

fn read(id: u64, bytes: &[u8], at: usize) -> Option<Frame> {
    let head = bytes.get(at..at + HEAD_BYTES)?;
    let u64_at = |place: usize| head[place..].first_chunk().copied().map(u64::from_le_bytes);
    let u32_at = |place: usize| head[place..].first_chunk().copied().map(u32::from_le_bytes);
    if u64_at(0)? != id {
        return None;
    }
    let (number, length, checksum) = (u64_at(8)?, usize::try_from(u32_at(16)?).ok()?, u32_at(CHECKED_BYTES)?);
    let start = at + HEAD_BYTES;
    let body = bytes.get(start..start.checked_add(length)?)?;
    let sound = crc32c::crc32c_append(crc32c::crc32c(&head[..CHECKED_BYTES]), body) == checksum;
    sound.then(|| Frame { number, body: body.to_vec(), end: at + self::length(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u64 = 0x1234_5678_9abc_def0;

    fn file(bodies: &[&[u8]]) -> Vec<u8> {
        (1..).zip(bodies).flat_map(|(number, body)| encode(ID, number, body).unwrap()).collect()
    }

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        find(ID, bytes).iter().map(|frame| frame.number).collect()
    }

    #[test]
    fn frames_come_back_and_say_where_the_next_belongs() {
        let mut bytes = file(&[b"one", b"", b"three three"]);
        let used = bytes.len();
        bytes.resize(used + 100, 0);
        let found = find(ID, &bytes);
        assert_eq!(found.iter().map(|f| f.body.as_slice()).collect::<Vec<_>>(), [&b"one"[..], b"", b"three three"]);
        assert_eq!((numbers(&bytes), found[2].end), (vec![1, 2, 3], used));
        assert!(find(ID + 1, &bytes).is_empty(), "another journal's");
    }

    #[test]
    fn each_turned_bit_and_each_cut_costs_its_frame_and_no_other() {
        let bytes = file(&[b"one", b"two", b"three"]);
        let ends: Vec<_> = find(ID, &bytes).iter().map(|frame| frame.end).collect();
        for at in 0..bytes.len() {
            let of = ends.iter().position(|end| at < *end).unwrap();
            let others: Vec<u64> = (1..=3).filter(|number| *number != of as u64 + 1).collect();
            for bit in 0..8 {
                let mut turned = bytes.clone();
                turned[at] ^= 1 << bit;
                let left = numbers(&turned);
                assert!(left == others || left == [1, 2, 3], "byte {at}: {left:?}");
            }
            let left = numbers(&bytes[..at]);
            assert!(left.len() <= of + 1 && left == [1, 2, 3][..left.len()], "cut at {at}: {left:?}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_frame_of_another_journal_is_none() {
        let inner = encode(ID + 1, 9, b"x").unwrap();
        let bytes = file(&[&inner, b"two"]);
        assert_eq!(numbers(&bytes), [1, 2]);
        // Its own frame torn away around it.
        assert!(numbers(&bytes[HEAD_BYTES..HEAD_BYTES + inner.len()]).is_empty());
    }
}
