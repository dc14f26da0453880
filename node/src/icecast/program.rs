//! Where the program is, whom it runs as, and how it is started.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::config::IcecastMode;

/// Debian's name of the program, and of the user that its package makes.
const PROGRAM: &str = "icecast2";
/// The program's name elsewhere.
const OTHER_PROGRAM: &str = "icecast";
/// The generated configuration, in the child's folder.
const CONFIG_FILE: &str = "icecast.xml";
/// Where it writes what goes wrong, in the same folder.
const LOG_FILE: &str = "error.log";
/// How much of the log's end is looked at, in bytes.
const MAX_LOG_TAIL: u64 = 4_096;
/// The longest line repeated, in characters.
const MAX_LOG_LINE: usize = 400;

/// An Icecast that can be started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// The child's own folder: its configuration and its log. It is the child's working directory, so that the
    /// folders above it may be closed to the child's user.
    dir: PathBuf,
    user: Option<User>,
}

/// Whom a root daemon runs the child as; Icecast refuses root.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// Where Icecast is, by the configuration; `None` where it is off or not installed.
pub(super) fn find(mode: &IcecastMode) -> Option<PathBuf> {
    match mode {
        IcecastMode::Off => None,
        IcecastMode::Path(path) => Some(path.clone()),
        IcecastMode::Auto => {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            // A daemon's PATH may be anything.
            let dirs = std::env::split_paths(&paths).chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
            let mut candidates = dirs.flat_map(|dir| [dir.join(PROGRAM), dir.join(OTHER_PROGRAM)]);
            candidates.find(|path| is_program(path))
        }
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Program {
    pub(super) fn new(path: PathBuf, dir: PathBuf) -> Self {
        let user = if rustix::process::geteuid().is_root() { icecast_user() } else { None };
        Self { path, dir, user }
    }

    /// Writes the configuration, readable by the child alone, and whole or not at all.
    pub(super) fn write_config(&self, text: &str) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        let temporary = self.dir.join("icecast.xml.new");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        if let Some(user) = &self.user {
            chown(&temporary, Some(user.uid), Some(user.gid))?;
            chown(&self.dir, Some(user.uid), Some(user.gid))?;
        }
        fs::rename(&temporary, self.dir.join(CONFIG_FILE))
    }

    /// The end of its error log, which is where Icecast says why it gave up.
    pub(super) fn last_log_line(&self) -> Option<String> {
        let mut file = fs::File::open(self.dir.join(LOG_FILE)).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(MAX_LOG_TAIL))).ok()?;
        let mut tail = Vec::new();
        file.take(MAX_LOG_TAIL).read_to_end(&mut tail).ok()?;
        let tail = String::from_utf8_lossy(&tail);
        let line = tail.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(line.chars().filter(|c| !c.is_control()).take(MAX_LOG_LINE).collect())
    }

    /// The command that runs it in the foreground.
    pub(super) fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(setpriv) = ["/usr/bin/setpriv", "/bin/setpriv"].map(Path::new).into_iter().find(|p| is_program(p)) {
            // A daemon that is killed takes its Icecast along, else the port would stay taken.
            words.extend([setpriv.into(), "--pdeathsig".into(), "KILL".into()]);
            if let Some(user) = &self.user {
                words.extend(["--reuid".into(), user.name.clone().into()]);
                words.extend(["--regid".into(), user.gid.to_string().into(), "--init-groups".into()]);
            }
            words.push("--".into());
        }
        words.extend([self.path.clone().into(), "-c".into(), CONFIG_FILE.into()]);
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(&self.dir).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn icecast_user() -> Option<User> {
    parse_user(&fs::read_to_string("/etc/passwd").ok()?, PROGRAM)
}

fn parse_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        Some(User { name: name.to_owned(), uid, gid: fields.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nicecast2:x:101:102::/usr/share/icecast2:/sbin/nologin\n";
        let user = User { name: "icecast2".into(), uid: 101, gid: 102 };
        assert_eq!(parse_user(passwd, "icecast2"), Some(user));
        assert_eq!(parse_user(passwd, "icecast"), None);
        assert_eq!(parse_user("icecast2:x:many:1::/:/x", "icecast2"), None);
    }

    #[test]
    fn the_configuration_is_for_the_child_alone() {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new("/bin/true".into(), dir.path().join("icecast"));
        program.write_config("<one/>").unwrap();
        program.write_config("<two/>").unwrap();
        let file = dir.path().join("icecast/icecast.xml");
        assert_eq!(fs::read_to_string(&file).unwrap(), "<two/>");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path().join("icecast")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn off_is_off_and_a_path_is_taken_as_it_is() {
        assert_eq!(find(&IcecastMode::Off), None);
        assert_eq!(find(&IcecastMode::Path("/opt/icecast".into())), Some("/opt/icecast".into()));
    }
}
