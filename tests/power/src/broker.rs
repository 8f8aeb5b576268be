//! The real broker, started on a folder: where it listens, and what it logs, waited for with a deadline.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use whimbrel_testkit::{Demand, Tcp, Version, World};

/// What has not come by then does not come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A broker that runs.
pub(crate) struct Broker {
    child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
    /// What it has logged, as far as somebody has looked.
    log: Vec<String>,
}

impl Broker {
    /// Starts it with its store in `store`, and waits until it listens.
    pub(crate) fn start(whimbrel: &Path, store: &Path, flags: &[&str]) -> Broker {
        let mut command = Command::new(whimbrel);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WHIMBREL_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--threads", "2", "--store-directory"])
            .arg(store)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let output = child.stderr.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Until the broker has ended, or nobody listens.
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut broker = Broker { child, address, lines, log: Vec::new() };
        let line = broker.logs("listening on ");
        let told = line.split("listening on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        broker.address = told.and_then(|word| word.parse().ok()).expect(&line);
        broker.logs("is ready");
        broker
    }

    /// Waits for a line that says this, and returns it.
    pub(crate) fn logs(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("the broker has not logged {text:?}, but\n{}", self.log.join("\n")),
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A world of clients of this broker.
    pub(crate) fn world(&self, version: Version) -> World {
        World::new(Box::new(Tcp::new(self.address, DEADLINE)), version, Demand::House)
    }

    /// Sends it kill -9, and does not wait for what comes of it.
    pub(crate) fn strike(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).expect("it runs");
    }

    /// Waits for the end of one that was struck.
    pub(crate) fn wait(mut self) {
        self.child.wait().expect("it ends");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already, and there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
