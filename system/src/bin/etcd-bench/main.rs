//! The etcd face beside real etcd: three members of each on one disk, the same load on both by turns, in one run.
//!
//! `etcd-bench [--seconds N] [--rounds N] [--only MEASURE] [--side ours|etcd]`; `scripts/bench-etcd` builds and starts it.
//! Prints the medians of all rounds as the table of docs/benchmarks.md. Both sides have the same clients, our own
//! generated ones, which share the processors with the servers: what the servers alone took is told beside the rates.

mod load;
mod members;
mod options;
mod report;
mod watching;

use std::{process::ExitCode, time::Duration};

use autoradio_proto::etcd::etcdserverpb::{PutRequest, RangeRequest};
use bytes::Bytes;

use load::{Sample, connect, fill, hammer, key};
use members::{Members, Side};
use options::{Asked, Options, USAGE};
use report::Report;

/// Clients that ask at the same time, each again as soon as it was answered.
const CLIENTS: usize = 256;

/// Connections that clients share, to each member.
const CONNECTIONS: usize = 11;

/// The exit code for a command line that is wrong, as shells have it.
const WRONG_USE: u8 = 2;

/// What is measured, in order.
const MEASURES: [&str; 5] = ["sequential put", "put", "linearizable get", "serializable get", "watch"];

fn main() -> ExitCode {
    let options = match Asked::parse(std::env::args().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("etcd-bench: {reason}\n\n{USAGE}");
            return ExitCode::from(WRONG_USE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&options));
    ExitCode::SUCCESS
}

async fn run(options: &Options) {
    // Below the project's target folder: on a disk, as data folders are, and not in memory, as /tmp may be.
    let folder = tempfile::tempdir_in("target").expect("a folder below target/");
    let mut clusters = Vec::new();
    for side in &options.sides {
        let members = Members::start(*side, folder.path());
        members.wait_ready().await;
        fill(&connect(&members.endpoints, CONNECTIONS)).await;
        clusters.push(members);
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{} rounds of {} s, {CLIENTS} clients, {cpus} processors\n", options.rounds, options.seconds);
    let mut report = Report::default();
    for round in 1..=options.rounds {
        for measure in MEASURES.into_iter().filter(|measure| measure.contains(&options.only)) {
            for members in &clusters {
                let before = members.processor_time();
                let sample = measured(measure, members, Duration::from_secs(options.seconds)).await;
                let taken = members.processor_time() - before;
                eprintln!("{round} {:>5} {measure}: {}", members.side.name(), sample.line(taken));
                report.add(measure, members.side, sample, taken);
            }
        }
    }
    print!("{}", report.table());
}

async fn measured(measure: &str, members: &Members, duration: Duration) -> Sample {
    let channels = connect(&members.endpoints, CONNECTIONS);
    match measure {
        "sequential put" => hammer(&connect(&members.endpoints, 1), 1, duration, put).await,
        "put" => hammer(&channels, CLIENTS, duration, put).await,
        "linearizable get" => hammer(&channels, CLIENTS, duration, |client, n| get(client, n, false)).await,
        "serializable get" => hammer(&channels, CLIENTS, duration, |client, n| get(client, n, true)).await,
        _ => watching::fan_out(&channels, duration).await,
    }
}

async fn put(mut client: load::Client, n: u64) -> Result<(), tonic::Status> {
    let request = PutRequest { key: key(n), value: Bytes::from_static(&load::VALUE), ..PutRequest::default() };
    client.put(request).await.map(drop)
}

async fn get(mut client: load::Client, n: u64, serializable: bool) -> Result<(), tonic::Status> {
    let request = RangeRequest { key: key(n), serializable, ..RangeRequest::default() };
    let found = client.range(request).await?.into_inner();
    assert_eq!(found.count, 1, "every key was filled in");
    Ok(())
}
