//! Exit codes: a part of the contract with scripts.

use std::process::ExitCode;

use tonic::Code;

/// How radioctl ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Not done.
    Failed = 1,
    /// The command line makes no sense, or the server finds a value unfit.
    Usage = 2,
    /// No such mount or node.
    NotFound = 3,
    /// It is there already, or others changed it at the same time.
    Conflict = 4,
    /// Who asks may not.
    NotAllowed = 5,
    /// The cluster takes no changes now.
    NoMajority = 6,
    /// No answer in time: it may have happened.
    TimedOut = 7,
    /// `status` only: all is served, but something is to be done.
    Degraded = 8,
    /// `status` only: there is no majority.
    Down = 9,
}

/// The exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0 ok           1 failed         2 usage          3 not found      4 conflict
  5 not allowed  6 no majority    7 timed out, may have happened
  8 degraded     9 down           (these two from status only)";

impl Exit {
    /// The code of what a server answered.
    pub(crate) fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists | Code::Aborted => Self::Conflict,
            Code::PermissionDenied | Code::Unauthenticated => Self::NotAllowed,
            Code::Unavailable => Self::NoMajority,
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut,
            // A node without a cluster answers FailedPrecondition: nothing that another try would change.
            Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unknown => Self::Failed,
        }
    }

    /// The code of a cluster's health.
    pub(crate) fn of_health(health: &str) -> Self {
        match health {
            "healthy" => Self::Ok,
            "unavailable" => Self::Down,
            // A word of a newer version is at least worth a look.
            _ => Self::Degraded,
        }
    }

    /// Its name in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::NotAllowed => "not_allowed",
            Self::NoMajority => "no_majority",
            Self::TimedOut => "timed_out",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_answer_is_told_apart() {
        let told = [
            (Code::NotFound, 3),
            (Code::AlreadyExists, 4),
            (Code::Aborted, 4),
            (Code::PermissionDenied, 5),
            (Code::Unauthenticated, 5),
            (Code::Unavailable, 6),
            (Code::DeadlineExceeded, 7),
            (Code::Cancelled, 7),
            (Code::InvalidArgument, 2),
            (Code::FailedPrecondition, 1),
            (Code::Internal, 1),
            (Code::Ok, 0),
        ];
        for (code, number) in told {
            assert_eq!(Exit::of(code) as u8, number, "{code:?}");
        }
    }

    #[test]
    fn health_has_codes_of_its_own() {
        let codes = ["healthy", "degraded", "unavailable", "new word"].map(|word| Exit::of_health(word) as u8);
        assert_eq!(codes, [0, 8, 9, 8]);
    }

    #[test]
    fn the_help_names_every_code() {
        use Exit::*;
        for exit in [Ok, Failed, Usage, NotFound, Conflict, NotAllowed, NoMajority, TimedOut, Degraded, Down] {
            let entry = format!("{} {}", exit as u8, exit.word().replace('_', " "));
            assert!(HELP.contains(&entry), "{entry}");
        }
    }
}
