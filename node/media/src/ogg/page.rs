//! Ogg pages (RFC 3533 §6).

use bytes::{Bytes, BytesMut};

use super::crc;

const CAPTURE: &[u8] = b"OggS";
/// Bytes of a page before its segment table.
const HEAD_BYTES: usize = 27;
const AT_FLAGS: usize = 5;
const AT_GRANULE: usize = 6;
const AT_SERIAL: usize = 14;
const AT_SEQUENCE: usize = 18;
const AT_CRC: usize = 22;
const AT_SEGMENTS: usize = 26;
/// A segment of this length says that its packet goes on in the next one.
const LACING_OPEN: u8 = 255;

const CONTINUED: u8 = 1;
const BOS: u8 = 2;
const EOS: u8 = 4;

/// What stands at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole page of so many bytes.
    Page(usize),
    /// So many bytes that are no part of a page.
    Junk(usize),
    /// What may become a page with more bytes.
    Incomplete,
}

/// What changes when a page is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) bos: bool,
    pub(crate) eos: bool,
    /// The granule position as it stands; -1 where no packet ends.
    pub(crate) granule: i64,
    pub(crate) serial: u32,
    pub(crate) sequence: u32,
}

/// A whole page; only made from bytes that `measure` has found to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) data: Bytes,
    pub(crate) continued: bool,
    pub(crate) marks: Marks,
}

/// The part of a packet that is on one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) data: &'a [u8],
    /// The packet starts here.
    pub(crate) starts: bool,
    /// The packet ends here.
    pub(crate) ends: bool,
}

fn field<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at + N)?.try_into().ok()
}

/// How long the page at the start is by its segment table, where it is all there.
fn measure(data: &[u8]) -> Option<usize> {
    let segments = usize::from(*data.get(AT_SEGMENTS)?);
    let table = data.get(HEAD_BYTES..HEAD_BYTES + segments)?;
    let body: usize = table.iter().map(|lacing| usize::from(*lacing)).sum();
    Some(HEAD_BYTES + segments + body)
}

fn checksum(page: &[u8]) -> Option<u32> {
    let (before, after) = (page.get(..AT_CRC)?, page.get(AT_SEGMENTS..)?);
    Some(crc::update(crc::update(crc::update(0, before), &[0; 4]), after))
}

/// Looks at the start of a buffer; a page whose checksum is wrong is junk up to the next capture pattern.
pub(crate) fn find(data: &[u8]) -> Found {
    let prefix = data.len().min(CAPTURE.len());
    if data.get(..prefix) != CAPTURE.get(..prefix) {
        return Found::Junk(junk(data, 1));
    }
    let version = data.get(CAPTURE.len());
    if version.is_some_and(|version| *version != 0) {
        return Found::Junk(junk(data, 1));
    }
    let Some(len) = measure(data) else { return Found::Incomplete };
    let Some(page) = data.get(..len) else { return Found::Incomplete };
    if checksum(page) == field(page, AT_CRC).map(u32::from_le_bytes) {
        Found::Page(len)
    } else {
        Found::Junk(junk(data, 1))
    }
}

/// The bytes before what may be the next page at or after `from`.
fn junk(data: &[u8], from: usize) -> usize {
    (from..data.len()).find(|at| data.get(*at..).is_some_and(starts_page)).unwrap_or(data.len())
}

fn starts_page(data: &[u8]) -> bool {
    let len = data.len().min(CAPTURE.len());
    data.get(..len) == CAPTURE.get(..len)
}

impl Page {
    /// The page that `data` is; `None` where it is none.
    pub(crate) fn new(data: Bytes) -> Option<Self> {
        if measure(&data)? != data.len() || !data.starts_with(CAPTURE) {
            return None;
        }
        let flags = *data.get(AT_FLAGS)?;
        let marks = Marks {
            bos: flags & BOS != 0,
            eos: flags & EOS != 0,
            granule: i64::from_le_bytes(field(&data, AT_GRANULE)?),
            serial: u32::from_le_bytes(field(&data, AT_SERIAL)?),
            sequence: u32::from_le_bytes(field(&data, AT_SEQUENCE)?),
        };
        Some(Self { continued: flags & CONTINUED != 0, marks, data })
    }

