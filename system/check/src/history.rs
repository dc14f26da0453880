//! What a client did and was told.

use std::fmt;

/// A moment, in microseconds of a clock that all clients share.
pub type TimeUs = u64;

/// What a key holds; who records gives every write a value of its own, so that a read tells whose write it saw.
pub type Value = u64;

/// The register that an operation is about.
pub type Key = String;

/// The store's revision, as etcd counts it.
pub type Revision = i64;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// What does it hold?
    Read,
    /// Make it hold this, whatever it held; `None` deletes it.
    Write(Option<Value>),
    /// Make it hold `to` if it holds `from`.
    Swap {
        /// What it must hold; `None`: it must not exist.
        from: Option<Value>,
        /// What it then holds.
        to: Value,
    },
}

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A read's answer.
    Saw(Option<Value>),
    /// A write, or a swap whose condition held, was carried out.
    Done,
    /// A swap's condition did not hold; it held this instead.
    NotSwapped(Option<Value>),
    /// Surely not carried out, now or later.
    Refused,
    /// Nobody knows: it was carried out, or will be, or never.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Who asked; one client asks one thing at a time.
    pub client: u32,
    /// Of what.
    pub key: Key,
    /// What was asked.
    pub action: Action,
    /// When it was asked.
    pub called_us: TimeUs,
    /// When the answer came, or was given up.
    pub ended_us: TimeUs,
    /// What was told.
    pub outcome: Outcome,
    /// The store's revision in the answer: of a write its own. `None` where none came.
    pub revision: Option<Revision>,
    /// Of a read that saw something: the revision at which that was written.
    pub written_at: Option<Revision>,
}

impl Op {
    /// Whether the store's answer is known.
    #[must_use]
    pub fn answered(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused | Outcome::Unknown)
    }

    /// What it saw: a read's answer, what a swap found.
    #[must_use]
    pub fn saw(&self) -> Option<Option<Value>> {
        match (self.action, self.outcome) {
            (_, Outcome::Saw(value) | Outcome::NotSwapped(value)) => Some(value),
            (Action::Swap { from, .. }, Outcome::Done) => Some(from),
            _ => None,
        }
    }

    /// What the key holds after it, if it is carried out; `None` where it changes nothing.
    #[must_use]
    pub fn writes(&self) -> Option<Option<Value>> {
        match (self.action, self.outcome) {
            (Action::Read, _) | (_, Outcome::NotSwapped(_)) => None,
            (Action::Write(value), _) => Some(value),
            (Action::Swap { to, .. }, _) => Some(Some(to)),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, key, action, called_us, ended_us, outcome, revision, .. } = self;
        write!(f, "client {client} {key} {action:?} [{called_us}, {ended_us}] {outcome:?}")?;
        revision.map_or(Ok(()), |revision| write!(f, " at revision {revision}"))
    }
}
