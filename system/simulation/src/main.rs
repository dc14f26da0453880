//! `simulate [SEEDS] [FROM]`: runs so many seeds, and says which failed and how to run it alone.

use std::process::ExitCode;

use autoradio_simulation::{Scenario, simulate};

const USAGE: &str = "simulate [SEEDS (default 1000)] [FROM (default 1)]; simulate --print SEED…";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|text| text.parse().ok()).collect();
    match (arguments.first().map(String::as_str), numbers.as_slice()) {
        (Some("--print"), [_, ..]) if numbers.len() + 1 == arguments.len() => {
            let mut code = ExitCode::SUCCESS;
            for seed in numbers {
                let report = simulate(&Scenario { print: true, ..Scenario::of_seed(seed) });
                println!("{report:#?}");
                if !report.findings.is_empty() {
                    code = ExitCode::FAILURE;
                }
            }
            code
        }
        (first, _) if numbers.len() == arguments.len() && first != Some("--print") && numbers.len() <= 2 => {
            let (seeds, from) = (numbers.first().copied().unwrap_or(1_000), numbers.get(1).copied().unwrap_or(1));
            run(from..from.saturating_add(seeds))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(seeds: std::ops::Range<u64>) -> ExitCode {
    let (mut failed, mut answered, mut faults) = (Vec::new(), 0, 0);
    for seed in seeds.clone() {
        let report = simulate(&Scenario::of_seed(seed));
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
    println!("{} seeds, {answered} operations answered, {faults} faults, failed: {failed:?}", seeds.count());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
