//! Writes all the time: `steady-writer EVERY_MS LIMIT_MS ENDPOINT…` puts a key of its own every EVERY_MS, at one endpoint
//! after the other, and waits for no answer before the next: so the time between two acknowledgements is the cluster's, and
//! not that of a client that waits for a dead node. Prints `ok TIME KEY` when one is acknowledged within LIMIT_MS, and
//! `no TIME KEY WHY` when not; TIME is that of day in microseconds. Runs until it is killed.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use autoradio_proto::etcd::etcdserverpb::{PutRequest, kv_client::KvClient};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::transport::{Channel, Endpoint};

/// How the keys begin.
const KEYS: &str = "steady/";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [every_ms, limit_ms, endpoints @ ..] = arguments.as_slice() else { return usage() };
    let (Ok(every_ms), Ok(limit_ms), false) = (every_ms.parse(), limit_ms.parse(), endpoints.is_empty()) else {
        return usage();
    };
    match write_on(Duration::from_millis(every_ms), Duration::from_millis(limit_ms), endpoints).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steady-writer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("steady-writer EVERY_MS LIMIT_MS ENDPOINT…");
    ExitCode::from(2)
}

/// Until nobody reads what it prints.
async fn write_on(every: Duration, limit: Duration, endpoints: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let channels = endpoints.iter().map(|url| connect(url, limit)).collect::<Result<Vec<_>, _>>()?;
    // The time of day is read once: it may be set meanwhile.
    let (begun, begun_at) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut asking, mut turn) = (JoinSet::new(), 0usize);
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let (channel, key) = (channels[turn % channels.len()].clone(), format!("{KEYS}{turn:07}"));
                asking.spawn(async move { (put(channel, key.clone(), limit).await, key) });
                turn += 1;
            }
            Some(answer) = asking.join_next() => {
                let (answer, key) = answer?;
                let at_us = (begun_at + begun.elapsed()).as_micros();
                let mut out = io::stdout().lock();
                match answer {
                    Ok(()) => writeln!(out, "ok {at_us} {key}")?,
                    Err(why) => writeln!(out, "no {at_us} {key} {}", why.replace('\n', " "))?,
                }
                out.flush()?;
            }
        }
    }
}

fn connect(url: &str, limit: Duration) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect_timeout(limit).connect_lazy())
}

async fn put(channel: Channel, key: String, limit: Duration) -> Result<(), String> {
    let request = PutRequest { key: key.into(), value: "written".into(), ..PutRequest::default() };
    match timeout(limit, KvClient::new(channel).put(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(format!("{}: {}", status.code(), status.message())),
        Err(_) => Err(format!("no answer in {limit:?}")),
    }
}
