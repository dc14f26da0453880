//! What somebody asks for: carried out, or read, if they may.

use std::time::{Duration, Instant};

use autoradio_machine::{Asked, AuthRefusal, Command, Credentials, Machine, Refusal, Who};
use autoradio_store::{ConsensusError, Proposed};

use super::{PROPOSE_TIMEOUT, RaftError, RaftHandle, retry::Backoff};
use crate::caller::Asker;

/// First and longest wait before a command is judged anew that was overtaken by a change of users or roles.
const AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// How long a token is waited for that another node gave out a moment ago.
const TOKEN_LIMIT: Duration = Duration::from_secs(2);

fn refused(refusal: Refusal) -> RaftError {
    ConsensusError::Refused(refusal).into()
}

impl RaftHandle {
    /// Who this is, as far as this node knows.
    ///
    /// # Errors
    /// `InvalidToken`.
    pub async fn identify(&self, asker: &Asker) -> Result<Who, Refusal> {
        self.await_token(asker).await;
        let who = self.read(|machine| machine.identify(&asker.credentials))?;
        self.note_use(asker, &who);
        Ok(who)
    }

    /// Proposes a command in somebody's name. Whether they may is decided where it is applied, by what is true there; if
    /// users or roles changed on the way, it is proposed anew.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn propose_as(&self, asker: &Asker, command: Command) -> Result<Proposed, RaftError> {
        let who = self.identify(asker).await.map_err(refused)?;
        let mut asked = Command::As(Box::new(Asked { caller: asker.caller(who), command }));
        let (deadline, mut backoff) = (Instant::now() + PROPOSE_TIMEOUT, Backoff::new(AGAIN.0, AGAIN.1));
        loop {
            match self.propose_ref(&asked).await {
                Err(error)
                    if error.refusal() == Some(&Refusal::Auth(AuthRefusal::OldRevision))
                        && Instant::now() < deadline =>
                {
                    // Out of step with who changes them; and until this node knows what the refusal was about.
                    tokio::time::sleep(backoff.step()).await;
                    self.barrier().await?;
                    let who = self.identify(asker).await.map_err(refused)?;
                    if let Command::As(asked) = &mut asked {
                        asked.caller.who = who;
                    }
                }
                ended => return ended,
            }
        }
    }

    /// Reads this node's state as it is, knowing who asks: what `read` may not tell it refuses. Both are of one moment.
    ///
    /// # Errors
    /// `InvalidToken`, and what `read` refuses.
    pub async fn read_as<R>(
        &self,
        asker: &Asker,
        read: impl FnOnce(&Machine, &Who) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.await_token(asker).await;
        let (who, found) = self.read(|machine| match machine.identify(&asker.credentials) {
            Ok(who) => {
                let found = read(machine, &who);
                (Some(who), found)
            }
            Err(refusal) => (None, Err(refusal)),
        });
        if let Some(who) = who {
            self.note_use(asker, &who);
        }
        found
    }

    /// A token says which entry gave it out: until that has come here it is not known.
    async fn await_token(&self, asker: &Asker) {
        if asker.token_index > self.consensus().applied_index() {
            // One that was made up is not known afterwards either.
            let _known = self.wait_applied(asker.token_index, TOKEN_LIMIT).await;
        }
    }

    fn note_use(&self, asker: &Asker, who: &Who) {
        if let (Credentials::Token(hash), Who::User { .. }) = (&asker.credentials, who) {
            let now_ms = self.now_ms();
            self.tokens().used(now_ms, *hash);
        }
    }
}
