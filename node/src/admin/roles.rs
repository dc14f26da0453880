//! Roles for people, as etcd's users and roles: there is one list of them. Pure.
//!
//! An *owner* is a user with the role `root`. An *operator* has a role that may read and write the mounts below a prefix.
//! A *viewer* has a role that may read what is shown of the cluster. Mounts' keys hold hashes of passwords, which the
//! admin service never shows: viewers have no permission to read the keys themselves.

use autoradio_machine::{
    Access, AuthCommand, MEMBERS_PREFIX, MOUNTS_PREFIX, Machine, MountName, ORIGINS_PREFIX, Permission, PermissionKind,
    ROOT, Refusal, User, Who,
};
use bytes::Bytes;

/// The role of viewers.
const VIEWER: &str = "viewer";
/// What the role of operators of a prefix begins with; the prefix follows.
const OPERATOR: &str = "operator:";

/// A person's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Owner,
    /// All that is done to the mounts below a prefix, and to look at the cluster.
    Operator(String),
    /// To look.
    Viewer,
}

/// A prefix without an end: what comes after all keys that begin with it.
fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    // Nothing comes after: open.
    Bytes::from_static(b"\0")
}

fn below(kind: PermissionKind, prefix: &str) -> Permission {
    Permission { kind, key: Bytes::copy_from_slice(prefix.as_bytes()), range_end: end_of(prefix.as_bytes()) }
}

/// What viewing is, in keys: members and who is on air.
fn seen() -> [String; 2] {
    [MEMBERS_PREFIX.trim_end_matches('/').to_owned() + "/", ORIGINS_PREFIX.to_owned() + "/"]
}

impl Role {
    /// From radioctl's words.
    pub(super) fn parse(role: &str, prefix: &str) -> Result<Self, String> {
        match (role, prefix) {
            ("owner", "") => Ok(Self::Owner),
            ("viewer", "") => Ok(Self::Viewer),
            ("operator", "") => Err("an operator needs --prefix, such as /dj/; / is for all mounts".into()),
            ("operator", prefix) => check_prefix(prefix).map(|()| Self::Operator(prefix.to_owned())),
            ("owner" | "viewer", _) => Err(format!("--prefix goes with operators; {role}s have none")),
            _ => Err(format!("there is no role {role:?}; there are owner, operator and viewer")),
        }
    }

    /// The name of etcd's role.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Owner => ROOT.into(),
            Self::Operator(prefix) => format!("{OPERATOR}{prefix}"),
            Self::Viewer => VIEWER.into(),
        }
    }

    fn permissions(&self) -> Vec<Permission> {
        let mut all: Vec<_> = seen().iter().map(|prefix| below(PermissionKind::Read, prefix)).collect();
        match self {
            // Root needs none.
            Self::Owner => all.clear(),
            Self::Operator(prefix) => {
                all.push(below(PermissionKind::ReadWrite, &format!("{MOUNTS_PREFIX}{prefix}")));
            }
            Self::Viewer => {}
        }
        all
    }

    /// What has to be done so that a new user has this role; the role is made where it is not there.
    pub(super) fn give(&self, machine: &Machine, user: &str) -> Vec<AuthCommand> {
        let role = self.name();
        let mut commands = Vec::new();
        if *self != Self::Owner {
            if machine.auth_role(&role).is_none() {
                commands.push(AuthCommand::RoleAdd { role: role.clone() });
            }
            // Also where it is there: somebody may have changed it.
            let grant = |permission| AuthCommand::RoleGrant { role: role.clone(), permission };
            commands.extend(self.permissions().into_iter().map(grant));
        }
        commands.push(AuthCommand::UserGrant { user: user.to_owned(), role });
        commands
    }
}

