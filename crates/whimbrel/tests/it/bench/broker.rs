//! The broker that the tests load: the program itself, on a port that the system chooses.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

pub(super) struct Broker {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Broker {
    pub(super) fn start() -> Broker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args(["serve", "--listen", "127.0.0.1:0", "--threads", "1", "--durability", "memory"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let log = child.stderr.take().expect("its log is piped");
        let mut lines = BufReader::new(log).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split("listening on ").nth(1)?.split(' ').next()?.parse().ok())
            .expect("the broker says where it listens");
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Broker { child, address }
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
