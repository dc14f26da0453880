//! An `/etc` of one's own for a program on a host.

use std::{fs, path::Path};

/// Makes an `/etc` with the system's users and groups and `groups` (as in `/etc/group`), to which anything may be
/// added; the words that run a program on a host under it. Nothing outside of that program sees it.
#[must_use]
pub fn own_etc(etc: &Path, groups: &str) -> Vec<String> {
    for name in ["passwd", "nsswitch.conf"] {
        fs::copy(Path::new("/etc").join(name), etc.join(name)).expect("a file of /etc is copied");
    }
    let system = fs::read_to_string("/etc/group").expect("there are groups");
    let other = system.lines().filter(|line| !line.starts_with("autoradio:")).collect::<Vec<_>>().join("\n");
    fs::write(etc.join("group"), format!("{other}\n{groups}")).expect("a file in the own /etc");
    // `ip netns exec` has given the program a view of the file system of its own.
    let script = format!("cat /etc/hosts >{0}/hosts && mount --bind {0} /etc && exec \"$@\"", etc.display());
    ["bash", "-c", &script, "own-etc"].map(str::to_owned).to_vec()
}
