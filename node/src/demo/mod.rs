//! `autoradio-node demo`: three nodes in one process, a voice that counts the seconds, and a key that kills the origin.

mod cluster;
mod ear;
mod keys;
mod screen;
mod station;
mod track;

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use autoradio_machine::{MemberUpdate, MountName, NodeId};
use autoradio_policy::ClusterView;
use autoradio_proto::admin::{CreateMountRequest, admin_client::AdminClient};

use self::{
    cluster::{DemoNode, NAMES, client_address, http_address},
    ear::Ear,
    keys::{Key, Keys},
    screen::{Line, Picture},
    station::{Encoder, PROGRAMS},
};

/// Events that stay on the screen.
const EVENTS: usize = 8;
/// How often the screen is drawn anew.
const TICK: Duration = Duration::from_millis(100);
/// How long a new origin or a majority is waited for before the demo says that something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long listeners are watched after a kill before the demo says what they lost.
const VERDICT_AFTER: Duration = Duration::from_secs(5);

/// The demo's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// End by itself after so many seconds
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Kill the origin every so many seconds, and restart it half-way
    #[arg(long)]
    pub kill_every: Option<u64>,
}

/// Runs the demo until it is ended. Blocks: call it from a thread that belongs to no runtime.
///
/// # Errors
/// A port is taken, no temporary folder, or the nodes find no majority.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut demo = Demo::start(folder.path())?;
    let result = demo.play(args);
    demo.end();
    result
}

struct Demo {
    folder: std::path::PathBuf,
    nodes: Vec<DemoNode>,
    encoders: Vec<Encoder>,
    ears: Vec<[Ear; PROGRAMS.len()]>,
    events: Vec<String>,
    stop: Arc<AtomicBool>,
    verdict: Option<Verdict>,
}

/// A kill whose effect is being watched.
struct Verdict {
    killed: usize,
    at: Instant,
    handed_over: Option<Duration>,
}

