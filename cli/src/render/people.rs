//! Users and the audit log.

use autoradio_proto::admin::{AuditEntry, UserInfo};

use super::{
    Look,
    table::{Column, pairs, table},
};
use crate::clean;

/// A user's roles with what they are for.
fn roles(user: &UserInfo) -> String {
    let operator = |role: &String| match (role.as_str(), user.prefixes.is_empty()) {
        ("operator", false) => format!("operator of {}", user.prefixes.join(" ")),
        (role, _) => role.to_owned(),
    };
    user.roles.iter().map(operator).collect::<Vec<_>>().join(", ")
}

/// A user that was added, with its password.
pub(crate) fn added(user: &UserInfo, password: &str) -> String {
    let rows = [("user", user.name.clone()), ("password", password.to_owned()), ("role", roles(user))];
    format!(
        "{} is added. The password is shown this once; only its hash is kept.\n{}",
        clean::line(&user.name),
        pairs(&rows)
    )
}

/// A user's new password.
pub(crate) fn renewed(user: &UserInfo, password: &str) -> String {
    let rows = [("user", user.name.clone()), ("password", password.to_owned())];
    format!("The old password ends now. The new one is shown this once; only its hash is kept.\n{}", pairs(&rows))
}

/// All users.
pub(crate) fn users(users: &[UserInfo], enabled: bool, look: Look) -> String {
    let row = |user: &UserInfo| {
        let login = if user.password { "password" } else { "certificate" };
        vec![user.name.clone(), roles(user), login.to_owned()]
    };
    let columns = [("USER", Column::Text), ("ROLE", Column::Cut), ("LOGIN", Column::Text)];
    let mut text = if users.is_empty() {
        "There are no users; add one: radioctl user add NAME --role owner|operator|viewer\n".to_owned()
    } else {
        table(look, &columns, users.iter().map(row).collect())
    };
    if !enabled {
        text.push_str("Auth is not enabled: clients on port 2379 are not asked who they are (radioctl auth enable).\n");
    }
    text
}

/// The audit log, a paragraph each; times in UTC.
pub(crate) fn audit(entries: &[AuditEntry]) -> String {
    if entries.is_empty() {
        return "Nothing was changed yet.\n".into();
    }
    let one = |entry: &AuditEntry| {
        let time = time(entry.at_ms);
        let (who, from) = (clean::line(&entry.who), clean::line(&entry.from));
        let mut text = format!("{time}  {who} ({from}): {} {}", clean::line(&entry.action), clean::line(&entry.target));
        text.truncate(text.trim_end().len());
        text.push('\n');
        for (sign, value) in [('-', &entry.old), ('+', &entry.new)] {
            if !value.is_empty() {
                text.push_str(&format!("    {sign} {}\n", clean::line(value)));
            }
        }
        text
    };
    entries.iter().map(one).collect()
}

/// A time in UTC as RFC 3339 has it.
fn time(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX);
    // A clock beyond the year 9999 is not worth more.
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (at_ms, text) in [(0, "1970-01-01T00:00:00Z"), (1_795_892_430_000, "2026-11-28T19:00:30Z"), (u64::MAX, "?")]
        {
            assert_eq!(time(at_ms), text);
        }
    }

    #[test]
    fn an_audit_log_is_read_by_people() {
        let entry = AuditEntry {
            seq: 2,
            at_ms: 1_795_892_430_000,
            who: "anna".into(),
            from: "10.0.0.9:4711".into(),
            action: "mount changed".into(),
            target: "/live".into(),
            old: r#"{"title":null}"#.into(),
            new: r#"{"title":"One"}"#.into(),
        };
        let enabled = AuditEntry { action: "auth enabled".into(), who: "r\u{1b}t".into(), ..AuditEntry::default() };
        insta::assert_snapshot!(audit(&[entry, enabled]), @r#"
        2026-11-28T19:00:30Z  anna (10.0.0.9:4711): mount changed /live
            - {"title":null}
            + {"title":"One"}
        1970-01-01T00:00:00Z  r�t (): auth enabled
        "#);
        assert_eq!(audit(&[]), "Nothing was changed yet.\n");
    }

    #[test]
    fn users_are_shown_with_their_roles() {
        let operator = UserInfo {
            name: "dj".into(),
            roles: vec!["operator".into(), "etcds".into()],
            prefixes: vec!["/dj/".into()],
            password: true,
        };
        let root = UserInfo { name: "root".into(), roles: vec!["owner".into()], ..UserInfo::default() };
        insta::assert_snapshot!(users(&[operator.clone(), root], true, Look::default()), @r"
        USER  ROLE                     LOGIN
        dj    operator of /dj/, etcds  password
        root  owner                    certificate
        ");
        assert!(users(&[], false, Look::default()).contains("not enabled"));
        assert!(added(&operator, "secret").contains("secret"));
    }
}
