//! `faulty-disk FOLDER [--capacity-mib N] [--limit-s N]`: mounts a faulty disk on a folder and does what standard input
//! says, a command a line, each answered by `ok …` or `error …`. Ends with standard input, and at its time limit.

use std::{
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use faulty_disk::{Disk, Faults, Loss, Mounted};

const CAPACITY_MIB: u64 = 256;
const LIMIT_S: u64 = 600;

const COMMANDS: &str = "cut all|ordered|torn|reordered [SEED], on, delay MS, fail sync|write|read, well, \
                        capacity BYTES, used, rot PATH OFFSET";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("faulty-disk: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: Vec<String>) -> Result<(), String> {
    let (mut folder, mut capacity_mib, mut limit_s) = (None, CAPACITY_MIB, LIMIT_S);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--capacity-mib" => capacity_mib = number(words.next().as_deref())?,
            "--limit-s" => limit_s = number(words.next().as_deref())?,
            _ => folder = Some(PathBuf::from(word)),
        }
    }
    let folder = folder.ok_or("usage: faulty-disk FOLDER [--capacity-mib N] [--limit-s N]")?;
    let disk = Disk::new(capacity_mib << 20);
    let limit = Duration::from_secs(limit_s);
    let mounted = Mounted::at(&folder, disk.clone(), limit).map_err(|e| format!("{}: {e}", folder.display()))?;
    // Whatever becomes of the reader of commands, nothing is left mounted for longer.
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        std::process::exit(1);
    });
    say("ok mounted")?;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        match obey(&disk, &line) {
            Ok(answer) => say(&format!("ok {answer}"))?,
            Err(reason) => say(&format!("error {reason}"))?,
        }
    }
    drop(mounted);
    Ok(())
}

fn say(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", line.trim_end()).and_then(|()| out.flush()).map_err(|e| e.to_string())
}

fn number(word: Option<&str>) -> Result<u64, String> {
    let word = word.ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("{word:?} is not a number"))
}

fn obey(disk: &Disk, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["cut", kind, ref seed @ ..] => {
            let loss = match kind {
                "all" => Loss::All,
                "ordered" => Loss::Ordered,
                "torn" => Loss::Torn,
                "reordered" => Loss::Reordered,
                _ => return Err(format!("{kind:?} is no kind of loss")),
            };
            disk.cut(loss, seed.first().map_or(Ok(0), |seed| number(Some(seed)))?);
        }
        ["on"] => disk.on(),
        ["well"] => disk.set_faults(Faults::default()),
        ["delay", ms] => {
            disk.set_faults(Faults { sync_delay: Duration::from_millis(number(Some(ms))?), ..Faults::default() });
        }
        ["fail", "sync"] => disk.set_faults(Faults { sync_fails: true, ..Faults::default() }),
        ["fail", "write"] => disk.set_faults(Faults { write_fails: true, ..Faults::default() }),
        ["fail", "read"] => disk.set_faults(Faults { read_fails: true, ..Faults::default() }),
        ["capacity", bytes] => disk.set_capacity(number(Some(bytes))?),
        ["used"] => return Ok(disk.used_bytes().to_string()),
        ["rot", path, offset] => {
            disk.rot(Path::new(path), number(Some(offset))?).map_err(|e| format!("{path}: {e}"))?;
        }
        _ => return Err(format!("{line:?} is not understood; commands: {COMMANDS}")),
    }
    Ok(String::new())
}
