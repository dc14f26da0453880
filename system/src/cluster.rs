//! Three nodes on a testbed, as an administrator starts them.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    testbed::{Host, Job, Testbed, program},
    wait::wait_until,
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

/// A cluster on a testbed.
#[derive(Debug)]
pub struct Cluster {
    // The nodes end before the testbed goes down.
    nodes: Vec<Option<Job>>,
    options: Vec<String>,
    /// The hosts.
    pub testbed: Testbed,
}

impl Cluster {
    /// `init` on host 1, `join host1` by tokens on the others, until every node votes.
    #[must_use]
    pub fn up(hosts: usize) -> Self {
        Self::up_with(hosts, &["--icecast", "off"])
    }

    /// As [`Cluster::up`], with other options than `--icecast off`.
    #[must_use]
    pub fn up_with(hosts: usize, options: &[&str]) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            options: options.iter().map(|&o| o.to_owned()).collect(),
            testbed: Testbed::up(hosts),
        };
        for n in 1..=hosts {
            let job = if n == 1 {
                cluster.launch(n, &["init"])
            } else {
                let token = cluster.token_file(1, &format!("token{n}"));
                cluster.launch(n, &["join", "host1", "--token-file", token.to_str().expect("a plain path")])
            };
            cluster.nodes.push(Some(job));
            cluster.wait_log(n, if n == 1 { "created" } else { "joined in" });
        }
        wait_until("every node votes", Duration::from_secs(20), || {
            (cluster.status(1)["voters"].as_u64() == Some(hosts as u64)).then_some(())
        });
        cluster
    }

    fn launch(&self, n: usize, verb: &[&str]) -> Job {
        let data = self.testbed.folder(&format!("data{n}"));
        let (name, ip) = (format!("host{n}"), Host::Node(n).ip());
        let binary = program("autoradio-node");
        let mut line = vec![binary.to_str().expect("a plain path")];
        line.extend(verb);
        let (data, socket) = (data.display().to_string(), self.socket(n).display().to_string());
        line.extend(["--name", &name, "--data-dir", &data, "--admin-socket", &socket, "--peer-ip", &ip]);
        line.extend(["--public-ip", &ip, "--domain", "radio.test", "--max-clients", "5000"]);
        let clients = format!("http://127.0.0.1:2379,http://{ip}:2379");
        line.extend(["--listen-client-urls", &clients]);
        line.extend(self.options.iter().map(String::as_str));
        self.testbed.spawn(Host::Node(n), &format!("node{n}.log"), &line)
    }

    /// `radioctl token create` on node `n`, into a file.
    #[must_use]
    pub fn token_file(&self, n: usize, name: &str) -> PathBuf {
        let (code, token, err) = self.radioctl(n, &["token", "create"]);
        assert_eq!(code, 0, "token create: {err}");
        let file = self.testbed.folder("tokens").join(name);
        std::fs::write(&file, token).expect("the token is written");
        file
    }

    /// A node's admin socket.
    #[must_use]
    pub fn socket(&self, n: usize) -> PathBuf {
        self.testbed.folder(&format!("run{n}")).join("admin.sock")
    }

    /// What a node wrote.
    #[must_use]
    pub fn log(&self, n: usize) -> String {
        self.testbed.log(&format!("node{n}.log"))
    }

    /// Waits until a node wrote `text`.
    pub fn wait_log(&self, n: usize, text: &str) {
        wait_until(&format!("{text:?} in node {n}'s log"), Duration::from_secs(30), || {
            self.log(n).contains(text).then_some(())
        });
    }

    /// `kill -9`.
    pub fn kill(&mut self, n: usize) {
        self.nodes[n - 1].take().expect("the node runs").kill();
    }

    /// `SIGSTOP`: a node that runs stands still, and does not know it.
    pub fn pause(&self, n: usize) {
        self.nodes[n - 1].iter().for_each(|job| job.signal("-STOP"));
    }

    /// `SIGCONT`.
    pub fn resume(&self, n: usize) {
        self.nodes[n - 1].iter().for_each(|job| job.signal("-CONT"));
    }

    /// `kill -9` of all nodes at once.
    pub fn kill_all(&mut self) {
        self.nodes.iter().flatten().for_each(|job| job.signal("-KILL"));
        self.nodes.iter_mut().for_each(|node| *node = None);
    }

    /// Starts a killed node again with `run`.
    pub fn restart(&mut self, n: usize) {
        assert!(self.nodes[n - 1].is_none(), "node {n} runs already");
        self.nodes[n - 1] = Some(self.launch(n, &["run"]));
    }

    /// Runs radioctl on node `n`; exit code, standard output, standard error.
    #[must_use]
    pub fn radioctl(&self, n: usize, arguments: &[&str]) -> (i32, String, String) {
        let (binary, socket) = (program("radioctl"), self.socket(n).display().to_string());
        let line = [&[binary.to_str().expect("a plain path"), "--socket", socket.as_str()], arguments].concat();
        let output = self.testbed.exec(Host::Node(n), &line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
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

    /// Creates a mount on node `n`.
    #[must_use]
    pub fn create_mount(&self, n: usize, mount: &str) -> Credentials {
        let (code, out, err) = self.radioctl(n, &["-o", "json", "create-mount", mount]);
        assert_eq!(code, 0, "create-mount {mount}: {out}{err}");
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
