//! `/etc/default/autoradio` and `/etc/default/etcd`: systemd reads them for the service (`EnvironmentFile=`), and
//! this for a person who starts the program by hand. The form is that of systemd.exec(5): `KEY=value` lines, no shell.

use std::{collections::BTreeMap, io::Read, path::PathBuf};

/// Names the files to read instead, with colons between them; `none` for none.
const OVERRIDE: &str = "AUTORADIO_ENVIRONMENT_FILES";

/// The first that has a variable is believed.
const FILES: &str = "/etc/default/autoradio:/etc/default/etcd";

/// A file of a few dozen options is far smaller.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What the files say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvironmentFiles {
    values: BTreeMap<String, String>,
    /// What could not be read or understood, for the person who wrote it.
    pub complaints: Vec<String>,
}

impl EnvironmentFiles {
    /// Reads the usual files, or those that `AUTORADIO_ENVIRONMENT_FILES` names. One that is not there says nothing.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let list = variable(OVERRIDE).unwrap_or_else(|| FILES.to_owned());
        let mut all = Self::default();
        for path in list.split(':').filter(|path| !path.is_empty() && *path != "none") {
            all.add(&PathBuf::from(path));
        }
        all
    }

    /// What the files say of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    fn add(&mut self, path: &std::path::Path) {
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.complaints.push(format!("{} is not read: {error}", path.display())),
            Ok(_) if text.len() as u64 > FILE_BYTES_MAX => {
                return self.complaints.push(format!("{} is not read: over {FILE_BYTES_MAX} bytes", path.display()));
            }
            Ok(_) => {}
        }
        let mut own = BTreeMap::new();
        for (number, line) in lines(&text) {
            match assignment(&line) {
                // Within a file the last is believed, as by systemd.
                Ok(Some((name, value))) => drop(own.insert(name, value)),
                Ok(None) => {}
                Err(reason) => self.complaints.push(format!("{}:{number}: {reason}", path.display())),
            }
        }
        for (name, value) in own {
            self.values.entry(name).or_insert(value);
        }
    }
}

/// Lines with their numbers from 1; a backslash at a line's end joins the next to it.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut whole: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let is_comment = !open && line.trim_start().starts_with(['#', ';']);
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(rest) if !is_comment && !rest.ends_with('\\') => (rest, true),
            _ => (line, false),
        };
        match whole.last_mut().filter(|_| open) {
            Some((_, last)) => last.push_str(line),
            None => whole.push((index + 1, line.to_owned())),
        }
        open = goes_on;
    }
    whole
}

/// Name and value of a line; `None` for an empty one or a comment.
fn assignment(line: &str) -> Result<Option<(String, String)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    let Some((name, value)) = line.split_once('=') else { return Err("no NAME=value".into()) };
    // People copy these files from shells and from etcdctl's output.
    let name = name.trim_end().strip_prefix("export ").unwrap_or(name).trim();
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(fit) {
        return Err(format!("{name:?} is no variable's name"));
    }
    Ok(Some((name.to_owned(), unquoted(value.trim())?)))
}

/// The value without its quotes; nothing is expanded.
fn unquoted(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => out.push(c),
            // Within double quotes a backslash only hides what would else mean something, as in a shell.
            (Some(_), '\\') => match chars.next() {
                Some(hidden @ ('"' | '\\' | '$' | '`')) => out.push(hidden),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            (None, '\\') => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    if quote.is_some() { Err("a quote is not closed".into()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> String {
        assignment(line).unwrap().unwrap().1
    }

    #[test]
    fn values_are_taken_with_and_without_quotes() {
        assert_eq!(value(r#"A="--domain=radio.example""#), "--domain=radio.example");
        assert_eq!(value("A='b c'"), "b c");
        assert_eq!(value("  A = b  "), "b");
        assert_eq!(value("export A=b"), "b");
        assert_eq!(value("A="), "");
        assert_eq!(
            value("A=node1=http://host1:2380,node2=http://host2:2380"),
            "node1=http://host1:2380,node2=http://host2:2380"
        );
        assert_eq!(value(r#"A="a \"b\" \\ \x $HOME""#), r#"a "b" \ \x $HOME"#);
        assert_eq!(value(r"A=a\ b"), "a b");
        assert_eq!(value("A=a#b"), "a#b", "a hash within a value is no comment");
    }

    #[test]
    fn what_is_no_assignment_is_left_out_or_complained_of() {
        assert_eq!((assignment(""), assignment("# A=b"), assignment("; A=b")), (Ok(None), Ok(None), Ok(None)));
        assert!(assignment("A").is_err());
        assert!(assignment("1A=b").is_err());
        assert!(assignment("A B=c").is_err());
        assert!(assignment("A=\"b").unwrap_err().contains("not closed"));
        assert!(assignment("$(reboot)=b").is_err());
    }

    #[test]
    fn a_line_goes_on_after_a_backslash() {
        assert_eq!(lines("A=b,\\\nc\nD=e\\"), [(1, "A=b,c".into()), (3, "D=e".into())]);
        assert_eq!(lines("# x\\\nA=b"), [(1, "# x\\".into()), (2, "A=b".into())]);
    }

    #[test]
    fn the_first_file_and_in_it_the_last_line_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("autoradio"), dir.path().join("etcd"));
        std::fs::write(&first, "A=1\nA=2\nnonsense\n").unwrap();
        std::fs::write(&second, "A=3\nB=\"4\"\n").unwrap();
        let list = format!("{}:{}:{}/absent", first.display(), second.display(), dir.path().display());
        let files = EnvironmentFiles::read(|name| (name == OVERRIDE).then(|| list.clone()));
        assert_eq!(
            (files.get("A").as_deref(), files.get("B").as_deref(), files.get("C")),
            (Some("2"), Some("4"), None)
        );
        assert_eq!(files.complaints, [format!("{}:3: no NAME=value", first.display())]);
        let none = EnvironmentFiles::read(|_| Some("none".into()));
        assert_eq!(none, EnvironmentFiles::default());
    }

    #[test]
    fn a_file_that_is_too_large_or_a_folder_is_complained_of() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large");
        std::fs::write(&large, "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1)).unwrap();
        let list = format!("{}:{}", large.display(), dir.path().display());
        let files = EnvironmentFiles::read(|_| Some(list.clone()));
        assert_eq!(files.complaints.len(), 2, "{:?}", files.complaints);
    }
}
