//! The demo: three nodes, two mounts, somebody who listens, and keys to break things.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use autoradio_machine::MountName;
use crossterm::{cursor, event, execute, queue, terminal};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    DemoError,
    encoder::{Encoder, Progress},
    listener::{Ears, listen},
    sound::{Form, Sound},
    stage::{NODES, Seat, front},
    table::{Kill, Table},
    tally::Tally,
};
use crate::daemon::Start;

/// How often the table is drawn, and the origin looked at.
const TICK: Duration = Duration::from_millis(100);
/// Where there is no terminal, a line each.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The node that is listened at; the encoders use the others, so that a killed origin is never the listener's own.
const LISTENERS_NODE: usize = NODES - 1;
/// Kills that are shown.
const MAX_KILLS: usize = 8;

/// The mounts, with their forms.
const MOUNTS: [(&str, Form); 2] = [("/demo.mp3", Form::Mp3), ("/demo.opus", Form::Opus)];

/// Runs the demo until `q`, or for `seconds`. Without a terminal it kills the origin after a third of the time, starts
/// it again after two, and says lines.
///
/// # Errors
/// [`DemoError`].
pub async fn run(seconds: Option<u64>) -> Result<(), DemoError> {
    let dir = tempfile::tempdir().map_err(DemoError::Folder)?;
    let mut show = Show::open(dir.path()).await?;
    let result = show.play(seconds.map(Duration::from_secs)).await;
    show.close().await;
    result
}

struct Show {
    seats: Vec<Seat>,
    /// Encoders and listeners; they end with it.
    tasks: JoinSet<()>,
    ears: Vec<(MountName, Ears)>,
    kills: Vec<(Kill, Instant)>,
    drained: Option<usize>,
}

impl Show {
    async fn open(dir: &std::path::Path) -> Result<Self, DemoError> {
        let mut seats: Vec<Seat> = (0..NODES).map(|index| Seat::new(index, dir)).collect();
        let first = seats.first().map(Seat::peer_url).unwrap_or_default();
        for (index, seat) in seats.iter_mut().enumerate() {
            let start = if index == 0 { Start::Init } else { Start::Join(first.clone()) };
            seat.start(start).await?;
        }
        let mut show = Self { seats, tasks: JoinSet::new(), ears: Vec::new(), kills: Vec::new(), drained: None };
        for (mount, form) in MOUNTS {
            let name = MountName::parse(mount).map_err(DemoError::Admin)?;
            show.put_on_air(name, Sound::new(form)).await?;
        }
        Ok(show)
    }

    async fn put_on_air(&mut self, name: MountName, sound: Sound) -> Result<(), DemoError> {
        let Some(seat) = self.seats.first() else { return Ok(()) };
        let login = seat.create_mount(&name).await?;
        let nodes = (0..NODES).filter(|index| *index != LISTENERS_NODE).map(front).collect();
        let ears = Ears::new(Tally::new(sound.clone()));
        let encoder = Encoder { sound, mount: name.to_string(), login, nodes, progress: Arc::new(Progress::default()) };
        self.tasks.spawn(encoder.run());
        self.tasks.spawn(listen(front(LISTENERS_NODE), name.to_string(), ears.clone()));
        self.ears.push((name, ears));
        Ok(())
    }

