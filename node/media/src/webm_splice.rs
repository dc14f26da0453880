//! Makes a WebM stream go on in another's place: by the time codes of its clusters.
//!
//! They run on behind a new header too. A segment may start at any time (a listener that joins late gets nothing
//! else), and players that pass the second header over, as ffmpeg and mpv do, would see time go back.

use crate::{
    Cut, FrameKind, MountLog,
    splice::Joint,
    webm::{cluster, setup::Setup},
};

#[cfg(test)]
mod tests;

/// Leaves a header out whose tracks are those in force; lets the time codes run on from the last cluster.
#[derive(Debug)]
pub(crate) struct WebmSplice {
    /// Nothing was before.
    first: bool,
    joint: Option<Joint>,
    /// What the header in force says.
    chain: Option<Setup>,
    /// Where the last cluster ends, in units of the time codes.
    end: Option<i64>,
    /// Added to each time code.
    offset: i64,
    /// A stream has begun of which no cluster has come.
    begins: bool,
}

impl WebmSplice {
    pub(crate) fn new(joint: Joint, log: &MountLog) -> Self {
        let newest = log.newest().filter(|_| joint == Joint::Continued);
        let chain = newest.and_then(|newest| log.header_for(newest)).and_then(|header| Setup::of_header(&header.data));
        let end = chain.as_ref().and_then(|chain| end_of_log(log, chain));
        Self { first: joint == Joint::First, joint: None, chain, end, offset: 0, begins: false }
    }

    pub(crate) fn push(&mut self, cut: Cut) -> Vec<Cut> {
        match cut.kind {
            FrameKind::Header => self.header(cut),
            _ => vec![self.cluster(cut)],
        }
    }

    pub(crate) fn joint(&self) -> Option<Joint> {
        self.joint
    }

    fn header(&mut self, cut: Cut) -> Vec<Cut> {
        let setup = Setup::of_header(&cut.data);
        self.begins = true;
        if setup.is_some() && setup == self.chain {
            self.joint.get_or_insert(Joint::Continued);
            return Vec::new();
        }
        self.joint.get_or_insert(if self.first { Joint::First } else { Joint::NewChain });
        let end = self.end.zip(self.chain.as_ref());
        self.end = end.zip(setup.as_ref()).map(|((end, from), to)| to.ticks_of(end, from));
        self.chain = setup;
        vec![cut]
    }

    fn cluster(&mut self, cut: Cut) -> Cut {
        let Some(time) = cluster::time(&cut.data) else { return cut };
        if std::mem::take(&mut self.begins) {
            let earliest = time.saturating_add(cluster::reach(&cut.data).0);
            self.offset = self.end.map_or(0, |end| end.saturating_sub(earliest));
        }
        let time = time.saturating_add(self.offset).max(0);
        if let Some(setup) = &self.chain {
            let end = end(time, &cut.data, cut.duration_us, setup);
            // Of clusters that overlap (video before audio) the later end counts.
            self.end = Some(self.end.map_or(end, |before| before.max(end)));
        }
        if self.offset == 0 {
            return cut;
        }
        Cut { data: cluster::with_time(&cut.data, time), ..cut }
    }
}

/// Where the last cluster of a log ends, in the units of the chain in force. It may be one of the chain before, where
/// of the newest one only the header has come.
fn end_of_log(log: &MountLog, chain: &Setup) -> Option<i64> {
    let mut audio = log.frames().rev().filter(|frame| matches!(frame.kind, FrameKind::Join | FrameKind::Continue));
    let last = audio.next()?;
    let time = cluster::time(&last.data)?;
    let setup = log.header_for(last.position).and_then(|header| Setup::of_header(&header.data))?;
    Some(chain.ticks_of(end(time, &last.data, last.duration_us, &setup), &setup))
}

/// Where a cluster ends: after what it plays, and after its latest block at any rate.
fn end(time: i64, data: &[u8], duration_us: u32, setup: &Setup) -> i64 {
    let ticks = setup.ticks(duration_us.into()).max(cluster::reach(data).1 + 1);
    time.saturating_add(ticks)
}
