//! Writes that never end: how long the cluster took none, and what it said it has.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    testbed::{Host, Job, Testbed, program},
    wait::wait_until,
};

/// A put so often.
const EVERY_MS: &str = "20";
/// What is not acknowledged by then is given up; it may be written or not.
const LIMIT_MS: &str = "250";
const LOG: &str = "steady-writer.log";

/// `steady-writer` on the client host.
#[derive(Debug)]
pub struct Writer {
    job: Job,
    log: PathBuf,
}

impl Writer {
    /// Starts it at these hosts' client ports, and waits until the first write is acknowledged.
    #[must_use]
    pub fn start(testbed: &Testbed, hosts: &[Host]) -> Self {
        let binary = program("steady-writer").display().to_string();
        let endpoints: Vec<_> = hosts.iter().map(|host| format!("http://{}:2379", host.ip())).collect();
        let mut line = vec![binary.as_str(), EVERY_MS, LIMIT_MS];
        line.extend(endpoints.iter().map(String::as_str));
        let log = testbed.folder("logs").join(LOG);
        let writer = Self { job: testbed.spawn(Host::Client, LOG, &line), log };
        wait_until("a first write", Duration::from_secs(10), || writer.acknowledged().pop_first());
        writer
    }

    /// When each write was acknowledged, since 1970, and its key.
    fn answers(&self) -> Vec<(Duration, String)> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let answer = |line: &str| {
            let mut words = line.strip_prefix("ok ")?.split(' ');
            Some((Duration::from_micros(words.next()?.parse().ok()?), words.next()?.to_owned()))
        };
        whole.lines().filter_map(answer).collect()
    }

    /// The keys of all writes that were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> BTreeSet<String> {
        self.answers().into_iter().map(|(_, key)| key).collect()
    }

    /// The longest time without an acknowledged write since `since`, until now.
    #[must_use]
    pub fn longest_gap(&self, since: SystemTime) -> Duration {
        let since_1970 = |at: SystemTime| at.duration_since(UNIX_EPOCH).expect("after 1970");
        let (from, now) = (since_1970(since), since_1970(SystemTime::now()));
        let answered = self.answers().into_iter().map(|(at, _)| at);
        // What was acknowledged last before `since` begins the first gap.
        let (before, after): (Vec<_>, Vec<_>) = answered.partition(|at| *at < from);
        let mut marks = vec![before.into_iter().max().unwrap_or(from)];
        marks.extend(after);
        marks.push(now);
        marks.sort_unstable();
        marks.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Waits until so many more writes are acknowledged.
    pub fn wait_more(&self, more: usize) {
        let want = self.acknowledged().len() + more;
        wait_until(&format!("{more} more writes"), Duration::from_secs(20), || {
            (self.acknowledged().len() >= want).then_some(())
        });
    }

    /// Ends it; the keys of all writes that were acknowledged.
    #[must_use]
    pub fn finish(mut self) -> BTreeSet<String> {
        self.job.kill();
        self.acknowledged()
    }
}
