//! Fan-out beside Icecast: the same mount, the same listeners, in one run.
//!
//! `fanout-bench [LISTENERS] [SECONDS]` starts a released node with its Icecast on loopback, sends it 128 kbit/s, and
//! lets LISTENERS listen first to one, then to the other, twice. Prints processor seconds per 1,000 listener-minutes
//! and memory per listener. The sender pays for loopback's receive path too, for both alike.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use autoradio_system::{Encoding, program, wait_until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const FRONT: &str = "127.0.0.1:18080";
const ICECAST_PORT: &str = "18000";
const MOUNT: &str = "/bench.mp3";

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let listeners = arguments.next().unwrap_or(1_500);
    let seconds = arguments.next().unwrap_or(60) as u64;
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Icecast runs as a user of its own and must get at its files.
    std::os::unix::fs::chown(folder.path(), None, None).expect("our own folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our own folder");
    let mut node = Ended(start_node(folder.path()));
    let _source = Ended(start_source(folder.path(), u32::try_from(seconds * 5 + 120).expect("minutes, not years")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let icecast = wait_until("icecast runs", Duration::from_secs(20), || child_of(node.0.id())).0;
    wait_until("both serve the mount", Duration::from_secs(30), || {
        (runtime.block_on(answers(FRONT)) && runtime.block_on(answers(&icecast_address()))).then_some(())
    });
    println!("{listeners} listeners, {seconds} s a phase, 128 kbit/s, loopback, {} processors", cpus());
    println!(
        "{:<10} {:>12} {:>10} {:>14} {:>12} {:>8}",
        "server", "CPU s/klm", "kbit/s", "KiB/listener", "stalls > 2 s", "dropped"
    );
    let mut ratios = Vec::new();
    for _ in 0..2 {
        let ours = phase(&runtime, "autoradio", FRONT, node.0.id(), listeners, seconds);
        let theirs = phase(&runtime, "icecast", &icecast_address(), icecast, listeners, seconds);
        ratios.push(ours / theirs);
    }
    println!("autoradio / icecast: {ratios:.3?}");
    let _ = node.0.kill();
}

struct Ended(Child);
impl Drop for Ended {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn icecast_address() -> String {
    format!("127.0.0.1:{ICECAST_PORT}")
}

fn start_node(folder: &Path) -> Child {
    let socket = folder.join("admin.sock");
    let log = std::fs::File::create(folder.join("node.log")).expect("a log file");
    let child = Command::new(program("autoradio-node"))
        .args(["init", "--name", "bench", "--peer-ip", "127.0.0.1", "--public-ip", "127.0.0.1"])
        .args(["--listen-peer-urls", "http://127.0.0.1:12380", "--listen-client-urls", "http://127.0.0.1:12379"])
        .args(["--initial-advertise-peer-urls", "https://127.0.0.1:12380", "--http-listen", FRONT])
        .args(["--icecast", "auto", "--icecast-port", ICECAST_PORT, "--max-clients", "20000", "--bwlimit", "100000"])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--admin-socket")
        .arg(&socket)
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the node starts");
    wait_until("the node answers", Duration::from_secs(20), || {
        let made = Command::new(program("radioctl"))
            .args(["--socket", socket.to_str().expect("a plain path"), "-o", "json", "create-mount", MOUNT])
            .stderr(Stdio::null())
            .output()
            .expect("radioctl runs");
        let reply: serde_json::Value = serde_json::from_slice(&made.stdout).ok()?;
        std::fs::write(folder.join("password"), reply["password"].as_str()?).expect("written");
        std::fs::write(folder.join("username"), reply.pointer("/mount/username")?.as_str()?).expect("written");
        Some(())
    });
    child
}

fn start_source(folder: &Path, seconds: u32) -> Child {
    let file = Encoding::Mp3.make_file(folder, seconds);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("written before");
    Command::new(program("raw-source"))
        .args(["audio/mpeg", file.to_str().expect("a plain path"), MOUNT, &read("username"), &read("password"), FRONT])
        .stdout(Stdio::null())
        .spawn()
        .expect("the source starts")
}

fn child_of(pid: u32) -> Option<u32> {
    let found = Command::new("pgrep").args(["-P", &pid.to_string(), "icecast2"]).output().expect("pgrep runs");
    String::from_utf8_lossy(&found.stdout).lines().next()?.parse().ok()
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn answers(address: &str) -> bool {
    matches!(listen(address).await, Ok(_stream))
}

async fn listen(address: &str) -> std::io::Result<TcpStream> {
    let mut stream = tokio::time::timeout(Duration::from_secs(30), TcpStream::connect(address)).await??;
    stream.write_all(format!("GET {MOUNT} HTTP/1.0\r\nHost: bench\r\n\r\n").as_bytes()).await?;
    let mut head = [0u8; 16];
    tokio::time::timeout(Duration::from_secs(30), stream.read_exact(&mut head)).await??;
    if head.windows(4).any(|w| w == b" 200") { Ok(stream) } else { Err(std::io::Error::other("not 200")) }
}

/// What one listener saw in the measured time.
#[derive(Default)]
struct Heard {
    bytes: u64,
    stalls: u32,
    dropped: bool,
}

async fn hear(address: String, from: Instant, until: Instant) -> Heard {
    let mut heard = Heard::default();
    let Ok(mut stream) = listen(&address).await else {
        return Heard { dropped: true, ..heard };
    };
    // Small enough that 20,000 of them are no matter, large enough for one read a second.
    let mut buffer = vec![0u8; 32 * 1024];
    loop {
        let now = Instant::now();
        if now >= until {
            return heard;
        }
        let read = tokio::time::timeout((until - now).min(Duration::from_secs(2)), stream.read(&mut buffer)).await;
        match read {
            Ok(Ok(n)) if n > 0 => heard.bytes += if Instant::now() >= from { n as u64 } else { 0 },
            Ok(_) => return Heard { dropped: true, ..heard },
            Err(_) => {
                heard.stalls += u32::from(Instant::now() < until && Instant::now() > from + Duration::from_secs(2))
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn phase(
    runtime: &tokio::runtime::Runtime,
    name: &str,
    address: &str,
    pid: u32,
    listeners: usize,
    seconds: u64,
) -> f64 {
    let memory_before = rss_kib(pid);
    let ramp = Duration::from_millis(listeners as u64 * 10);
    let from = Instant::now() + ramp + Duration::from_secs(8);
    let until = from + Duration::from_secs(seconds);
    let (heard, cpu, memory) = runtime.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..listeners {
            all.spawn(hear(address.to_owned(), from, until));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep_until(from.into()).await;
        let before = cpu_s(pid);
        tokio::time::sleep_until((until - Duration::from_millis(200)).into()).await;
        let (cpu, memory) = (cpu_s(pid) - before, rss_kib(pid));
        (all.join_all().await, cpu, memory)
    });
    let minutes = listeners as f64 * (seconds as f64 - 0.2) / 60_000.0;
    let rate = heard.iter().map(|h| h.bytes).sum::<u64>() as f64 * 8.0 / 1000.0 / listeners as f64 / seconds as f64;
    println!(
        "{name:<10} {:>12.2} {rate:>10.0} {:>14.1} {:>12} {:>8}",
        cpu / minutes,
        (memory - memory_before) / listeners as f64,
        heard.iter().map(|h| h.stalls).sum::<u32>(),
        heard.iter().filter(|h| h.dropped).count(),
    );
    cpu / minutes
}

/// User and system time of a process, in seconds.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn cpu_s(pid: u32) -> f64 {
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let after_name = stat.rsplit(')').next().expect("proc(5)");
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_S
}

fn rss_kib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("proc(5)");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("proc(5)")
}
