//! The command line.

use std::{path::PathBuf, time::Duration};

use autoradio_proto::admin::MountSettings;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    duration, exit,
    keep::{NodeCommand, RaftCommand},
};

/// Names that `--clear` takes.
const SETTINGS: [&str; 8] = ["burst", "hold", "max-listeners", "public", "title", "description", "genre", "url"];

/// Administers an autoradio cluster, by any of its nodes.
#[derive(Debug, Parser)]
#[command(name = "radioctl", version, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Args {
    /// The daemon's socket [env: AUTORADIO_ADMIN_SOCKET] [default: /run/autoradio/admin.sock]
    // The environment is read elsewhere: clap would take a variable and an option for a conflict.
    #[arg(long, global = true, help_heading = "Global options", value_name = "PATH", conflicts_with = "server")]
    pub(crate) socket: Option<PathBuf>,
    /// A node's client port instead, 2379 unless told; several, by commas, are tried in order; https:// for TLS, which a
    /// known CA implies [env: AUTORADIO_SERVER]
    #[arg(long, global = true, help_heading = "Global options", value_name = "HOST[:PORT]")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) login: LoginArgs,
    /// Tables for people, JSON for programs
    #[arg(short, long, global = true, help_heading = "Global options", value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The longest to wait for an answer
    #[arg(long, global = true, help_heading = "Global options", value_name = "TIME", default_value = "10s", value_parser = duration::parse_limit)]
    pub(crate) timeout: Duration,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Files of TLS to a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// The CA of the server's certificate [env: AUTORADIO_CACERT] [default: /etc/autoradio/etcd_ca.pem, if there]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// The certificate to present [env: AUTORADIO_CERT] [default: /etc/autoradio/etcd_client.pem, if there]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key [env: AUTORADIO_KEY] [default: /etc/autoradio/etcd_client.key, if there]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// Who asks, where a server wants to know.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct LoginArgs {
    /// Your user, with --server; the password is asked for, or read from AUTORADIO_PASSWORD [env: AUTORADIO_USER]
    #[arg(long, global = true, help_heading = "Global options", value_name = "NAME", conflicts_with = "socket")]
    pub(crate) user: Option<String>,
    /// A file with its password
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what runs, what is on air, and what the cluster can survive
    Status {
        /// Show it again every 2 seconds
        #[arg(short, long)]
        watch: bool,
    },
    /// Make a mount; prints its user and password, this once
    CreateMount {
        /// The mount's path, such as /live.mp3
        name: String,
        /// The user that the encoder gives
        #[arg(long, default_value = "source")]
        username: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// List all mounts
    #[command(visible_alias = "list")]
    ListMounts,
    /// Show a mount, its settings and where it is heard
    ShowMount {
        /// The mount's path
        name: String,
    },
    /// Change a mount's settings: only those given
    EditMount {
        /// The mount's path
        name: String,
        /// The user that the encoder gives
        #[arg(long)]
        username: Option<String>,
        #[command(flatten)]
        settings: Settings,
        /// A setting to go back to its default; repeatable
        #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = SETTINGS)]
        clear: Vec<String>,
    },
    /// Delete a mount; its source is cut off
    DeleteMount {
        /// The mount's path
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Make a new password for a mount; prints it, this once
    ResetPassword {
        /// The mount's path
        name: String,
    },
    /// Send no new listeners or sources to a node
    Drain {
        /// The node's name or id
        node: String,
    },
    /// Let a drained node take listeners and sources again
    Undrain {
        /// The node's name or id
        node: String,
    },
    /// List, remove, leave: who is a member
    #[command(subcommand)]
    Node(NodeCommand),
    /// Write a backup of the cluster's state to standard output
    Backup,
    /// Make a new cluster of a backup, at a node that is part of none
    Restore {
        /// The backup, or - for standard input
        file: PathBuf,
    },
    /// When all else fails
    #[command(subcommand)]
    Raft(RaftCommand),
    /// Make, list and revoke tokens that let nodes join
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// What concerns the cluster as a whole
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Users with a role: owner, operator of the mounts below a prefix, or viewer
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Whether clients on port 2379 must say who they are
    Auth {
        #[command(subcommand)]
        command: AuthCommand,
    },
    /// Show who changed what, from where and when, the newest first
    Audit {
        /// So many entries; 0 for all that are kept
        #[arg(short, long, value_name = "NUMBER", default_value_t = 20)]
        number: u32,
    },
    /// Print radioctl's version
    Version,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a join token: it lets one node in, once; prints it, this once
    Create {
        /// How long it is valid, up to 7d
        #[arg(long, value_name = "TIME", default_value = "60m", value_parser = duration::parse_limit)]
        ttl: Duration,
        /// What the node becomes: a learner carries listeners and never votes
        #[arg(long, value_enum, default_value_t)]
        role: Role,
    },
    /// List tokens, and what became of them
    List,
    /// Make a token invalid
    Revoke {
        /// Its number, as listed
        id: String,
    },
}

/// What a node becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// A voter, where there are fewer than five.
    #[default]
    Voter,
    /// A learner for good.
    Learner,
}

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Change a cluster that was founded without TLS to TLS, without an interruption
    Secure {
        /// The longest to wait for all nodes
        #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration::parse_limit)]
        wait: Duration,
    },
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user; prints its password, this once
    Add {
        /// The user's name
        name: String,
        /// What the user may do
        #[arg(long, value_parser = ["owner", "operator", "viewer"])]
        role: String,
        /// What an operator's mounts begin with, such as /dj/; / for all
        #[arg(long, value_name = "PATH")]
        prefix: Option<String>,
    },
    /// List all users
    List,
    /// Delete a user
    Delete {
        /// The user's name
        name: String,
    },
    /// Make a new password for a user; prints it, this once
    ResetPassword {
        /// The user's name
        name: String,
    },
}