    /// The granule position; `None` where no packet ends on the page (-1), or where it makes no sense.
    pub(crate) fn granule(&self) -> Option<i64> {
        Some(self.marks.granule).filter(|granule| *granule >= 0)
    }

    fn lacing(&self) -> &[u8] {
        let segments = self.data.get(AT_SEGMENTS).map_or(0, |count| usize::from(*count));
        self.data.get(HEAD_BYTES..HEAD_BYTES + segments).unwrap_or(&[])
    }

    /// Whether the last packet goes on in the next page.
    pub(crate) fn open(&self) -> bool {
        self.lacing().last() == Some(&LACING_OPEN)
    }

    /// The packets and the parts of packets on the page.
    pub(crate) fn pieces(&self) -> Vec<Piece<'_>> {
        let lacing = self.lacing();
        let mut body = self.data.get(HEAD_BYTES + lacing.len()..).unwrap_or(&[]);
        let (mut pieces, mut len, mut starts) = (Vec::new(), 0, !self.continued);
        for (index, segment) in lacing.iter().enumerate() {
            len += usize::from(*segment);
            let ends = *segment != LACING_OPEN;
            if ends || index + 1 == lacing.len() {
                let (data, rest) = body.split_at_checked(len).unwrap_or((body, &[]));
                pieces.push(Piece { data, starts, ends });
                (body, len, starts) = (rest, 0, true);
            }
        }
        pieces
    }

    /// The page with other marks and its checksum made anew; the same bytes where nothing changes.
    pub(crate) fn with(&self, marks: Marks) -> Bytes {
        if marks == self.marks {
            return self.data.clone();
        }
        let mut data = BytesMut::from(&self.data[..]);
        let flags = u8::from(self.continued) * CONTINUED + u8::from(marks.bos) * BOS + u8::from(marks.eos) * EOS;
        let mut put = |at: usize, bytes: &[u8]| {
            data.get_mut(at..at + bytes.len()).expect("a page has a whole head").copy_from_slice(bytes);
        };
        put(AT_FLAGS, &[flags]);
        put(AT_GRANULE, &marks.granule.to_le_bytes());
        put(AT_SERIAL, &marks.serial.to_le_bytes());
        put(AT_SEQUENCE, &marks.sequence.to_le_bytes());
        let crc = checksum(&data).expect("a page has a whole head");
        data.get_mut(AT_CRC..AT_SEGMENTS).expect("a page has a whole head").copy_from_slice(&crc.to_le_bytes());
        data.freeze()
    }
}

/// The pages in the bytes of a frame; ends at what is no page.
pub(crate) fn pages(data: &Bytes) -> Vec<Page> {
    let (mut pages, mut rest) = (Vec::new(), data.clone());
    while let Some(page) = measure(&rest).filter(|len| *len <= rest.len()).and_then(|len| Page::new(rest.split_to(len)))
    {
        pages.push(page);
    }
    pages
}

/// The packets that end on `pages`, each as far as it is on the page on which it starts: enough for what a packet's
/// first bytes say of its length. A packet that starts before `pages` is empty.
pub(crate) fn packet_heads<'a>(pages: impl Iterator<Item = &'a Page>) -> Vec<&'a [u8]> {
    let (mut heads, mut head): (Vec<&[u8]>, &[u8]) = (Vec::new(), &[]);
    for piece in pages.flat_map(Page::pieces) {
        if piece.starts {
            head = piece.data;
        }
        if piece.ends {
            heads.push(std::mem::take(&mut head));
        }
    }
    heads
}
