//! Where a join token comes from: a file, standard input, systemd's credentials, a person. Never the command line, which
//! every user of the machine reads (`ps`), nor the environment, which is inherited.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{JoinToken, TokenError};

/// The name that systemd's `LoadCredential=` gives it (systemd.exec(5)).
const CREDENTIAL: &str = "join-token";

/// A token has 75 letters.
const TOKEN_BYTES_MAX: u64 = 4_096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system's.
    #[error("the join token could not be read from {from}: {source}")]
    Read {
        /// Where from.
        from: String,
        /// Why.
        source: io::Error,
    },
    /// What was read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nobody to ask.
    #[error(
        "a join token is needed, and there is no terminal to ask for it: give it by --token-file FILE, by --token-file - \
         on standard input, or as systemd's credential {CREDENTIAL}. radioctl token create, on a member, makes one"
    )]
    Nobody,
}

/// Reads a join token: from `file` (`-`: standard input), else from systemd's credentials, else from the terminal.
///
/// # Errors
/// [`SecretError`].
pub fn read_token(file: Option<&Path>, credentials: Option<PathBuf>) -> Result<JoinToken, SecretError> {
    let credential = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
    let text = match (file, credential) {
        (Some(path), _) if path == Path::new("-") => bounded(io::stdin().lock(), "standard input")?,
        (Some(path), _) => read_file(path)?,
        (None, Some(path)) => read_file(&path)?,
        (None, None) if io::stdin().is_terminal() => ask()?,
        (None, None) => return Err(SecretError::Nobody),
    };
    Ok(text.parse()?)
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let from = path.display().to_string();
    let file = File::open(path).map_err(|source| SecretError::Read { from: from.clone(), source })?;
    bounded(file, &from)
}

fn bounded(from: impl Read, name: &str) -> Result<String, SecretError> {
    let mut text = String::new();
    let read = from.take(TOKEN_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| SecretError::Read { from: name.into(), source })?;
    Ok(text)
}

/// Asks the person, without showing what is typed.
fn ask() -> Result<String, SecretError> {
    let failed = |source| SecretError::Read { from: "the terminal".into(), source };
    let _quiet = Quiet::begin().map_err(failed)?;
    eprint!("Join token (from radioctl token create, on a member): ");
    io::stderr().flush().map_err(failed)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(failed)?;
    eprintln!();
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until dropped.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.0) {
            tracing::warn!(%error, "the terminal could not be set back; type: reset");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Authority;

    #[test]
    fn a_file_beats_the_credential_and_errors_do_not_show_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::create(1, 0).unwrap();
        let (one, two) = (JoinToken::create(ca.certificate()).unwrap(), JoinToken::create(ca.certificate()).unwrap());
        let file = dir.path().join("token");
        std::fs::write(&file, one.reveal() + "\n").unwrap();
        std::fs::write(dir.path().join(CREDENTIAL), two.reveal()).unwrap();
        let folder = Some(dir.path().to_owned());
        assert_eq!(read_token(Some(&file), folder.clone()).unwrap(), one);
        assert_eq!(read_token(None, folder).unwrap(), two);
        std::fs::write(&file, &one.reveal()[..70]).unwrap();
        let error = read_token(Some(&file), None).unwrap_err().to_string();
        assert!(error.contains("mistyped") && !error.contains(&one.reveal()[40..60]), "{error}");
        assert!(read_token(Some(&dir.path().join("none")), None).is_err());
    }
}
