//! What an administrator asks a cluster, by radioctl and etcdctl.

use std::{path::PathBuf, process::Output};

use serde_json::Value;

use crate::{
    cluster::Cluster,
    testbed::{Host, program},
};

/// What `create-mount` printed.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The mount.
    pub mount: String,
    /// The source's name.
    pub username: String,
    /// The source's password.
    pub password: String,
}

/// Exit code, standard output, standard error.
pub(crate) fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

impl Cluster {
    /// Runs radioctl on node `n`; exit code, standard output, standard error.
    #[must_use]
    pub fn radioctl(&self, n: usize, arguments: &[&str]) -> (i32, String, String) {
        let (binary, socket) = (program("radioctl"), self.socket(n).display().to_string());
        let line = [&[binary.to_str().expect("a plain path"), "--socket", socket.as_str()], arguments].concat();
        self.exec(n, &line)
    }

    /// As [`Cluster::radioctl`]; standard output of what must go well.
    #[must_use]
    pub fn radioctl_well(&self, n: usize, arguments: &[&str]) -> String {
        let (code, out, err) = self.radioctl(n, arguments);
        assert_eq!(code, 0, "radioctl {arguments:?} on host{n}: {out}{err}");
        out
    }

    /// As [`Cluster::radioctl`] with `-o json`; `Null` where it failed.
    #[must_use]
    pub fn json(&self, n: usize, arguments: &[&str]) -> Value {
        let (_, out, _) = self.radioctl(n, &[&["-o", "json"], arguments].concat());
        serde_json::from_str(&out).unwrap_or(Value::Null)
    }

    /// `radioctl status` of node `n`.
    #[must_use]
    pub fn status(&self, n: usize) -> Value {
        self.json(n, &["status"])
    }

    /// What node `n` knows of the member with this name; `Null` where it is none.
    #[must_use]
    pub fn member(&self, n: usize, name: &str) -> Value {
        let status = self.status(n);
        let nodes = status["nodes"].as_array().into_iter().flatten();
        nodes.clone().find(|node| node["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// Runs etcdctl on the client host, against node `n`; exit code, standard output, standard error.
    #[must_use]
    pub fn etcdctl(&self, n: usize, arguments: &[&str]) -> (i32, String, String) {
        let endpoint = format!("{}:2379", Host::Node(n).ip());
        let line = [&["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", endpoint.as_str()], arguments].concat();
        told(&self.testbed.exec(Host::Client, &line))
    }

    /// `radioctl token create` on node `n`, into a file.
    #[must_use]
    pub fn token_file(&self, n: usize, name: &str) -> PathBuf {
        let token = self.radioctl_well(n, &["token", "create"]);
        let file = self.testbed.folder("tokens").join(name);
        std::fs::write(&file, token).expect("the token is written");
        file
    }

    /// Creates a mount on node `n`.
    #[must_use]
    pub fn create_mount(&self, n: usize, mount: &str) -> Credentials {
        let out = self.radioctl_well(n, &["-o", "json", "create-mount", mount]);
        let reply: Value = serde_json::from_str(&out).expect("JSON");
        let text = |pointer: &str| reply.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        Credentials { mount: mount.into(), username: text("/mount/username"), password: text("/password") }
    }

    /// The node that holds a mount's source, as node `n` sees it.
    #[must_use]
    pub fn origin(&self, n: usize, mount: &str) -> Option<String> {
        let shown = self.json(n, &["show-mount", mount]);
        let origin = shown.pointer("/mount/origin").or_else(|| shown.get("origin"))?.as_str()?;
        (!origin.is_empty()).then(|| origin.to_owned())
    }
}
