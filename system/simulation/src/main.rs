//! `simulate [SEEDS] [FROM]`: runs so many seeds, and says which failed and how to run it alone.

use std::process::ExitCode;

use autoradio_simulation::{Events, Report, Scenario, simulate};

const USAGE: &str =
    "simulate [SEEDS (default 1000)] [FROM (default 1)]; simulate --twice SEEDS [FROM]; simulate --print SEED…";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = arguments.first().filter(|first| first.starts_with("--")).cloned();
    if option.is_some() {
        arguments.remove(0);
    }
    let Ok(numbers) = arguments.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>() else {
        return usage();
    };
    match (option.as_deref(), numbers.as_slice()) {
        (Some("--print"), [_, ..]) => print(&numbers),
        (Some("--twice"), [seeds]) => run(*seeds, 1, twice),
        (Some("--twice"), [seeds, from]) => run(*seeds, *from, twice),
        (None, []) => run(1_000, 1, once),
        (None, [seeds]) => run(*seeds, 1, once),
        (None, [seeds, from]) => run(*seeds, *from, once),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Runs seeds with all that happens in them.
fn print(seeds: &[u64]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for seed in seeds {
        let report = simulate(&Scenario { events: Events::Printed, ..Scenario::of_seed(*seed) });
        println!("{report:#?}");
        if !report.findings.is_empty() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn once(seed: u64) -> Report {
    simulate(&Scenario::of_seed(seed))
}

/// Runs a seed two times; that the runs are not equal is a finding.
fn twice(seed: u64) -> Report {
    let [mut one, other] = [(); 2].map(|()| simulate(&Scenario { events: Events::Kept, ..Scenario::of_seed(seed) }));
    if one != other {
        let same = one.lines.iter().zip(&other.lines).take_while(|(one, other)| one == other).count();
        let line = |report: &Report| report.lines.get(same).map_or("the end", String::as_str).to_owned();
        one.findings.push(format!(
            "two runs part after {same} events (of {} and {}):\n  {}\n  {}",
            one.events,
            other.events,
            line(&one),
            line(&other)
        ));
    }
    one
}

fn run(seeds: u64, from: u64, report_of: fn(u64) -> Report) -> ExitCode {
    let (mut failed, mut answered, mut faults) = (Vec::new(), 0, 0);
    for seed in from..from.saturating_add(seeds) {
        let report = report_of(seed);
        answered += report.answered;
        faults += report.faults;
        if !report.findings.is_empty() {
            println!("seed {seed} fails; alone, with all that happens: scripts/simulate --print {seed}");
            report.findings.iter().for_each(|finding| println!("  {finding}"));
            failed.push(seed);
        }
        if seed % 100 == 0 {
            println!("seed {seed}: {answered} operations answered under {faults} faults so far");
        }
    }
    println!("{seeds} seeds, {answered} operations answered, {faults} faults, failed: {failed:?}");
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
