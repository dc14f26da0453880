//! The question before what cannot be undone.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{clean, error::CliError, keep::NodeCommand};

/// How long the question stands.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks on a terminal whether to delete `name`; elsewhere there is nobody to ask.
pub(crate) fn delete(name: &str, yes: bool) -> Result<(), CliError> {
    let shown = clean::line(name);
    let question = format!("Delete {shown}, its password and its settings, and cut its source off?");
    if yes || agreed(&question)? { Ok(()) } else { Err(CliError::NotConfirmed(shown)) }
}

/// Asks on a terminal whether a node is to go; elsewhere there is nobody to ask.
pub(crate) fn node(command: &NodeCommand) -> Result<(), CliError> {
    let (what, question, yes) = match command {
        NodeCommand::List => return Ok(()),
        NodeCommand::Remove { node, yes } => {
            let node = clean::line(node);
            let question = format!("Remove {node} from the cluster? It can come back under a new id only.");
            (format!("node remove {node}"), question, *yes)
        }
        NodeCommand::Leave { yes } => {
            let question = "Take this node out of its cluster? Its listeners are cut off, and it can come back under a \
                            new id only.";
            ("node leave".into(), question.to_owned(), *yes)
        }
    };
    if yes || agreed(&question)? { Ok(()) } else { Err(CliError::NotAgreed(what)) }
}

/// Whether the person at the terminal says yes; where there is none, yes.
fn agreed(question: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    let mut stderr = io::stderr();
    let asked = write!(stderr, "{question} [y/N] ");
    asked.and_then(|()| stderr.flush()).map_err(CliError::Output)?;
    let (tell, told) = mpsc::channel();
    // A terminal cannot be read with a time limit; the thread ends with the process.
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        // Nobody listens any more once the time is over.
        let _ = tell.send(read.is_ok() && is_yes(&line));
    });
    Ok(told.recv_timeout(PATIENCE).unwrap_or(false))
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
