//! A password for a token.

use autoradio_machine::{AuthCommand, AuthRefusal, Command, Refusal, Revision};
use autoradio_store::ConsensusError;
use sha2::{Digest, Sha256};

use super::{RaftError, RaftHandle};
use crate::password;

/// How often a password is checked anew when users changed meanwhile.
const TRIES: usize = 5;

/// Characters of a token: 171 bits.
const TOKEN_LENGTH: usize = 30;

/// What a password is compared with where there is no such user, so that this takes as long.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn refused(refusal: AuthRefusal) -> RaftError {
    ConsensusError::Refused(Refusal::Auth(refusal)).into()
}

impl RaftHandle {
    /// A token for a user's password, valid at every node, and the store's revision with it. The token itself is made
    /// here and kept nowhere: the log has its hash.
    ///
    /// # Errors
    /// [`RaftError`]; `Busy` where too many passwords are being checked.
    pub async fn authenticate(&self, name: &str, password: String) -> Result<(String, Revision), RaftError> {
        for _ in 0..TRIES {
            let checked_revision = self.check_password(name, &password).await?;
            let secret = password::random(TOKEN_LENGTH).map_err(|_| RaftError::Busy)?;
            let token = Sha256::digest(&secret).into();
            let command = AuthCommand::Authenticate { user: name.to_owned(), token, checked_revision };
            match self.propose(Command::Auth(command)).await {
                // The index tells other nodes what to wait for before they say that they do not know it, as in etcd.
                Ok(done) => return Ok((format!("{secret}.{}", done.index), done.revision)),
                Err(error) if error.refusal() == Some(&Refusal::Auth(AuthRefusal::OldRevision)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(refused(AuthRefusal::OldRevision))
    }

    /// Whether this is the user's password; the auth revision at which it was.
    ///
    /// # Errors
    /// `Failed`, `NotEnabled`, `NoPasswordUser`; `Busy`.
    pub async fn check_password(&self, name: &str, password: &str) -> Result<u64, RaftError> {
        self.barrier().await?;
        let (enabled, revision, hash) = self.read(|machine| {
            let hash = machine.auth_user(name).map(|user| user.password_hash.clone());
            (machine.auth_enabled(), machine.auth_revision(), hash)
        });
        if !enabled {
            return Err(refused(AuthRefusal::NotEnabled));
        }
        let (hash, known) = match hash {
            Some(None) => return Err(refused(AuthRefusal::NoPasswordUser)),
            Some(Some(hash)) => (hash, true),
            None => (NOBODYS.to_owned(), false),
        };
        let right = password::verify(hash, password.to_owned()).await.ok_or(RaftError::Busy)?;
        if right && known { Ok(revision) } else { Err(refused(AuthRefusal::Failed)) }
    }
}
