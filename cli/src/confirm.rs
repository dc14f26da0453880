//! The question before what cannot be undone.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{clean, error::CliError};

/// How long the question stands.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks on a terminal whether to delete `name`; elsewhere there is nobody to ask.
pub(crate) fn delete(name: &str, yes: bool) -> Result<(), CliError> {
    if yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let shown = clean::line(name);
    let mut stderr = io::stderr();
    let asked = write!(stderr, "Delete {shown}, its password and its settings, and cut its source off? [y/N] ");
    asked.and_then(|()| stderr.flush()).map_err(CliError::Output)?;
    let (tell, told) = mpsc::channel();
    // A terminal cannot be read with a time limit; the thread ends with the process.
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        // Nobody listens any more once the time is over.
        let _ = tell.send(read.is_ok() && is_yes(&line));
    });
    if told.recv_timeout(PATIENCE).unwrap_or(false) { Ok(()) } else { Err(CliError::NotConfirmed(shown)) }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes("Yes\n"));
        assert!(!is_yes("\n") && !is_yes("n\n") && !is_yes("yikes\n"));
    }
}
