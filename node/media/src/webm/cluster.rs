//! Our clusters: small, whole, each with a time code of its own, which can be rewritten where it stands.

use bytes::Bytes;

use super::ebml::{self, Element, Vint, id};

/// Identifier and size of a cluster, identifier and size of its time code.
const TIME_AT: usize = 4 + 8 + 2;
/// Bytes of the time code: all that it can have, so that another one fits in its place.
const TIME_BYTES: usize = 8;
/// A size of eight in one byte.
const SIZE_OF_TIME: u8 = 0x80 | TIME_BYTES as u8;
/// Bytes before the first block.
pub(crate) const CLUSTER_HEAD: usize = TIME_AT + TIME_BYTES;
/// A SimpleBlock's flag of a key frame (RFC 9559 §10.2).
const FLAG_KEY: u8 = 0x80;

/// A SimpleBlock or a BlockGroup as it came, and where its time code stands.
#[derive(Debug)]
pub(crate) struct Block {
    data: Vec<u8>,
    time_at: usize,
    /// The number of its track.
    pub(crate) track: u64,
    /// When it plays, in units of the time codes, from the start of the stream.
    pub(crate) time: i64,
    /// Whether it can be decoded without those before.
    pub(crate) key: bool,
}

impl Block {
    /// From a whole element in a cluster of this time code.
    pub(crate) fn parse(whole: &[u8], element: Element, cluster_time: i64) -> Option<Self> {
        let Place { time_at, track, relative, key } = Place::find(whole, element)?;
        Some(Self { data: whole.to_vec(), time_at, track, time: cluster_time + i64::from(relative), key })
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }
}

/// What a block's element says, and where.
struct Place {
    time_at: usize,
    track: u64,
    relative: i16,
    key: bool,
}

impl Place {
    /// In a whole SimpleBlock or BlockGroup (RFC 9559 §10.1, §10.2).
    fn find(whole: &[u8], element: Element) -> Option<Self> {
        let payload = whole.get(element.header_len..)?;
        let (at, block, key) = if element.id == id::BLOCK_GROUP {
            let before = ebml::children(payload).take_while(|child| child.id != id::BLOCK);
            let before: usize = before.map(|child| child.whole.len()).sum();
            let block = ebml::children(payload).find(|child| child.id == id::BLOCK)?;
            let key = ebml::children(payload).all(|child| child.id != id::REFERENCE_BLOCK);
            (element.header_len + before + block.whole.len() - block.payload.len(), block.payload, Some(key))
        } else {
            (element.header_len, payload, None)
        };
        let Vint::Value { value: track, len } = ebml::vint(block) else { return None };
        let &[high, low, flags] = block.get(len..len + 3)? else { return None };
        let key = key.unwrap_or(flags & FLAG_KEY != 0);
        Some(Self { time_at: at + len, track, relative: i16::from_be_bytes([high, low]), key })
    }
}

/// A cluster that is being put together.
#[derive(Debug)]
pub(crate) struct Cluster {
    data: Vec<u8>,
    /// Its time code.
    pub(crate) time: i64,
    /// Whether its first block is a key frame of that track; with no track, always.
    pub(crate) join: bool,
}

impl Cluster {
    /// A cluster that begins with this block.
    pub(crate) fn new(block: Block, video_track: Option<u64>) -> Self {
        let join = video_track.is_none_or(|video| block.key && block.track == video);
        // A time code has no sign; a block may be before its cluster.
        let time = block.time.max(0);
        let mut data = Vec::with_capacity(CLUSTER_HEAD + block.len());
        ebml::put_id(&mut data, id::CLUSTER);
        data.extend(ebml::size8(0));
        ebml::put_id(&mut data, id::TIMECODE);
        data.push(SIZE_OF_TIME);
        data.extend(time.to_be_bytes());
        let mut cluster = Self { data, time, join };
        cluster.push(block);
        cluster
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether a block's time can be said in this cluster.
    pub(crate) fn reaches(&self, block: &Block) -> bool {
        i16::try_from(block.time - self.time).is_ok()
    }

    /// Appends a block that it reaches.
    pub(crate) fn push(&mut self, block: Block) {
        let at = self.data.len() + block.time_at;
        let relative = (block.time - self.time).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        self.data.extend(block.data);
        if let Some(time) = self.data.get_mut(at..at + 2) {
            time.copy_from_slice(&relative.to_be_bytes());
        }
    }

    /// Its bytes.
    pub(crate) fn finish(mut self) -> Bytes {
        let size = ebml::size8(self.data.len() - 12);
        if let Some(place) = self.data.get_mut(4..12) {
            place.copy_from_slice(&size);
        }
        self.data.into()
    }
}

/// The time code of one of our clusters; `None` for other bytes.
pub(crate) fn time(cluster: &[u8]) -> Option<i64> {
    let (head, _) = cluster.split_at_checked(CLUSTER_HEAD)?;
    if !head.starts_with(&id::CLUSTER.to_be_bytes()) || head.get(12..TIME_AT)? != [id::TIMECODE as u8, SIZE_OF_TIME] {
        return None;
    }
    let time = head.get(TIME_AT..)?.try_into().ok()?;
    i64::try_from(u64::from_be_bytes(time)).ok()
}

/// The same cluster with another time code.
pub(crate) fn with_time(cluster: &Bytes, time: i64) -> Bytes {
    let mut data = cluster.to_vec();
    if let Some(place) = data.get_mut(TIME_AT..CLUSTER_HEAD) {
        place.copy_from_slice(&time.max(0).to_be_bytes());
    }
    data.into()
}

/// How far its earliest and its latest block are from its time code.
pub(crate) fn reach(cluster: &[u8]) -> (i64, i64) {
    let blocks = ebml::children(cluster.get(CLUSTER_HEAD..).unwrap_or(&[]));
    let times = blocks.filter_map(|child| {
        let ebml::Head::Element(element) = ebml::head(child.whole) else { return None };
        Place::find(child.whole, element).map(|place| i64::from(place.relative))
    });
    times.fold((0, 0), |(earliest, latest), time| (earliest.min(time), latest.max(time)))
}
