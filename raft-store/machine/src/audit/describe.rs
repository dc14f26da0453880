//! What a command changed, in words.

use super::{Audit, Change, redact::difference};
use crate::{
    Alarm, Asked, AuthCommand, Command, Event, EventKind, Machine, Permission, PermissionKind, TrustCommand,
    auth::Auth,
    schema::{self, Kind},
};

/// What has to be looked at before a command is carried out: what it changes is in no event.
#[derive(Debug, Default)]
pub(crate) struct Before(Vec<Change>);

impl Machine {
    /// What is to be known of a command before it is carried out.
    pub(crate) fn audit_before(&self, command: &Command) -> Before {
        match command {
            Command::As(asked) => match &asked.command {
                Command::Auth(command) => Before(auth_changes(&self.auth, command)),
                Command::Trust(command) => Before(trust_change(command).into_iter().collect()),
                Command::Alarm { alarm, active } => Before(vec![alarm_change(*alarm, *active)]),
                _ => Before::default(),
            },
            _ => Before::default(),
        }
    }
}

impl Audit {
    /// Writes down what a command did that was carried out.
    pub(crate) fn carried_out(&mut self, asked: &Asked, before: Before, events: &[Event]) {
        let mut changes = before.0;
        changes.extend(events.iter().filter_map(key_change));
        self.record(&asked.caller, changes);
    }
}

/// What concerns joining; a node that joined shows as its member.
fn trust_change(command: &TrustCommand) -> Option<Change> {
    let (action, target, new) = match command {
        TrustCommand::TokenCreate { id, learner, .. } => {
            ("join token made", format!("{id:016x}"), if *learner { "for a learner" } else { "for a voter" })
        }
        TrustCommand::TokenRevoke { id, .. } => ("join token revoked", format!("{id:016x}"), ""),
        TrustCommand::BeginTls { .. } => ("change to TLS begun", String::new(), ""),
        TrustCommand::Join(_) | TrustCommand::EndTls { .. } => return None,
    };
    Some(Change { action: action.into(), target, old: String::new(), new: new.into() })
}

fn alarm_change(alarm: Alarm, active: bool) -> Change {
    let action = if active { "alarm raised" } else { "alarm disarmed" };
    let target = format!("{:?} of {:x}", alarm.kind, alarm.member);
    Change { action: action.into(), target, ..Change::default() }
}

/// A change of one of our own keys; others are their owners' matter.
fn key_change(event: &Event) -> Option<Change> {
    let key = &event.kv.key;
    if !key.starts_with(schema::ROOT.as_bytes()) {
        return None;
    }
    let plain = || String::from_utf8_lossy(key).into_owned();
    let (noun, target) = match schema::kind(key) {
        Ok(Kind::Mount(name)) => ("mount", name.to_string()),
        Ok(Kind::Origin(name)) => ("source lease", name.to_string()),
        Ok(Kind::Member) => ("member", plain()),
        Ok(Kind::Job) => ("job", plain()),
        _ => ("key", plain()),
    };
    let verb = match (event.kind, &event.prev_kv) {
        (EventKind::Delete, _) => "deleted",
        (EventKind::Put, None) => "created",
        (EventKind::Put, Some(_)) => "changed",
    };
    let old = event.prev_kv.as_ref().map(|kv| &kv.value[..]);
    let new = (event.kind == EventKind::Put).then_some(&event.kv.value[..]);
    let (old, new) = difference(old, new);
    Some(Change { action: format!("{noun} {verb}"), target, old, new })
}

fn range(key: &[u8], end: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match end {
        [] => text(key),
        [0] => format!("[{}, open)", text(key)),
        end => format!("[{}, {})", text(key), text(end)),
    }
}

fn kind(kind: PermissionKind) -> &'static str {
    match kind {
        PermissionKind::Read => "read",
        PermissionKind::Write => "write",
        PermissionKind::ReadWrite => "readwrite",
    }
}

fn auth_changes(auth: &Auth, command: &AuthCommand) -> Vec<Change> {
    match command {
        AuthCommand::All(commands) => commands.iter().filter_map(|command| auth_change(auth, command)).collect(),
        command => auth_change(auth, command).into_iter().collect(),
    }
}

/// What a change of users or roles is about to do, as far as it is a change; tokens are no change of anything.
fn auth_change(auth: &Auth, command: &AuthCommand) -> Option<Change> {
    let state = auth.state();
    let roles = |user: &str| state.users.get(user).map(|user| Vec::from_iter(user.roles.clone()).join(", "));
    let change = |action: &str, target: &str, old: String, new: String| {
        Some(Change { action: action.into(), target: target.into(), old, new })
    };
    let none = String::new;
    match command {
        AuthCommand::Enable if state.enabled => None,
        AuthCommand::Disable if !state.enabled => None,
        AuthCommand::Enable => change("auth enabled", "", none(), none()),
        AuthCommand::Disable => change("auth disabled", "", none(), none()),
        AuthCommand::UserAdd { name, .. } => change("user added", name, none(), none()),
        AuthCommand::UserDelete { name } => change("user deleted", name, roles(name).unwrap_or_default(), none()),
        AuthCommand::UserPassword { name, .. } => change("user's password changed", name, none(), none()),
        AuthCommand::UserGrant { user, role } if state.users.get(user).is_some_and(|u| u.roles.contains(role)) => None,
        AuthCommand::UserGrant { user, role } => change("role given to user", user, none(), role.clone()),
        AuthCommand::UserRevoke { user, role } => change("role taken from user", user, role.clone(), none()),
        AuthCommand::RoleAdd { role } => change("role added", role, none(), none()),
        AuthCommand::RoleDelete { role } => change("role deleted", role, none(), none()),
        AuthCommand::RoleGrant { role, permission: Permission { kind: new, key, range_end } } => {
            let before = state.roles.get(role).and_then(|role| role.get(&(key.clone(), range_end.clone())));
            let shown = |as_kind| format!("{} {}", kind(as_kind), range(key, range_end));
            change("permission given to role", role, before.map_or_else(none, |old| shown(*old)), shown(*new))
        }
        AuthCommand::RoleRevoke { role, key, range_end } => {
            change("permission taken from role", role, range(key, range_end), none())
        }
        AuthCommand::Authenticate { .. }
        | AuthCommand::TokensUsed { .. }
        | AuthCommand::TokensExpired { .. }
        | AuthCommand::All(_) => None,
    }
}
