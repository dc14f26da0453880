//! Passwords between the daemon and its Icecast: made at each start, and known to these two alone.

use std::fmt;

/// One password. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(String);

impl Password {
    /// 128 random bits in hex, which need no quoting in XML or anywhere.
    fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Self(bits.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The password itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The passwords of one start.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    pub(super) source: Password,
    pub(super) admin: Password,
    pub(super) relay: Password,
}

impl Secrets {
    /// New ones.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self { source: Password::random()?, admin: Password::random()?, relay: Password::random()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_are_not_shown() {
        let secrets = Secrets::random().unwrap();
        assert_ne!(secrets.source, secrets.admin);
        assert_ne!(secrets.admin, secrets.relay);
        assert_eq!(secrets.source.reveal().len(), 32);
        assert!(!format!("{secrets:?}").contains(secrets.admin.reveal()));
    }
}
