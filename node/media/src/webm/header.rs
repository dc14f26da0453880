//! The header of a stream while it is being read.

use super::{
    ebml::{self, Child, id},
    setup::Setup,
};

/// What of a header has come: the EBML header, Info and Tracks.
#[derive(Debug, Default)]
pub(crate) struct Header {
    ebml: Vec<u8>,
    /// Info and Tracks in the order in which they came, each at most once.
    segment: Vec<u8>,
    info: bool,
    tracks: bool,
}

impl Header {
    /// Begins with an EBML header; `None` where it is that of another kind of document (RFC 8794 §11.2).
    pub(crate) fn new(whole: &[u8]) -> Option<Self> {
        let ebml = ebml::children(whole).find(|child| child.id == id::EBML)?;
        let kind = ebml::children(ebml.payload).find(|child| child.id == id::DOC_TYPE)?;
        let known = kind.payload.starts_with(b"webm") || kind.payload.starts_with(b"matroska");
        known.then(|| Self { ebml: whole.to_vec(), ..Self::default() })
    }

    /// Takes Info or Tracks.
    pub(crate) fn push(&mut self, element_id: u32, whole: &[u8]) {
        match element_id {
            id::INFO if !self.info => {
                self.info = true;
                self.put_info(whole);
            }
            id::TRACKS if !self.tracks => {
                self.tracks = true;
                self.segment.extend(whole);
            }
            _ => {}
        }
    }

    /// Info without its duration, which a live stream has not, and so without a checksum.
    fn put_info(&mut self, whole: &[u8]) {
        let info = ebml::children(whole).next().map_or(&[][..], |info| info.payload);
        let keep = |child: &Child<'_>| ![id::DURATION, id::CRC32, id::VOID].contains(&child.id);
        let kept: Vec<u8> = ebml::children(info).filter(keep).flat_map(|child| child.whole).copied().collect();
        ebml::put(&mut self.segment, id::INFO, &kept);
    }

    /// Its bytes, with a Segment of unknown size in which only clusters are missing, and what they say; `None` while
    /// there are no tracks.
    pub(crate) fn finish(&self) -> Option<(Vec<u8>, Setup)> {
        if !self.tracks {
            return None;
        }
        let mut bytes = self.ebml.clone();
        ebml::put_id(&mut bytes, id::SEGMENT);
        bytes.extend(ebml::SIZE_UNKNOWN);
        bytes.extend(&self.segment);
        let setup = Setup::of_header(&bytes)?;
        Some((bytes, setup))
    }
}
