//! Numbers an epoch's frames and makes them continue the stream of the epochs before.
//!
//! Only the origin does this, so that every node holds the same bytes. Where the codec's setup is the same, the second
//! header is left out and what counts on (Ogg's serial, page sequence, granule position, CRC; WebM's time codes) runs
//! on from the last frame; where it is not, a new chain begins (measured: players bear it, `docs/design.md`).

use bytes::Bytes;

use crate::{
    Container, Cut, Frame, FrameKind, MountLog, Position, ogg_splice::OggSplice, text::start_of,
    webm_splice::WebmSplice,
};

#[cfg(test)]
mod tests;

/// A title that is longer is cut: no more fits into an ICY block (255 times 16 bytes).
const TITLE_BYTES_MAX: usize = 4080;

/// How an epoch joins what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Nothing was before.
    First,
    /// The logical stream goes on.
    Continued,
    /// A new chain begins: another codec, or another setup.
    NewChain,
}

/// Numbers an epoch's frames and splices them on. One for each epoch, at the origin.
#[derive(Debug)]
pub struct Splicer {
    epoch: u64,
    next_seq: u64,
    joint: Option<Joint>,
    codec: Codec,
}

#[derive(Debug)]
enum Codec {
    /// Each frame stands for itself: only the boundary counts.
    Plain {
        joint: Joint,
    },
    Ogg(Box<OggSplice>),
    Webm(Box<WebmSplice>),
}

impl Splicer {
    /// For an epoch that follows what `log` holds.
    #[must_use]
    pub fn new(epoch: u64, content_type: &str, log: &MountLog) -> Self {
        let container = Container::of_mime(content_type);
        let before = log.newest().and_then(|newest| log.epoch_start(newest.epoch));
        let same = before.map(|start| Container::of_mime(&start.content_type) == container);
        let joint = match same {
            None => Joint::First,
            Some(true) => Joint::Continued,
            Some(false) => Joint::NewChain,
        };
        let codec = match container {
            Container::Ogg => Codec::Ogg(Box::new(OggSplice::new(joint, log))),
            Container::WebM => Codec::Webm(Box::new(WebmSplice::new(joint, log))),
            Container::Mp3 | Container::Adts | Container::Bytes => Codec::Plain { joint },
        };
        Self { epoch, next_seq: 0, joint: None, codec }
    }

    /// Goes on under another epoch: the same source, claimed anew, with nobody else between.
    pub fn renew(&mut self, epoch: u64) {
        (self.epoch, self.next_seq) = (epoch, 0);
    }

    /// The frames that a cut becomes: usually one; none for a header that is left out.
    pub fn push(&mut self, cut: Cut) -> Vec<Frame> {
        let (joint, cuts) = match &mut self.codec {
            Codec::Plain { joint } => (Some(*joint), vec![cut]),
            Codec::Ogg(splice) => {
                let cuts = splice.push(cut);
                (splice.joint(), cuts)
            }
            Codec::Webm(splice) => {
                let cuts = splice.push(cut);
                (splice.joint(), cuts)
            }
        };
        self.joint = self.joint.or(joint);
        cuts.into_iter().map(|cut| self.number(cut.kind, cut.duration_us, cut.data)).collect()
    }

    /// A title as the next frame.
    pub fn title(&mut self, title: &str) -> Frame {
        self.number(FrameKind::Title, 0, Bytes::copy_from_slice(start_of(title, TITLE_BYTES_MAX).as_bytes()))
    }

    /// How the epoch joins what was before; `None` until its first frame or header has come.
    #[must_use]
    pub fn joint(&self) -> Option<Joint> {
        self.joint
    }

    fn number(&mut self, kind: FrameKind, duration_us: u32, data: Bytes) -> Frame {
        let position = Position { epoch: self.epoch, seq: self.next_seq };
        self.next_seq += 1;
        Frame { position, kind, duration_us, data }
    }
}
