//! What can go wrong: what failed, why, and what to try.

use std::{io, path::PathBuf, time::Duration};

use tonic::{Code, Status};

use crate::{clean, duration, exit::Exit};

/// Whether a call changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only looks.
    Reads,
    /// Without an answer, it may have happened.
    Changes,
}

/// An error of radioctl.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("{0} was not deleted: not confirmed")]
    NotConfirmed(String),
    #[error("{0}: not confirmed")]
    NotAgreed(String),
    #[error(
        "no socket {0}: autoradio-node does not run here (start it: systemctl start autoradio-node), or it has another \
         socket (--socket PATH); another node's daemon is reached with --server HOST"
    )]
    NoSocket(PathBuf),
    #[error(
        "nobody listens at {0}: autoradio-node has ended (start it: systemctl start autoradio-node); another node's \
         daemon is reached with --server HOST"
    )]
    NobodyListens(PathBuf),
    #[error("{0} may not be opened by this user: try sudo, or have yourself added to the group that owns it")]
    SocketDenied(PathBuf),
    #[error("cannot connect to {address}: {reason}; does autoradio-node run there, and is the port open to here?")]
    Connect { address: String, reason: String },
    #[error("{path}: {reason}")]
    TlsFile { path: PathBuf, reason: String },
    #[error("no password: {0}")]
    NoPassword(String),
    #[error("{what} failed: the connection broke: {reason}{}", after_break(*.effect))]
    Broken { what: String, effect: Effect, reason: String },
    #[error("{what}: no answer within {}{}", duration::show(*.limit), after_timeout(*.effect))]
    TimedOut { what: String, effect: Effect, limit: Duration },
    #[error("{what} failed: {}", answer(.status))]
    Refused { what: String, status: Status },
    #[error("{what}: the answer lacks {lacks}; are radioctl and autoradio-node of the same version?")]
    Incomplete { what: String, lacks: &'static str },
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("cannot write the result: {0}")]
    Output(#[source] io::Error),
}

fn after_break(effect: Effect) -> &'static str {
    match effect {
        Effect::Reads => "; try again",
        Effect::Changes => "; it may have happened: look with radioctl status before trying again",
    }
}

fn after_timeout(effect: Effect) -> &'static str {
    match effect {
        Effect::Reads => "; there may be no majority: see radioctl status, or allow more with --timeout 30s",
        Effect::Changes => {
            "; it may have happened, or there is no majority: look with radioctl status before trying again"
        }
    }
}

fn answer(status: &Status) -> String {
    let message = match status.message() {
        "" => status.code().description().to_owned(),
        message => clean::line(message),
    };
    match status.code() {
        Code::Unavailable if !message.contains("majority") => format!("no majority takes changes now: {message}"),
        Code::DeadlineExceeded | Code::Cancelled if !message.contains("majority") => {
            format!("{message} (it may have happened, or there is no majority)")
        }
        _ => message,
    }
}

impl CliError {
    /// How radioctl ends with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::SocketDenied(_) | Self::NoPassword(_) => Exit::NotAllowed,
            Self::TimedOut { .. } | Self::Broken { effect: Effect::Changes, .. } => Exit::TimedOut,
            Self::Refused { status, .. } => Exit::of(status.code()),
            Self::NotConfirmed(_)
            | Self::NotAgreed(_)
            | Self::TlsFile { .. }
            | Self::NoSocket(_)
            | Self::NobodyListens(_)
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::File { .. }
            | Self::Output(_) => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_to_a_change_is_not_taken_for_a_failure() {
        let broken = |effect| CliError::Broken { what: "drain host1".into(), effect, reason: "reset".into() }.exit();
        assert_eq!((broken(Effect::Changes), broken(Effect::Reads)), (Exit::TimedOut, Exit::Failed));
    }

    #[test]
    fn refusals_name_the_majority_and_carry_no_control_characters() {
        let refused = |status| CliError::Refused { what: "create-mount /a".into(), status }.to_string();
        assert_eq!(
            refused(Status::unavailable("no leader\u{1b}[1m; try again")),
            "create-mount /a failed: no majority takes changes now: no leader\u{fffd}[1m; try again"
        );
        assert!(refused(Status::deadline_exceeded("not done in 5 s")).contains("majority"));
        assert_eq!(refused(Status::not_found("no mount /a")), "create-mount /a failed: no mount /a");
    }

    #[test]
    fn a_socket_that_is_not_there_says_what_to_do() {
        let error = CliError::NoSocket("/run/autoradio/admin.sock".into());
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.to_string().contains("--server"), "{error}");
        assert_eq!(CliError::SocketDenied("/s".into()).exit(), Exit::NotAllowed);
    }
}
