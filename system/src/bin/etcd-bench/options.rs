//! What the command line asks for.

use crate::{MEASURES, Side};

/// How it is used.
pub(crate) const USAGE: &str = "\
Usage: etcd-bench [OPTIONS]

Measures autoradio's etcd face beside real etcd, three members of each, in one run.
Beside this program stands autoradio-node; etcd is found by PATH, or as ETCD says. Data lie below ./target.

Options:
  --seconds N       how long each measure takes (default 6)
  --rounds N        how often each is measured; medians are told (default 3)
  --only MEASURE    only measures whose name contains this:
                    sequential put, put, linearizable get, serializable get, watch
  --side ours|etcd  one of both alone
  -h, --help        this text";

/// What is to be measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long each measure takes.
    pub(crate) seconds: u64,
    /// How often each is measured.
    pub(crate) rounds: usize,
    /// What a measure's name has to contain.
    pub(crate) only: String,
    /// Whose clusters.
    pub(crate) sides: Vec<Side>,
}

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Measure.
    Run(Options),
    /// Tell how it is used.
    Help,
}

impl Asked {
    /// Reads the words after the program's name, or says what is wrong with them.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Options { seconds: 6, rounds: 3, only: String::new(), sides: vec![Side::Ours, Side::Etcd] };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if matches!(word.as_str(), "-h" | "--help") {
                return Ok(Self::Help);
            }
            if !matches!(word.as_str(), "--seconds" | "--rounds" | "--only" | "--side") {
                return Err(format!("{word} is not known"));
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            options.set(&word, value)?;
        }
        Ok(Self::Run(options))
    }
}

impl Options {
    fn set(&mut self, word: &str, value: String) -> Result<(), String> {
        let count = || match value.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(format!("{word} {value}: a number from 1 on is needed")),
        };
        match word {
            "--seconds" => self.seconds = count()?,
            "--rounds" => self.rounds = usize::try_from(count()?).map_err(|error| format!("{word}: {error}"))?,
            "--side" => {
                let side = [Side::Ours, Side::Etcd].into_iter().find(|side| side.name() == value);
                self.sides = vec![side.ok_or_else(|| format!("--side {value}: ours and etcd there are"))?];
            }
            _ if MEASURES.iter().any(|measure| measure.contains(&value)) => self.only = value,
            _ => return Err(format!("--only {value}: no measure has that name; there are {}", MEASURES.join(", "))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked, String> {
        Asked::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_taken_and_help_is_told() {
        let (only, sides) = ("watch".to_owned(), vec![Side::Etcd]);
        let wanted = Options { seconds: 2, rounds: 1, only, sides };
        assert_eq!(parse("--seconds 2 --rounds 1 --only watch --side etcd"), Ok(Asked::Run(wanted)));
        assert_eq!(parse("--seconds 2 --help"), Ok(Asked::Help));
        for measure in MEASURES {
            assert!(USAGE.contains(measure), "{measure} is not told of");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, reason) in [
            ("--fast", "--fast is not known"),
            ("--rounds", "--rounds needs a value"),
            ("--rounds none", "--rounds none: a number"),
            ("--seconds 0", "--seconds 0: a number from 1"),
            ("--side theirs", "--side theirs: ours and etcd"),
            ("--only lunch", "no measure has that name; there are sequential put"),
        ] {
            let told = parse(line).expect_err(line);
            assert!(told.contains(reason), "{line}: {told}");
        }
    }
}