/// What to do with auth.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Demand a user of every client, of etcdctl, too; the admin socket stays as it is
    Enable,
    /// Let everybody in who reaches the port
    Disable,
}

/// A mount's settings.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Settings {
    /// Audio that a new listener gets at once, such as 2s
    #[arg(long, value_name = "TIME", value_parser = duration::parse_ms)]
    burst: Option<u32>,
    /// How long listeners are kept while the source is away, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration::parse_ms)]
    hold: Option<u32>,
    /// The most listeners in the whole cluster
    #[arg(long, value_name = "NUMBER")]
    max_listeners: Option<u32>,
    /// Let directories list the mount
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    public: Option<bool>,
    /// The stream's name
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its genre
    #[arg(long, value_name = "TEXT")]
    genre: Option<String>,
    /// Its web site
    #[arg(long)]
    url: Option<String>,
}

impl Settings {
    /// Those that are given, as sent.
    pub(crate) fn to_wire(&self) -> MountSettings {
        MountSettings {
            burst_ms: self.burst,
            hold_ms: self.hold,
            max_listeners: self.max_listeners,
            public: self.public,
            title: self.title.clone(),
            description: self.description.clone(),
            genre: self.genre.clone(),
            url: self.url.clone(),
        }
    }

    fn is_set(&self, setting: &str) -> bool {
        match setting {
            "burst" => self.burst.is_some(),
            "hold" => self.hold.is_some(),
            "max-listeners" => self.max_listeners.is_some(),
            "public" => self.public.is_some(),
            "title" => self.title.is_some(),
            "description" => self.description.is_some(),
            "genre" => self.genre.is_some(),
            "url" => self.url.is_some(),
            _ => false,
        }
    }

    /// Whether an edit makes sense: something is to change, and nothing in two ways.
    pub(crate) fn check_edit(&self, username: Option<&str>, clear: &[String]) -> Result<(), String> {
        if let Some(both) = clear.iter().find(|name| self.is_set(name)) {
            return Err(format!("--{both} and --clear {both} contradict one another: give one of them"));
        }
        if username.is_none() && clear.is_empty() && !SETTINGS.iter().any(|name| self.is_set(name)) {
            return Err("nothing to change: give a setting, such as --title TEXT or --clear title".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_behind_the_command() {
        for line in ["radioctl -o json --timeout 1s status", "radioctl status -o json --timeout 1s"] {
            let args = parse(line).unwrap();
            assert_eq!((args.output, args.timeout), (Output::Json, Duration::from_secs(1)));
        }
        assert!(parse("radioctl --socket /s --server host1 status").is_err());
        assert!(parse("radioctl --timeout 10 status").is_err());
    }

    #[test]
    fn settings_are_read() {
        let args = parse("radioctl create-mount /a --burst 500ms --hold 2m --public --max-listeners 9").unwrap();
        let Command::CreateMount { name, username, settings } = args.command else { panic!("{args:?}") };
        assert_eq!((name.as_str(), username.as_str()), ("/a", "source"));
        let sent = settings.to_wire();
        assert_eq!((sent.burst_ms, sent.hold_ms, sent.public), (Some(500), Some(120_000), Some(true)));
        let args = parse("radioctl edit-mount /a --public=false --clear title,url").unwrap();
        let Command::EditMount { settings, clear, .. } = args.command else { panic!("{args:?}") };
        assert_eq!((settings.public, clear.len()), (Some(false), 2));
    }

    #[test]
    fn an_edit_changes_something_and_in_one_way() {
        let clear = |name: &str| vec![name.to_owned()];
        let titled = Settings { title: Some("T".into()), ..Settings::default() };
        assert!(Settings::default().check_edit(None, &[]).is_err());
        assert!(titled.check_edit(None, &clear("title")).is_err());
        assert!(titled.check_edit(None, &clear("url")).is_ok());
        assert!(Settings::default().check_edit(Some("anna"), &[]).is_ok());
    }
}