impl Demo {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        println!("starting {} …", NAMES.join(", "));
        let nodes: Vec<DemoNode> = (0..NAMES.len())
            .map(|i| DemoNode::start(i, folder))
            .collect::<Result<_, _>>()
            .context("the demo needs ports 8700 to 8722 on 127.0.0.1; is another demo running?")?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut demo = Self {
            folder: folder.to_owned(),
            nodes,
            encoders: Vec::new(),
            ears: Vec::new(),
            events: Vec::new(),
            stop: stop.clone(),
            verdict: None,
        };
        demo.wait("a leader", |view| view.quorum)?;
        for program in PROGRAMS {
            let login = create_mount(program.mount)?;
            demo.encoders.push(Encoder::start(program, login, NAMES.len(), stop.clone()));
        }
        demo.wait("the streams on air", |view| view.catalog.origins.len() == PROGRAMS.len())?;
        demo.ears = (0..NAMES.len()).map(|n| PROGRAMS.map(|p| Ear::start(p, n, stop.clone()))).collect();
        Ok(demo)
    }

    fn wait(&self, what: &str, done: impl Fn(&ClusterView) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !self.view().is_some_and(|view| done(&view)) {
            if start.elapsed() > PATIENCE {
                let words: Vec<_> = self.encoders.iter().map(Encoder::word).collect();
                bail!("waited {PATIENCE:?} in vain for {what}; {}", words.join("; "));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The cluster as a living node sees it.
    fn view(&self) -> Option<Arc<ClusterView>> {
        self.nodes.iter().find_map(DemoNode::context).map(|context| context.view.now())
    }

    fn play(&mut self, args: &DemoArgs) -> anyhow::Result<()> {
        let keys = Keys::start(std::io::stdin().is_terminal() && std::io::stdout().is_terminal())?;
        let (start, mut last_act, mut half) = (Instant::now(), Instant::now(), false);
        loop {
            self.judge();
            self.draw(keys.raw())?;
            match keys.next(TICK) {
                Some(Key::Kill) => self.kill(),
                Some(Key::Restart) => self.restart()?,
                Some(Key::Drain) => self.drain(),
                Some(Key::Quit) => return Ok(()),
                None => {}
            }
            if let Some(every) = args.kill_every.map(Duration::from_secs) {
                if !half && last_act.elapsed() > every / 2 {
                    self.kill();
                    half = true;
                } else if half && last_act.elapsed() > every {
                    self.restart()?;
                    (last_act, half) = (Instant::now(), false);
                }
            }
            if args.seconds.is_some_and(|s| start.elapsed() > Duration::from_secs(s)) {
                return Ok(());
            }
        }
    }

    fn say(&mut self, event: String) {
        if !std::io::stdout().is_terminal() {
            println!("{event}");
        }
        self.events.push(event);
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
    }

    /// The node that holds the first stream.
    fn origin(&self) -> Option<usize> {
        let view = self.view()?;
        let name = MountName::parse(PROGRAMS[0].mount).ok()?;
        index_of(&view, view.catalog.origins.get(&name)?.origin.node)
    }

    fn kill(&mut self) {
        let Some(victim) = self.origin().filter(|n| self.nodes[*n].context().is_some()) else {
            return self.say("no origin to kill just now".into());
        };
        if self.nodes.iter().filter(|n| n.context().is_some()).count() < NAMES.len() {
            return self.say("two of three are needed to decide: restart the dead one first [r]".into());
        }
        self.ears.iter().flatten().for_each(Ear::reset);
        self.nodes[victim].kill();
        self.verdict = Some(Verdict { killed: victim, at: Instant::now(), handed_over: None });
        self.say(format!("{} killed", NAMES[victim]));
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        for i in 0..self.nodes.len() {
            if self.nodes[i].context().is_none() {
                self.nodes[i] = DemoNode::start(i, &self.folder)?;
                self.say(format!("{} runs again", NAMES[i]));
            }
        }
        Ok(())
    }

    /// Drains the origin, and has the encoders move on; a drained node that is not origin any more is taken back.
    fn drain(&mut self) {
        let Some((view, origin)) = self.view().zip(self.origin()) else { return };
        self.ears.iter().flatten().for_each(Ear::reset);
        for (id, member) in view.catalog.members.iter() {
            let drained = index_of(&view, *id) == Some(origin);
            let Some(context) = self.nodes.iter().find_map(DemoNode::context).filter(|_| member.drained != drained)
            else {
                continue;
            };
            let (raft, update) =
                (context.raft.clone(), MemberUpdate { id: *id, drained: Some(drained), ..Default::default() });
            context.tasks.spawn(async move {
                if let Err(error) = raft.propose(autoradio_machine::Command::MemberUpdate(update)).await {
                    tracing::warn!(%error, "drain");
                }
            });
        }
        self.encoders.iter().for_each(|e| e.move_on.store(true, Ordering::Relaxed));
        self.say(format!("{} drained: its sources move on, new listeners go elsewhere", NAMES[origin]));
    }

    /// Watches what follows a kill, and says what it cost.
    fn judge(&mut self) {
        let origin = self.origin();
        let Some(verdict) = &mut self.verdict else { return };
        if verdict.handed_over.is_none() && origin.is_some_and(|o| o != verdict.killed) {
            verdict.handed_over = Some(verdict.at.elapsed());
            let event = format!(
                "{} is origin {} ms after the kill: so long there was none",
                NAMES[origin.expect("just compared")],
                verdict.at.elapsed().as_millis()
            );
            return self.say(event);
        }
        if verdict.handed_over.is_some() && verdict.at.elapsed() > VERDICT_AFTER {
            let killed = verdict.killed;
            self.verdict = None;
            let others = (0..NAMES.len()).filter(|n| *n != killed);
            let texts: Vec<_> = others
                .map(|n| {
                    let heard = self.heard(n);
                    format!(
                        "{}: {} lost, {} twice",
                        NAMES[n],
                        screen::bytes(heard.lost_bytes),
                        screen::bytes(heard.repeated_bytes)
                    )
                })
                .collect();
            self.say(format!("listeners elsewhere: {}", texts.join("; ")));
        }
    }

    fn heard(&self, node: usize) -> track::Counts {
        self.ears[node].iter().map(Ear::counts).fold(track::Counts::default(), |sum, counts| track::Counts {
            in_order: sum.in_order + counts.in_order,
            lost_bytes: sum.lost_bytes + counts.lost_bytes,
            repeated_bytes: sum.repeated_bytes + counts.repeated_bytes,
        })
    }

    fn draw(&self, keys: bool) -> std::io::Result<()> {
        if !std::io::stdout().is_terminal() {
            return Ok(());
        }
        let text = screen::render(&self.picture(keys));
        let mut out = std::io::stdout().lock();
        // Home, each line cleared to its end, then everything below: no flicker.
        write!(out, "\x1b[H")?;
        for line in text.lines() {
            write!(out, "{line}\x1b[K\r\n")?;
        }
        write!(out, "\x1b[J")?;
        out.flush()
    }

    fn picture(&self, keys: bool) -> Picture {
        let view = self.view();
        let origin = self.origin();
        let alive = |n: usize| self.nodes[n].context().is_some();
        let home = (0..NAMES.len()).find(|n| alive(*n)).unwrap_or_default();
        let lines = (0..NAMES.len())
            .map(|n| {
                let member =
                    view.as_ref().and_then(|v| v.catalog.members.values().find(|m| m.name == NAMES[n]).cloned());
                let leads =
                    view.as_ref().is_some_and(|v| v.leader.is_some() && v.leader == member.as_ref().map(|m| m.id));
                let roles = [(origin == Some(n), "origin"), (leads && alive(n), "leader")];
                Line {
                    name: NAMES[n],
                    role: roles.iter().filter(|r| r.0).map(|r| r.1).collect::<Vec<_>>().join(", "),
                    state: match member {
                        _ if !alive(n) => "dead",
                        Some(member) if member.drained => "drained",
                        _ => "ok",
                    },
                    listeners: self.nodes[n]
                        .context()
                        .map_or(0, |c| u32::try_from(c.metrics.listeners.get()).unwrap_or(0)),
                    sent_bytes: self.nodes[n].context().map_or(0, |c| c.metrics.sent_bytes_total.get()),
                    heard: self.heard(n),
                }
            })
            .collect();
        let urls = PROGRAMS.iter().map(|p| format!("http://{}{}.m3u", http_address(home), p.mount));
        let plain = (0..NAMES.len()).map(|n| format!("http://{}{}", http_address(n), PROGRAMS[0].mount));
        Picture { urls: plain.chain(urls).collect(), lines, events: self.events.clone(), keys }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.nodes.iter_mut().for_each(DemoNode::stop);
    }
}

fn index_of(view: &ClusterView, node: NodeId) -> Option<usize> {
    let name = &view.catalog.members.get(&node)?.name;
    NAMES.iter().position(|n| n == name)
}

/// Creates a mount as radioctl would, and gives its `user:password`.
fn create_mount(name: &str) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut admin = AdminClient::connect(format!("http://{}", client_address(0))).await?;
        let request = CreateMountRequest { name: name.into(), username: String::new(), settings: None };
        let reply = tokio::time::timeout(PATIENCE, admin.create_mount(request)).await??.into_inner();
        let mount = reply.mount.context("an answer without a mount")?;
        Ok(format!("{}:{}", mount.username, reply.password))
    })
}
