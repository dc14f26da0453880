//! Three members of a cluster, as processes.

use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use autoradio_proto::etcd::etcdserverpb::RangeRequest;
use autoradio_system::program;

use crate::load::{Client, connect};

/// The first port; each side has a hundred of its own.
const PORT: u16 = 25_000;

/// How long members are given to find each other.
const START: Duration = Duration::from_secs(60);

/// Ticks of `/proc/PID/stat` a second, on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Whose cluster it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// autoradio's.
    Ours,
    /// Real etcd's.
    Etcd,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Etcd => "etcd",
        }
    }

    fn url(self, port: u16) -> String {
        let first = if self == Self::Ours { PORT } else { PORT + 100 };
        format!("http://127.0.0.1:{}", first + port)
    }
}

/// A cluster; its members end when it is dropped.
pub(crate) struct Members {
    pub(crate) side: Side,
    pub(crate) endpoints: Vec<String>,
    children: Vec<Child>,
}

impl Members {
    /// Starts three members with their data below `folder`.
    pub(crate) fn start(side: Side, folder: &Path) -> Self {
        let list: Vec<_> = (1..=3).map(|n| format!("n{n}={}", side.url(10 + n))).collect();
        let start = |n: u16| {
            let name = format!("n{n}");
            let (peer, client) = (side.url(10 + n), side.url(n));
            let data = folder.join(format!("{}-{name}", side.name()));
            let mut command = match side {
                Side::Ours => {
                    let mut command = Command::new(program("autoradio-node"));
                    let front = side.url(20 + n).replace("http://", "");
                    command.args(["run", "--icecast", "off", "--admin-socket", "none", "--public-ip", "127.0.0.1"]);
                    command.args(["--http-listen", &front]);
                    command
                }
                Side::Etcd => Command::new(std::env::var_os("ETCD").unwrap_or_else(|| "etcd".into())),
            };
            let log = std::fs::File::create(data.with_extension("log")).expect("a log file");
            command.args(["--name", &name, "--initial-cluster", &list.join(","), "--data-dir"]).arg(&data);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.stdout(log.try_clone().expect("a second handle")).stderr(log);
            command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", side.name()))
        };
        let endpoints = (1..=3).map(|n| side.url(n)).collect();
        Self { side, endpoints, children: (1..=3).map(start).collect() }
    }

    /// Waits until each member answers a linearizable read.
    pub(crate) async fn wait_ready(&self) {
        for channel in connect(&self.endpoints, 1) {
            let mut client = Client::new(channel);
            let ready = async {
                let request = RangeRequest { key: "ready".into(), ..RangeRequest::default() };
                while client.range(request.clone()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            let late = tokio::time::timeout(START, ready).await;
            late.unwrap_or_else(|_| panic!("{} is not ready in {START:?}", self.side.name()));
        }
    }

    /// What the members' processes have taken of the processors so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks = |child: &Child| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("the member runs");
            // The name, in parentheses, may hold blanks; user and system time are the 12th and 13th after it.
            let rest = stat.rsplit(')').next().expect("there is a name").split_whitespace();
            rest.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>()
        };
        Duration::from_millis(self.children.iter().map(ticks).sum::<u64>() * 1_000 / TICKS_PER_SECOND)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
