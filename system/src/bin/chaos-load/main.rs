//! Real clients of the etcd API under faults that somebody else makes; what they were told is recorded and checked.
//!
//! `chaos-load SECONDS FAULTS ENDPOINT…`: reads, writes and swaps keys at all endpoints for so long, with a watcher at each;
//! then waits until every watcher has come to the end, and checks linearizability, revisions, watches, and that all members
//! hold the same. Of each line `MILLISECONDS WHAT` in the file FAULTS (time of day) it says how long the longest outage of
//! writes after it was, until a line says that all is well again. Exit code: 0 when all promises held, 1 when one did not.

mod clients;
mod finals;
mod record;
mod watching;

use std::{path::Path, process::ExitCode, time::Duration};

use autoradio_check::{Op, TimeUs, Verdict, equal_finals, linearizable, longest_outage_us, revisions, watches};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use record::Recorder;

/// How the keys begin.
pub(crate) const KEYS: &str = "chaos/";
/// Clients at each endpoint. They find other endpoints when theirs does not answer.
const CLIENTS_EACH: usize = 2;
/// How long a cluster that was healed may take until every watcher has seen everything and all members are equal.
const WHOLE_LIMIT: Duration = Duration::from_secs(60);
/// Placements that the search for an order may make for a key.
const STEPS_MAX: usize = 20_000_000;
/// How long after a fault its outage is looked for, and what a line begins with that ends this.
const OUTAGE_WITHIN_US: TimeUs = 15_000_000;
const WELL: &str = "well: ";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, faults, endpoints @ ..] = arguments.as_slice() else { return usage() };
    let (Ok(seconds), false) = (seconds.parse(), endpoints.is_empty()) else { return usage() };
    match run(Duration::from_secs(seconds), Path::new(faults), endpoints).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("chaos-load SECONDS FAULTS ENDPOINT…");
    ExitCode::from(2)
}

/// A connection that notices when the other side is gone.
fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("endpoints are URLs");
    endpoint
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(1))
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .connect_lazy()
}

async fn run(duration: Duration, faults: &Path, endpoints: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let channels: Vec<_> = endpoints.iter().map(|url| connect(url)).collect();
    let recorder = Recorder::new();
    let first = clients::first_revision(&channels).await?;
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS_EACH * channels.len() {
        tasks.spawn(clients::client(number, channels.clone(), recorder.clone(), duration));
    }
    tasks.spawn(clients::probe(channels.clone(), recorder.clone(), duration));
    let mut watchers = JoinSet::new();
    for (number, channel) in channels.iter().enumerate() {
        let name = format!("at {}", endpoints[number]);
        watchers.spawn(watching::watch_to_the_end(name, channel.clone(), first));
    }
    tasks.join_all().await;
    let whole = async {
        let last = clients::put_the_last(&channels, &recorder).await;
        let mut watched = watchers.join_all().await;
        watched.push(watching::watch_to_the_end("replay".into(), channels[0].clone(), first).await);
        (finals::of_all(endpoints, &channels, last).await, watched)
    };
    let whole = tokio::time::timeout(WHOLE_LIMIT, whole).await;
    let (finals, watched) = whole.map_err(|_| format!("not whole {WHOLE_LIMIT:?} after the last fault"))?;
    let history = recorder.history();
    report(&history, &recorder, faults);
    check(&history).map_err(|violation| violation.to_string())?;
    watches(&watched, &history)?;
    equal_finals(&finals, watched.last().map(|replay| replay.changes.as_slice()))?;
    let events = watched.first().map_or(0, |watched| watched.changes.len());
    println!("{} watchers saw the same {events} events; {} members are equal", watched.len(), finals.len());
    Ok(())
}

fn check(history: &[Op]) -> Result<(), Box<dyn std::error::Error>> {
    revisions(history)?;
    match linearizable(history, STEPS_MAX) {
        Verdict::Holds { operations } => println!("linearizable: an order was found for {operations} operations"),
        Verdict::Violated(violation) => return Err(violation),
        Verdict::Undecided(keys) => return Err(format!("undecided within {STEPS_MAX} steps: {keys:?}").into()),
    }
    Ok(())
}

/// What clients lived through.
fn report(history: &[Op], recorder: &Recorder, faults: &Path) {
    let answered = history.iter().filter(|op| op.answered()).count();
    println!("{} operations, {answered} answered", history.len());
    let text = std::fs::read_to_string(faults).unwrap_or_default();
    let read = |line: &'_ str| {
        let (at, what) = line.split_once(' ')?;
        Some((recorder.since_start_us(at.parse().ok()?)?, what.to_owned()))
    };
    let lines: Vec<_> = text.lines().filter_map(read).collect();
    for (n, (at, what)) in lines.iter().enumerate().filter(|(_, (_, what))| !what.starts_with(WELL)) {
        let well = lines[n..].iter().find(|(_, what)| what.starts_with(WELL)).map(|(at, _)| *at);
        let until = well.unwrap_or(TimeUs::MAX).min(at + OUTAGE_WITHIN_US);
        println!("outage {} ms after: {what}", longest_outage_us(history, *at, until) / 1_000);
    }
}