    async fn play(&mut self, limit: Option<Duration>) -> Result<(), DemoError> {
        let on_terminal = std::io::stdout().is_terminal();
        let _screen = if on_terminal { Some(Screen::open()?) } else { None };
        let mut keys = if on_terminal { Some(read_keys()) } else { None };
        let began = Instant::now();
        let (mut said, mut killed, mut restarted) = (None::<Instant>, false, false);
        while limit.is_none_or(|limit| began.elapsed() < limit) {
            self.measure_gaps();
            if on_terminal {
                draw(&self.table().lines()).map_err(DemoError::Terminal)?;
            } else if said.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                said = Some(Instant::now());
                println!(
                    "{}",
                    self.table().lines().into_iter().filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" | ")
                );
            }
            if let (false, Some(limit)) = (on_terminal, limit) {
                if !killed && began.elapsed() >= limit / 3 {
                    killed = true;
                    self.kill_origin();
                } else if !restarted && began.elapsed() >= limit * 2 / 3 {
                    restarted = true;
                    self.restart().await?;
                }
            }
            let key = match &mut keys {
                Some(keys) => tokio::time::timeout(TICK, keys.recv()).await.ok().flatten(),
                None => {
                    sleep(TICK).await;
                    None
                }
            };
            match key {
                Some('k') => self.kill_origin(),
                Some('r') => self.restart().await?,
                Some('d') => self.drain().await?,
                Some('q') => break,
                _ => {}
            }
        }
        Ok(())
    }

    /// The seat that holds the first mount's source lease, by what the listener's node sees.
    fn origin(&self, mount: &MountName) -> Option<usize> {
        let view = self.seats.get(LISTENERS_NODE)?.context()?.view.now();
        let claim = view.catalog.origins.get(mount)?;
        let name = &view.catalog.members.get(&claim.origin.node)?.name;
        self.seats.iter().position(|seat| seat.name() == name)
    }

    fn kill_origin(&mut self) {
        let Some(origin) = self.ears.first().and_then(|(mount, _)| self.origin(mount)) else { return };
        let before = self.ears.iter().map(|(mount, ears)| (mount.to_string(), ears.counts().0)).collect();
        let Some(seat) = self.seats.get_mut(origin).filter(|seat| seat.context().is_some()) else { return };
        seat.kill();
        let kill = Kill { node: seat.name().to_owned(), gap: None, before };
        self.kills.push((kill, Instant::now()));
        if self.kills.len() > MAX_KILLS {
            self.kills.remove(0);
        }
    }

    /// A mount has an origin when the lease's holder runs.
    fn measure_gaps(&mut self) {
        let holder = self.ears.first().and_then(|(mount, _)| self.origin(mount));
        let lives = holder.and_then(|index| self.seats.get(index)).is_some_and(|seat| seat.context().is_some());
        if lives {
            for (kill, at) in self.kills.iter_mut().filter(|(kill, _)| kill.gap.is_none()) {
                kill.gap = Some(at.elapsed());
            }
        }
    }

    async fn restart(&mut self) -> Result<(), DemoError> {
        for seat in &mut self.seats {
            seat.start(Start::Found).await?;
        }
        Ok(())
    }

    /// Drains the origin, or puts the drained node back into service.
    async fn drain(&mut self) -> Result<(), DemoError> {
        let (index, drained) = match self.drained.take() {
            Some(index) => (index, false),
            None => match self.ears.first().and_then(|(mount, _)| self.origin(mount)) {
                Some(index) => (index, true),
                None => return Ok(()),
            },
        };
        let (Some(asked), Some(seat)) = (self.seats.get(LISTENERS_NODE), self.seats.get(index)) else { return Ok(()) };
        asked.set_drained(seat.name(), drained).await?;
        self.drained = drained.then_some(index);
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        for (index, seat) in self.seats.iter().enumerate() {
            let state = match seat.context() {
                None => "dead (r starts it again)".to_owned(),
                Some(context) => {
                    let view = context.view.now();
                    let role = if view.leader == Some(view.me) { "leader" } else { "runs" };
                    let drained = if self.drained == Some(index) { ", drained" } else { "" };
                    let heard = if index == LISTENERS_NODE { ", listened at" } else { "" };
                    format!("http://{}  {role}{drained}{heard}", front(index))
                }
            };
            table.nodes.push((seat.name().to_owned(), state));
        }
        for (mount, ears) in &self.ears {
            let origin = self.origin(mount).and_then(|index| self.seats.get(index)).filter(|s| s.context().is_some());
            let (counts, connections) = ears.counts();
            table.mounts.push((mount.to_string(), origin.map(|seat| seat.name().to_owned()), counts, connections));
        }
        table.kills = self.kills.iter().map(|(kill, _)| kill.clone()).collect();
        table
    }

    async fn close(&mut self) {
        self.tasks.shutdown().await;
        for seat in &mut self.seats {
            seat.stop().await;
        }
    }
}

/// The terminal in raw mode, and as it was when this is dropped.
struct Screen;

impl Screen {
    fn open() -> Result<Self, DemoError> {
        terminal::enable_raw_mode().map_err(DemoError::Terminal)?;
        let screen = Self;
        execute!(std::io::stdout(), terminal::EnterAlternateScreen, cursor::Hide).map_err(DemoError::Terminal)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing more can be done where the terminal is gone.
        let _ = execute!(std::io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

fn draw(lines: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    queue!(out, cursor::MoveTo(0, 0), terminal::Clear(terminal::ClearType::FromCursorDown))?;
    let play = format!("Play http://{0}/demo.mp3 or http://{0}/demo.opus", front(LISTENERS_NODE));
    let keys = "k kills the origin, r starts it again, d drains it, q ends";
    for line in [play.as_str(), keys, ""].into_iter().chain(lines.iter().map(String::as_str)) {
        write!(out, "{line}\r\n")?;
    }
    out.flush()
}

/// Keys, from a thread that ends with the process or when nobody takes them.
fn read_keys() -> mpsc::Receiver<char> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            if !event::poll(TICK).unwrap_or(false) {
                continue;
            }
            let Ok(event::Event::Key(key)) = event::read() else { continue };
            let ctrl_c = key.code == event::KeyCode::Char('c') && key.modifiers.contains(event::KeyModifiers::CONTROL);
            let event::KeyCode::Char(letter) = key.code else { continue };
            if sender.blocking_send(if ctrl_c { 'q' } else { letter }).is_err() {
                return;
            }
        }
    });
    receiver
}
