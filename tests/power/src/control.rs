//! The switch of the disk, on a Unix socket: whoever starts and kills the broker says so here. One line is one wish, and
//! `ok` comes when it is done.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use crate::disk::{Cut, Survival};
use crate::draw::Draw;
use crate::mount::Mount;

/// One start of so many is cut short.
const STUMBLES_ONE_IN: usize = 4;
/// When: the broker reads its store then, or has just begun to write.
const STUMBLE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(60);

/// What the cuts of a run were.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) by_kind: BTreeMap<Cut, Vec<Survival>>,
    /// How many of them came while the broker was starting.
    pub(crate) stumbles: u32,
}

/// A mount that is switched from elsewhere.
pub(crate) struct Switch {
    /// The broker that is started and cut off at once now and then, so that power goes while it reads its store.
    whimbrel: PathBuf,
    draw: Draw,
    /// None when the run is over.
    mount: Option<Mount>,
    /// What a cut does; drawn where it is not said.
    cut: Option<Cut>,
    /// The broker.
    pid: Option<Pid>,
    cuts: Cuts,
}

impl Switch {
    pub(crate) fn new(mount: Mount, whimbrel: &Path, cut: Option<Cut>, seed: u64) -> Switch {
        let (whimbrel, draw) = (whimbrel.to_owned(), Draw::new(seed));
        Switch { whimbrel, draw, mount: Some(mount), cut, pid: None, cuts: Cuts::default() }
    }

    /// Answers at this socket from now on, on a thread of its own.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn listen(self, socket: &Path) -> io::Result<Arc<Mutex<Switch>>> {
        let listener = UnixListener::bind(socket)?;
        let switch = Arc::new(Mutex::new(self));
        let listening = switch.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut line = String::new();
                let heard = BufReader::new(&stream).read_line(&mut line);
                let said =
                    match heard.map_err(|error| error.to_string()).and_then(|_| listening.lock().obey(&line))
                    {
                        Ok(()) => "ok\n".to_owned(),
                        Err(error) => format!("{error}\n"),
                    };
                // Who has asked may have gone.
                let _ = (&stream).write_all(said.as_bytes());
            }
        });
        Ok(switch)
    }

    /// Brings the power back, should it be gone, for whoever wants to look.
    pub(crate) fn recover(&mut self) -> io::Result<()> {
        self.mount.as_mut().map_or(Ok(()), |mount| mount.power_up(|_| Cut::Lose).map(drop))
    }

    /// Ends the run: unmounts, and tells what the cuts were.
    pub(crate) fn end(&mut self) -> Cuts {
        self.mount = None;
        std::mem::take(&mut self.cuts)
    }

    fn obey(&mut self, line: &str) -> Result<(), String> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["cut"] => self.cut(),
            ["start", pid] => {
                if self.power_up()? && self.draw.below(STUMBLES_ONE_IN) == 0 {
                    self.stumble()?;
                    self.power_up()?;
                }
                self.pid = pid.parse().ok().and_then(Pid::from_raw);
                self.pid.map(drop).ok_or_else(|| format!("{pid} is no process"))
            }
            _ => Err(format!("neither `cut` nor `start PID`: {line}")),
        }
    }

    /// Brings the power back where it was gone, and tells whether it was.
    fn power_up(&mut self) -> Result<bool, String> {
        let choice = self.cut;
        let choose = |draw: &mut Draw| choice.unwrap_or_else(|| Cut::ALL[draw.below(Cut::ALL.len())]);
        let mount = self.mount.as_mut().ok_or("the run is over")?;
        let Some((cut, survival)) = mount.power_up(choose).map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        self.cuts.by_kind.entry(cut).or_default().push(survival);
        Ok(true)
    }

    /// Starts the broker on the store, and cuts the power a moment later.
    fn stumble(&mut self) -> Result<(), String> {
        let mount = self.mount.as_ref().ok_or("the run is over")?;
        let mut child = Command::new(&self.whimbrel)
            .args(["serve", "--listen", "127.0.0.1:0", "--store-directory"])
            .arg(mount.store())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.whimbrel.display()))?;
        self.pid = Some(Pid::from_child(&child));
        let moment = self.draw.time(&STUMBLE);
        let passed = mount.device.pass(moment).map_err(|refusal| format!("{refusal:?}"));
        passed.and_then(|()| self.cut())?;
        self.cuts.stumbles += 1;
        child.wait().map(drop).map_err(|error| error.to_string())
    }

    /// Cuts the power: the disk first, then the broker, which never hears of it. What it waits for is answered when it is
    /// as good as dead.
    fn cut(&mut self) -> Result<(), String> {
        let device = self.mount.as_ref().map(|mount| &mount.device).ok_or("the run is over")?;
        device.freeze();
        let killed = match self.pid.take() {
            Some(pid) => kill_process(pid, Signal::KILL).map_err(|error| format!("kill -9: {error}")),
            None => Err("nobody has said `start`".to_owned()),
        };
        device.let_go();
        killed
    }
}

/// Says a line, and waits until it is done.
///
/// # Errors
/// What the other side says, or nobody is there.
pub(crate) fn tell(socket: &Path, line: &str) -> Result<(), String> {
    let said = || -> io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        writeln!(stream, "{line}")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    };
    match said() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(format!("{}: {error}", socket.display())),
    }
}
