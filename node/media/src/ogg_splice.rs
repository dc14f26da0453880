//! Makes an epoch's Ogg pages run on from those of the epoch before.
//!
//! Where each stream's setup is the same, the second headers are left out; serial, page sequence and granule position
//! run on, and decoders notice nothing. A chain that only brings other comments within an epoch is passed on, for it
//! is how players learn of a title. No page ends a stream: a live one has no end, and a BOS page begins a new chain.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    Cut, Frame, FrameKind, MountLog,
    ogg::{Page, Stream, pages, streams},
    splice::Joint,
};

use lane::Lane;

/// Serials that a new chain avoids: those of the chains that a listener's player may still know.
const USED_SERIALS_MAX: usize = 64;

/// Splices one epoch.
#[derive(Debug)]
pub(crate) struct OggSplice {
    before: Joint,
    joint: Option<Joint>,
    /// The streams of the chain in force; empty where none is known.
    lanes: Vec<Lane>,
    used: VecDeque<u32>,
}

impl OggSplice {
    /// For an epoch after what the log holds; `joint` says what is known from the content types.
    pub(crate) fn new(joint: Joint, log: &MountLog) -> Self {
        let mut splice = Self { before: joint, joint: None, lanes: Vec::new(), used: VecDeque::new() };
        let header = log.newest().and_then(|newest| log.header_for(newest));
        let headers = log.frames().filter(|frame| frame.kind == FrameKind::Header);
        for stream in headers.chain(header.iter()).flat_map(|frame| streams(&frame.data)) {
            splice.remember(stream.serial);
        }
        if let Some(header) = header.filter(|_| joint == Joint::Continued) {
            splice.lanes = streams(&header.data).into_iter().map(Lane::in_log).collect();
            let after = |frame: &&Frame| frame.position > header.position;
            let sound = |frame: &&Frame| matches!(frame.kind, FrameKind::Join | FrameKind::Continue);
            for frame in log.frames().filter(after).filter(sound) {
                splice.each_lane(&pages(&frame.data), Lane::observe);
            }
        }
        splice
    }

    fn remember(&mut self, serial: u32) {
        if !self.used.contains(&serial) {
            self.used.push_back(serial);
        }
        if self.used.len() > USED_SERIALS_MAX {
            self.used.pop_front();
        }
    }

    fn each_lane(&mut self, pages: &[Page], take: impl Fn(&mut Lane, &[&Page])) {
        for lane in &mut self.lanes {
            let own: Vec<_> = pages.iter().filter(|page| page.marks.serial == lane.serial_in).collect();
            take(lane, &own);
        }
    }

    /// How the epoch joins what was before; `None` until its first frame or header has come.
    pub(crate) fn joint(&self) -> Option<Joint> {
        self.joint
    }

    /// The frames that a cut becomes: one, or none for headers that are left out.
    pub(crate) fn push(&mut self, cut: Cut) -> Vec<Cut> {
        match cut.kind {
            FrameKind::Header => self.header(cut).into_iter().collect(),
            FrameKind::Join | FrameKind::Continue => {
                let data = self.rewrite(cut.data);
                vec![Cut { data, ..cut }]
            }
            FrameKind::Title => vec![cut],
        }
    }

    fn header(&mut self, cut: Cut) -> Option<Cut> {
        let new = streams(&cut.data);
        // Between epochs another comment is the encoder's business; within one it is a title.
        let first = self.joint.is_none();
        let matched = self.matched(&new, !first);
        self.joint.get_or_insert(match (self.before, &matched) {
            (Joint::First, _) => Joint::First,
            (_, Some(_)) => Joint::Continued,
            (_, None) => Joint::NewChain,
        });
        if let Some(lanes) = matched {
            self.lanes = lanes;
            return None;
        }
        self.lanes.clear();
        for stream in new {
            let serial = self.fresh(stream.serial);
            self.remember(serial);
            self.lanes.push(Lane::begin(stream, serial));
        }
        let data = self.rewrite_header(cut.data);
        Some(Cut { data, ..cut })
    }

    /// The lanes in force, each with the new stream that goes on in it; `None` where the two chains are not alike.
    fn matched(&self, new: &[Stream], with_comments: bool) -> Option<Vec<Lane>> {
        let mut old: Vec<_> = self.lanes.iter().filter(|lane| !lane.is_index()).collect();
        let mut lanes = Vec::new();
        for stream in new.iter().filter(|stream| !Lane::indexes(stream)) {
            let at = old.iter().position(|lane| lane.continues(stream, with_comments))?;
            lanes.push(old.remove(at).go_on(stream));
        }
        let common = Lane::common_end_us(&lanes);
        lanes.iter_mut().for_each(|lane| lane.align(common));
        (old.is_empty() && !lanes.is_empty()).then_some(lanes)
    }

    /// A serial that no chain before had: decoders take equal serials for the same stream.
    fn fresh(&self, serial: u32) -> u32 {
        let taken = |serial: &u32| !self.used.contains(serial);
        // One of as many as are remembered and one more is free.
        (0..=USED_SERIALS_MAX as u32 + 1).map(|step| serial.wrapping_add(step)).find(taken).unwrap_or(serial)
    }

    fn rewrite_header(&self, data: Bytes) -> Bytes {
        let page = |page: Page| match self.lanes.iter().find(|lane| lane.serial_in == page.marks.serial) {
            Some(lane) => lane.header_page(&page),
            None => page.data,
        };
        joined(pages(&data).into_iter().map(page).collect())
    }

    fn rewrite(&mut self, data: Bytes) -> Bytes {
        let pages = pages(&data);
        self.each_lane(&pages, Lane::start);
        // The first stream that is heard of says where the chain's time starts, for all of them.
        if let Some(start) = self.lanes.iter().find_map(Lane::start_us) {
            self.lanes.iter_mut().for_each(|lane| lane.set_origin(start));
        }
        self.lanes.iter_mut().for_each(Lane::settle);
        let page = |page: Page| match self.lanes.iter_mut().find(|lane| lane.serial_in == page.marks.serial) {
            Some(lane) => lane.page(&page),
            None => page.data,
        };
        joined(pages.into_iter().map(page).collect())
    }
}

fn joined(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut data = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| data.extend_from_slice(part));
    data.freeze()
}
