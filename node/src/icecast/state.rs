//! How the local Icecast is, in words for `Load.icecast`.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How the local Icecast is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not wanted, or not installed.
    #[default]
    Off,
    /// Started, but it does not accept connections yet.
    Starting,
    /// It accepts connections.
    Running,
    /// It ended, and is tried again.
    Restarting {
        /// When.
        at: Instant,
        /// Why it ended.
        reason: String,
    },
    /// Another program has its port; tried again, slowly.
    PortTaken(SocketAddr),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Restarting { at, reason } => {
                let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(999);
                write!(f, "restarting in {} s: {reason}", wait.as_secs())
            }
            Self::PortTaken(address) => {
                write!(f, "waiting: another program listens on {address}; stop it, or choose another --icecast-port")
            }
        }
    }
}

/// The state, shared. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    /// The state now.
    #[must_use]
    pub fn get(&self) -> State {
        self.0.lock().expect("nothing panics while it holds the state").clone()
    }

    /// Whether there is no local Icecast, nor will be.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self.0.lock().expect("nothing panics while it holds the state") == State::Off
    }

    pub(super) fn set(&self, state: State) {
        *self.0.lock().expect("nothing panics while it holds the state") = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words() {
        assert_eq!(State::Off.to_string(), "off");
        assert_eq!(State::Running.to_string(), "running");
        let at = Instant::now() + Duration::from_millis(3_500);
        let reason = "exited with status 1 (no)".to_owned();
        assert_eq!(State::Restarting { at, reason }.to_string(), "restarting in 4 s: exited with status 1 (no)");
        let taken = State::PortTaken(([127, 0, 0, 1], 8000).into()).to_string();
        assert!(taken.contains("127.0.0.1:8000"), "{taken}");
    }
}
