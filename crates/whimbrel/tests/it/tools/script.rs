//! A server that follows a script: it reads whole packets and sends bytes, and knows nothing else of MQTT.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::command::Tool;

/// How long the script waits for a packet that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script that runs in a thread of its own.
pub(super) struct Script {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

/// The connection that the script speaks on.
pub(super) struct Connection {
    listener: TcpListener,
    stream: TcpStream,
}

impl Script {
    pub(super) fn start(script: impl FnOnce(&mut Connection) + Send + 'static) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let stream = accept(&listener);
            script(&mut Connection { listener, stream });
        });
        Script { address, thread }
    }

    pub(super) fn publisher(&self, flags: &[&str]) -> Tool {
        Tool::at("pub", self.address, flags)
    }

    pub(super) fn subscriber(&self, flags: &[&str]) -> Tool {
        Tool::at("sub", self.address, &[flags, &["-W", "60"]].concat())
    }

    /// The script has come to its end, and nothing in it failed.
    pub(super) fn finish(self) {
        self.thread.join().expect("the script holds");
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Connection {
    /// Reads one packet, whose remaining length fits into two bytes.
    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 2];
        self.stream.read_exact(&mut packet).expect("a packet comes");
        let mut len = usize::from(packet[1] & 0x7f);
        if packet[1] & 0x80 != 0 {
            let mut more = [0];
            self.stream.read_exact(&mut more).expect("the length has another byte");
            packet.push(more[0]);
            len += usize::from(more[0]) << 7;
        }
        let start = packet.len();
        packet.resize(start + len, 0);
        self.stream.read_exact(&mut packet[start..]).expect("the packet is whole");
        packet
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client reads");
    }

    /// Drops this connection and waits for the client's next one.
    pub(super) fn next_connection(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).expect("it stands");
        self.stream = accept(&self.listener);
    }
}

pub(super) mod packets {
    //! What a packet holds.

    /// Whether these bytes are somewhere in the packet.
    pub(in super::super) fn holds(packet: &[u8], part: &[u8]) -> bool {
        packet.windows(part.len()).any(|window| window == part)
    }
}
