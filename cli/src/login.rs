//! Who asks: a user's name and password for a token, which goes with every call. Passwords never come by the command line.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    path::Path,
};

use autoradio_proto::etcd::etcdserverpb::{AuthenticateRequest, auth_client::AuthClient};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::Channel,
};

use crate::{args::LoginArgs, error::CliError};

/// The longest password that is read from a file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// A user and its password.
#[derive(Clone)]
pub(crate) struct Login {
    user: String,
    password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Adds the token to calls, where there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
}

impl Login {
    /// From the options, then from the environment; `None` where no user is named.
    pub(crate) fn choose(args: LoginArgs, env: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, CliError> {
        let env = |name| env(name).filter(|value| !value.is_empty());
        let Some(user) = args.user.or_else(|| env("AUTORADIO_USER")) else { return Ok(None) };
        let password = match (args.password_file, env("AUTORADIO_PASSWORD")) {
            (Some(path), _) => from_file(&path)?,
            (None, Some(password)) => password,
            (None, None) => ask(&user)?,
        };
        Ok(Some(Self { user, password }))
    }

    /// The token; none where the cluster asks nobody who he is.
    pub(crate) async fn log_in(&self, channel: Channel) -> Result<Response<Bearer>, Status> {
        let request = AuthenticateRequest { name: self.user.clone(), password: self.password.clone() };
        match AuthClient::new(channel).authenticate(request).await {
            Ok(reply) => {
                let token = reply.into_inner().token.parse();
                let token = token.map_err(|_| Status::internal("the server gave a token that cannot be sent"))?;
                Ok(Response::new(Bearer(Some(token))))
            }
            Err(status) if status.code() == Code::FailedPrecondition => Ok(Response::new(Bearer::default())),
            Err(status) if status.code() == Code::InvalidArgument => {
                Err(Status::unauthenticated(format!("{} and this password do not go together", self.user)))
            }
            Err(status) => Err(status),
        }
    }
}

fn from_file(path: &Path) -> Result<String, CliError> {
    let wrong = |reason: String| CliError::NoPassword(format!("{}: {reason}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { Err(wrong("its first line is empty".into())) } else { Ok(line.to_owned()) }
}

/// Asks on a terminal, without showing what is typed.
fn ask(user: &str) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        let text = "give --password-file FILE or AUTORADIO_PASSWORD; there is no terminal to ask on";
        return Err(CliError::NoPassword(text.into()));
    }
    let mut stderr = io::stderr();
    let asked = write!(stderr, "Password of {}: ", crate::clean::line(user));
    asked.and_then(|()| stderr.flush()).map_err(CliError::Output)?;
    let quiet = crossterm::terminal::enable_raw_mode().is_ok();
    let read = if quiet { raw_line() } else { io::stdin().lock().lines().next().unwrap_or(Ok(String::new())) };
    if quiet {
        // Nothing to do about a terminal that stays as it is.
        let _ = crossterm::terminal::disable_raw_mode();
        let _ = writeln!(stderr);
    }
    match read {
        Ok(password) if !password.is_empty() => Ok(password),
        Ok(_) => Err(CliError::NoPassword("none was typed".into())),
        Err(error) => Err(CliError::NoPassword(error.to_string())),
    }
}

/// A line from a terminal that passes on every key.
fn raw_line() -> io::Result<String> {
    let (mut typed, mut byte) = (Vec::new(), [0]);
    let mut stdin = io::stdin().lock();
    while typed.len() < PASSWORD_BYTES_MAX as usize && stdin.read(&mut byte)? == 1 {
        match byte[0] {
            b'\r' | b'\n' => break,
            // Ctrl-C and Ctrl-D.
            3 | 4 => return Ok(String::new()),
            8 | 127 => drop(typed.pop()),
            other => typed.push(other),
        }
    }
    String::from_utf8(typed).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_come_from_files_or_the_environment_and_are_not_shown() {
        let path = std::env::temp_dir().join(format!("radioctl-password-{}", std::process::id()));
        std::fs::write(&path, "pass word\nmore\n").unwrap();
        let args = LoginArgs { user: Some("anna".into()), password_file: Some(path.clone()) };
        let login = Login::choose(args.clone(), |_| Some("other".into())).unwrap().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("anna", "pass word"));
        assert!(!format!("{login:?}").contains("pass"));
        std::fs::write(&path, "\n").unwrap();
        assert!(Login::choose(args, |_| None).is_err());
        std::fs::remove_file(path).unwrap();
        let env = |name: &str| Some(if name == "AUTORADIO_USER" { "bert" } else { "secret" }.to_owned());
        let login = Login::choose(LoginArgs::default(), env).unwrap().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("bert", "secret"));
        assert!(Login::choose(LoginArgs::default(), |_| None).unwrap().is_none());
    }
}
