//! Join tokens.

use std::time::Duration;

use autoradio_proto::admin::TokenInfo;

use super::{
    Look,
    table::{Column, table},
};
use crate::duration;

/// `token list`.
pub(crate) fn tokens(tokens: &[TokenInfo], look: Look) -> String {
    if tokens.is_empty() {
        return "There are no join tokens; make one: radioctl token create\n".into();
    }
    let columns = [("TOKEN", Column::Text), ("ROLE", Column::Text), ("STATE", Column::Cut)];
    let row = |token: &TokenInfo| {
        let state = match token.state.as_str() {
            "open" => format!("open, {} left", duration::show(Duration::from_secs(token.left_ms / 1_000))),
            "used" => format!("used by {}", token.used_by),
            other => other.to_owned(),
        };
        vec![token.id.clone(), token.role.clone(), state]
    };
    table(look, &columns, tokens.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_told() {
        let token = |id: &str, state: &str| TokenInfo {
            id: id.into(),
            role: "voter".into(),
            state: state.into(),
            used_by: if state == "used" { "host3".into() } else { String::new() },
            left_ms: 90_000,
            ..TokenInfo::default()
        };
        let all = [token("a1", "open"), token("b2", "used"), token("c3", "expired"), token("d4", "revoked")];
        insta::assert_snapshot!(tokens(&all, Look::default()), @r"
        TOKEN  ROLE   STATE
        a1     voter  open, 1 min 30 s left
        b2     voter  used by host3
        c3     voter  expired
        d4     voter  revoked
        ");
        assert!(tokens(&[], Look::default()).contains("token create"));
    }
}
