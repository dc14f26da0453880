//! The bound on open files: shells and old units give a process 1,024, which is fewer than the listeners of a node.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Listeners, sources and clients as by default (1,000, 2,048 and 2,048), and files.
const WANTED: u64 = 8_192;

/// Raises the bound as far as the system lets this process; what to say where that is not enough.
pub(crate) fn raise() -> Option<String> {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX);
    let current = now.current.unwrap_or(u64::MAX);
    // Not to the most that there is: some systems have a billion, over which children may loop.
    let wanted = WANTED.max(current).min(most);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum });
    let got = if raised.is_ok() { wanted } else { current };
    (got < WANTED).then(|| {
        format!("this process may open {got} files only, connections are refused beyond; set LimitNOFILE={WANTED}")
    })
}
