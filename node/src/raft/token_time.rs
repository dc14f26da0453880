//! The task that tells which tokens are used, and on the leader ends those that are not.

use std::time::Duration;

use autoradio_machine::{AuthCommand, Command};
use tokio_util::sync::CancellationToken;

use super::{RaftHandle, tokens::Found};

/// The longest between two looks: a token's time is minutes.
const TICK_MAX: Duration = Duration::from_secs(10);
/// The shortest, for times that only tests have.
const TICK_MIN: Duration = Duration::from_millis(100);
/// Looks in a token's time.
const LOOKS: u32 = 20;

/// Keeps the tokens' time until `stop`; they end when they were not used for `ttl`.
pub async fn keep_tokens(raft: RaftHandle, ttl: Duration, stop: CancellationToken) {
    let mut tick = tokio::time::interval((ttl / LOOKS).clamp(TICK_MIN, TICK_MAX));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let tokens: Vec<_> = raft.read(|machine| machine.auth_tokens().map(|(hash, t)| (*hash, t.touched)).collect());
        let (leading, now_ms) = (raft.leads(), raft.now_ms());
        let Found { used, expired } = raft.tokens().look(now_ms, ttl_ms, leading, &tokens);
        let mut commands = Vec::new();
        if !used.is_empty() {
            commands.push(AuthCommand::TokensUsed { tokens: used });
        }
        if !expired.is_empty() {
            commands.push(AuthCommand::TokensExpired { tokens: expired });
        }
        for command in commands {
            match stop.run_until_cancelled(raft.propose(Command::Auth(command))).await {
                None => return,
                Some(Ok(_)) => {}
                Some(Err(error)) => tracing::debug!(%error, "tokens' uses could not be told; trying again"),
            }
        }
    }
}
