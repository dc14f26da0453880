//! EBML elements (RFC 8794): identifiers, sizes, values.

/// Identifiers of the elements that are looked at (RFC 8794 §11, RFC 9559 §5.1).
pub(crate) mod id {
    pub(crate) const EBML: u32 = 0x1A45_DFA3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const CRC32: u32 = 0xBF;
    pub(crate) const VOID: u32 = 0xEC;
    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(crate) const INFO: u32 = 0x1549_A966;
    pub(crate) const TIMECODE_SCALE: u32 = 0x2A_D7B1;
    pub(crate) const DURATION: u32 = 0x4489;
    pub(crate) const TRACKS: u32 = 0x1654_AE6B;
    pub(crate) const TRACK_ENTRY: u32 = 0xAE;
    pub(crate) const TRACK_NUMBER: u32 = 0xD7;
    pub(crate) const TRACK_TYPE: u32 = 0x83;
    pub(crate) const CODEC_ID: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(crate) const CODEC_DELAY: u32 = 0x56AA;
    pub(crate) const CONTENT_ENCODINGS: u32 = 0x6D80;
    pub(crate) const AUDIO: u32 = 0xE1;
    pub(crate) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(crate) const OUTPUT_SAMPLING_FREQUENCY: u32 = 0x78B5;
    pub(crate) const CHANNELS: u32 = 0x9F;
    pub(crate) const VIDEO: u32 = 0xE0;
    pub(crate) const PIXEL_WIDTH: u32 = 0xB0;
    pub(crate) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(crate) const CUES: u32 = 0x1C53_BB6B;
    pub(crate) const TAGS: u32 = 0x1254_C367;
    pub(crate) const CHAPTERS: u32 = 0x1043_A770;
    pub(crate) const ATTACHMENTS: u32 = 0x1941_A469;
    pub(crate) const CLUSTER: u32 = 0x1F43_B675;
    pub(crate) const TIMECODE: u32 = 0xE7;
    pub(crate) const SILENT_TRACKS: u32 = 0x5854;
    pub(crate) const POSITION: u32 = 0xA7;
    pub(crate) const PREV_SIZE: u32 = 0xAB;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(crate) const ENCRYPTED_BLOCK: u32 = 0xAF;
    pub(crate) const BLOCK_GROUP: u32 = 0xA0;
    pub(crate) const BLOCK: u32 = 0xA1;
    pub(crate) const REFERENCE_BLOCK: u32 = 0xFB;
}

/// Matroska's identifiers are at most so long (RFC 9559 §4.4: EBMLMaxIDLength is 4).
const ID_BYTES_MAX: usize = 4;

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// More bytes are needed to tell.
    Incomplete,
    /// No element starts here.
    Bad,
    /// An element's identifier and size.
    Element(Element),
}

/// An element's identifier and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) id: u32,
    /// Bytes of the identifier and the size.
    pub(crate) header_len: usize,
    /// Bytes of the payload; `None` where it is unknown (RFC 8794 §6.2).
    pub(crate) size: Option<u64>,
}

/// Reads an element's identifier and size (RFC 8794 §5, §6).
pub(crate) fn head(bytes: &[u8]) -> Head {
    let Some(&first) = bytes.first() else { return Head::Incomplete };
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > ID_BYTES_MAX {
        return Head::Bad;
    }
    let Some((id_bytes, rest)) = bytes.split_at_checked(id_len) else { return Head::Incomplete };
    match vint(rest) {
        Vint::Incomplete => Head::Incomplete,
        Vint::Bad => Head::Bad,
        Vint::Value { value, len } => {
            // All ones: the size is unknown.
            let size = (value != (1 << (7 * len)) - 1).then_some(value);
            Head::Element(Element { id: be(id_bytes) as u32, header_len: id_len + len, size })
        }
    }
}

/// A number of variable size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vint {
    Incomplete,
    Bad,
    Value { value: u64, len: usize },
}

/// Reads a number of variable size (RFC 8794 §4).
pub(crate) fn vint(bytes: &[u8]) -> Vint {
    let Some(&first) = bytes.first() else { return Vint::Incomplete };
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return Vint::Bad;
    }
    let Some(bytes) = bytes.get(..len) else { return Vint::Incomplete };
    Vint::Value { value: be(bytes) & ((1 << (7 * len)) - 1), len }
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// An unsigned integer (RFC 8794 §7.2); `None` where it is longer than one can be.
pub(crate) fn uint(payload: &[u8]) -> Option<u64> {
    (payload.len() <= 8).then(|| be(payload))
}

/// A float (RFC 8794 §7.3); `None` where its length is none of a float's.
pub(crate) fn float(payload: &[u8]) -> Option<f64> {
    match payload.len() {
        0 => Some(0.0),
        4 => Some(f32::from_be_bytes(payload.try_into().ok()?).into()),
        8 => Some(f64::from_be_bytes(payload.try_into().ok()?)),
        _ => None,
    }
}

/// A child of a master element that is there as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'a> {
    pub(crate) id: u32,
    /// Identifier, size and payload.
    pub(crate) whole: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The children of a master element's payload, up to the first that is not whole; a size that is unknown reaches to
/// the end.
pub(crate) fn children(mut payload: &[u8]) -> impl Iterator<Item = Child<'_>> {
    std::iter::from_fn(move || {
        let Head::Element(element) = head(payload) else { return None };
        let size = element.size.and_then(|size| usize::try_from(size).ok());
        let end = match element.size {
            Some(_) => element.header_len.checked_add(size?)?,
            None => payload.len(),
        };
        let (whole, rest) = payload.split_at_checked(end)?;
        payload = rest;
        Some(Child { id: element.id, whole, payload: whole.get(element.header_len..)? })
    })
}

/// The size field of a Segment that has no end known yet: eight bytes (RFC 8794 §6.2).
pub(crate) const SIZE_UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Writes an identifier.
pub(crate) fn put_id(out: &mut Vec<u8>, id: u32) {
    let zeros = id.leading_zeros() as usize / 8;
    out.extend(id.to_be_bytes().into_iter().skip(zeros));
}

/// A size in eight bytes, so that it can be written before it is known how large it is.
pub(crate) fn size8(size: usize) -> [u8; 8] {
    (size as u64 | 1 << 56).to_be_bytes()
}

/// Writes an element.
pub(crate) fn put(out: &mut Vec<u8>, id: u32, payload: &[u8]) {
    put_id(out, id);
    out.extend(size8(payload.len()));
    out.extend(payload);
}
