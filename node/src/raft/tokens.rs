//! The time of tokens. Pure: the caller says what time it is.
//!
//! A token ends when it was not used for a while, at any node. Each node remembers what was used at it, and tells the
//! cluster when some time has passed since it was told last; the leader counts the time since then by its own clock. So
//! no clocks are compared, and a new leader gives every token its full time anew, as with leases.

use std::collections::BTreeMap;

use autoradio_machine::{LogIndex, TokenHash};

/// Uses are told once in so many parts of a token's time: it then ends at most that much later than it should.
const PARTS: u64 = 4;

/// Uses remembered between two looks; who uses more tokens at one node tells of the rest the next time.
const USES_MAX: usize = 10_000;

/// What a look at the tokens found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those whose use is to be told.
    pub used: Vec<TokenHash>,
    /// On the leader: those whose time is up, with what they were last touched at.
    pub expired: Vec<(TokenHash, LogIndex)>,
}

/// When each token was touched, by this node's clock, and which were used here since.
#[derive(Debug, Default)]
pub struct TokenKeeper {
    leading: bool,
    seen: BTreeMap<TokenHash, Seen>,
    used: BTreeMap<TokenHash, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    touched: LogIndex,
    at_ms: u64,
}

impl TokenKeeper {
    /// A token was used here.
    pub fn used(&mut self, now_ms: u64, token: TokenHash) {
        if self.used.len() < USES_MAX || self.used.contains_key(&token) {
            self.used.insert(token, now_ms);
        }
    }

    /// Follows the machine's tokens and this node's role.
    pub fn look(&mut self, now_ms: u64, ttl_ms: u64, leading: bool, tokens: &[(TokenHash, LogIndex)]) -> Found {
        if leading && !self.leading {
            self.seen.clear();
        }
        self.leading = leading;
        let mut next = BTreeMap::new();
        let mut found = Found::default();
        for (hash, touched) in tokens {
            let seen = self.seen.get(hash).filter(|seen| seen.touched == *touched).copied();
            let seen = seen.unwrap_or(Seen { touched: *touched, at_ms: now_ms });
            next.insert(*hash, seen);
            let age_ms = now_ms.saturating_sub(seen.at_ms);
            match self.used.get(hash) {
                Some(used) if *used >= seen.at_ms && age_ms >= ttl_ms / PARTS => found.used.push(*hash),
                _ if leading && age_ms >= ttl_ms + ttl_ms / PARTS => found.expired.push((*hash, *touched)),
                _ => {}
            }
        }
        self.seen = next;
        // Uses before the last touch, and of tokens that are gone, matter no more.
        self.used.retain(|hash, used| self.seen.get(hash).is_some_and(|seen| *used >= seen.at_ms));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TokenHash = [1; 32];
    const B: TokenHash = [2; 32];

    #[test]
    fn what_is_not_used_ends_on_the_leader_and_what_is_used_anywhere_lives() {
        let (mut leader, mut other) = (TokenKeeper::default(), TokenKeeper::default());
        let tokens = [(A, 5), (B, 6)];
        assert_eq!(leader.look(0, 1_000, true, &tokens), Found::default());
        assert_eq!(other.look(7_000, 1_000, false, &tokens), Found::default());
        // Used at the other node, which tells of it after a quarter of the time.
        other.used(7_100, A);
        assert_eq!(other.look(7_200, 1_000, false, &tokens), Found::default());
        assert_eq!(other.look(7_250, 1_000, false, &tokens).used, [A]);
        // That is applied, and the leader counts anew.
        let told = [(A, 9), (B, 6)];
        assert_eq!(leader.look(300, 1_000, true, &told), Found::default());
        assert_eq!(leader.look(1_250, 1_000, true, &told).expired, [(B, 6)]);
        assert_eq!(leader.look(1_549, 1_000, true, &told).expired, [(B, 6)]);
        assert_eq!(leader.look(1_550, 1_000, true, &told).expired, [(A, 9), (B, 6)]);
        assert_eq!(other.look(9_999, 1_000, false, &told).expired, []);
    }

    #[test]
    fn a_new_leader_gives_full_time_anew_and_gone_tokens_are_forgotten() {
        let mut keeper = TokenKeeper::default();
        keeper.look(0, 1_000, false, &[(A, 1)]);
        assert_eq!(keeper.look(5_000, 1_000, true, &[(A, 1)]).expired, []);
        assert_eq!(keeper.look(6_250, 1_000, true, &[(A, 1)]).expired, [(A, 1)]);
        keeper.used(6_300, A);
        assert_eq!(keeper.look(6_400, 1_000, true, &[]), Found::default());
        assert!(keeper.used.is_empty() && keeper.seen.is_empty());
    }

    #[test]
    fn a_use_on_the_leader_that_is_not_told_yet_keeps_it() {
        let mut keeper = TokenKeeper::default();
        keeper.look(0, 1_000, true, &[(A, 1)]);
        keeper.used(1_200, A);
        let found = keeper.look(1_300, 1_000, true, &[(A, 1)]);
        assert_eq!((found.used, found.expired), (vec![A], vec![]));
    }
}