/// A user's roles in radioctl's words, and the prefixes; those that were made with etcdctl by their names.
pub(super) fn of(user: &User) -> (Vec<String>, Vec<String>) {
    let (mut roles, mut prefixes) = (Vec::new(), Vec::new());
    for role in &user.roles {
        match (role.as_str(), role.strip_prefix(OPERATOR)) {
            (ROOT, _) => roles.push("owner".to_owned()),
            (_, Some(prefix)) => {
                if !roles.iter().any(|role| role == "operator") {
                    roles.push("operator".to_owned());
                }
                prefixes.push(prefix.to_owned());
            }
            (other, None) => roles.push(other.to_owned()),
        }
    }
    (roles, prefixes)
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix == "/" {
        return Ok(());
    }
    // What a mount's name may begin with, so that it says what it seems to say.
    let name = format!("{}x", prefix);
    MountName::parse(&name).map(drop).map_err(|reason| format!("{prefix:?} is no prefix of mounts' names: {reason}"))
}

/// Refuses who may not look at the cluster.
pub(super) fn permit_view(machine: &Machine, who: &Who) -> Result<(), Refusal> {
    let prefixes = seen();
    prefixes.iter().try_for_each(|prefix| {
        let end = end_of(prefix.as_bytes());
        machine.permit(who, Access::Read(prefix.as_bytes(), &end))
    })
}

#[cfg(test)]
mod tests {
    use autoradio_machine::Command;

    use super::*;

    fn machine(role: &Role) -> (Machine, Who) {
        let mut machine = Machine::default();
        let add = |name: &str| AuthCommand::UserAdd { name: name.into(), password_hash: None };
        let mut commands =
            vec![add("root"), AuthCommand::UserGrant { user: "root".into(), role: ROOT.into() }, add("u")];
        commands.extend(role.give(&machine, "u"));
        commands.push(AuthCommand::Enable);
        for command in commands {
            machine.apply(1, &Command::Auth(command)).result.expect("it is taken");
        }
        let who = Who::User { name: "u".into(), auth_revision: machine.auth_revision() };
        (machine, who)
    }

    fn writes(machine: &Machine, who: &Who, key: &str) -> bool {
        machine.permit(who, Access::Write(key.as_bytes(), b"")).is_ok()
    }

    #[test]
    fn an_operator_has_the_mounts_below_its_prefix_and_sees_the_cluster() {
        let (machine, who) = machine(&Role::Operator("/dj/".into()));
        assert!(writes(&machine, &who, "autoradio/mounts/dj/a") && writes(&machine, &who, "autoradio/mounts/dj/b/c"));
        for other in
            ["autoradio/mounts/dja", "autoradio/mounts/live", "autoradio/origins/dj/a", "autoradio/members/n", "x"]
        {
            assert!(!writes(&machine, &who, other), "{other}");
        }
        assert!(permit_view(&machine, &who).is_ok());
        assert!(machine.permit(&who, Access::Root).is_err());
        let (roles, prefixes) = of(machine.auth_user("u").unwrap());
        assert_eq!((roles, prefixes), (vec!["operator".into()], vec!["/dj/".into()]));
    }

    #[test]
    fn a_viewer_sees_and_changes_nothing_and_an_owner_may_everything() {
        let (viewer, who) = machine(&Role::Viewer);
        assert!(permit_view(&viewer, &who).is_ok() && !writes(&viewer, &who, "autoradio/mounts/a"));
        assert!(viewer.permit(&who, Access::Read(b"autoradio/mounts/a", b"")).is_err(), "hashes are in there");
        let (owner, who) = machine(&Role::Owner);
        assert!(permit_view(&owner, &who).is_ok() && writes(&owner, &who, "x"));
        assert!(owner.permit(&who, Access::Root).is_ok());
        assert!(permit_view(&owner, &Who::Nobody).is_err());
    }

    #[test]
    fn roles_are_read_and_nonsense_is_refused() {
        assert_eq!(Role::parse("owner", ""), Ok(Role::Owner));
        assert_eq!(Role::parse("operator", "/"), Ok(Role::Operator("/".into())));
        assert_eq!(Role::parse("operator", "/dj"), Ok(Role::Operator("/dj".into())));
        for (role, prefix) in
            [("operator", ""), ("operator", "dj"), ("operator", "/a b"), ("viewer", "/a"), ("king", "")]
        {
            assert!(Role::parse(role, prefix).is_err(), "{role} {prefix}");
        }
    }

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(end_of(b"a/"), "a0");
        assert_eq!(end_of(b"a\xff"), "b");
        assert_eq!(end_of(b"\xff"), "\0");
    }
}
