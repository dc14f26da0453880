//! The medians of all rounds, side by side.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use crate::{MEASURES, Side, load::Sample};

/// What is told of a measure: its name, how it is shown, and whether more is better.
const FIGURES: [(&str, usize, bool); 4] =
    [("a second", 0, true), ("p50, ms", 2, false), ("p99, ms", 2, false), ("servers' processor, us", 0, false)];

/// Figures of all rounds, by measure and side.
#[derive(Default)]
pub(crate) struct Report {
    rounds: BTreeMap<(&'static str, Side), Vec<[f64; 4]>>,
}

impl Report {
    pub(crate) fn add(&mut self, measure: &'static str, side: Side, sample: Sample, taken: Duration) {
        let (p50, p99) = (sample.percentile_ms(50), sample.percentile_ms(99));
        let figures = [sample.per_second(), p50, p99, sample.processor_us(taken)];
        self.rounds.entry((measure, side)).or_default().push(figures);
    }

    fn median(&self, measure: &'static str, side: Side, figure: usize) -> Option<f64> {
        let mut all: Vec<f64> = self.rounds.get(&(measure, side))?.iter().map(|round| round[figure]).collect();
        all.sort_by(f64::total_cmp);
        Some(all[all.len() / 2])
    }

    /// As in docs/benchmarks.md. The last column is how many times better ours is.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| measure | figure | autoradio | etcd | better by |\n|---|---|---|---|---|\n");
        for measure in MEASURES {
            for (figure, (name, digits, more_is_better)) in FIGURES.into_iter().enumerate() {
                let of = |side| self.median(measure, side, figure);
                let (Some(ours), Some(etcd)) = (of(Side::Ours), of(Side::Etcd)) else { continue };
                let better = if more_is_better { ours / etcd } else { etcd / ours };
                writeln!(table, "| {measure} | {name} | {ours:.digits$} | {etcd:.digits$} | {better:.2} |")
                    .expect("text can be added to a text");
            }
        }
        table
    }
}
