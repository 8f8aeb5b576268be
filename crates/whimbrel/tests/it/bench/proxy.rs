//! A proxy between clients and a broker that drops, repeats, swaps, changes or holds up what the broker delivers, and
//! counts how often it did.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Does nothing to one delivery in so many.
    Drop(u64),
    Repeat(u64),
    /// Lets the next delivery on the connection go first.
    Swap(u64),
    /// Changes the last byte of the payload.
    Corrupt(u64),
    /// Changes the last byte of the topic.
    Rename(u64),
    /// Delivers at QoS 0 what was sent at QoS 1.
    Downgrade(u64),
    /// Sets the RETAIN flag.
    Retain(u64),
    /// Hands on everything from the broker so much later.
    Delay(Duration),
    /// Hands on nothing for so long, once, after so many deliveries.
    Pause(u64, Duration),
}

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    planted: Arc<Planted>,
}

#[derive(Debug, Default)]
struct Planted {
    deliveries: AtomicU64,
    faults: AtomicU64,
}

impl Proxy {
    pub(super) fn start(broker: SocketAddr, fault: Fault) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the system has a port");
        let address = listener.local_addr().expect("a listener has an address");
        let planted = Arc::new(Planted::default());
        let proxy = Proxy { address, planted: Arc::clone(&planted) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(broker) else { return };
                connect(client, server, fault, &planted);
            }
        });
        proxy
    }

    /// How often the fault was planted.
    pub(super) fn planted(&self) -> u64 {
        self.planted.faults.load(Ordering::SeqCst)
    }
}

fn connect(client: TcpStream, server: TcpStream, fault: Fault, planted: &Arc<Planted>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a TCP option");
    }
    let (mut from_client, mut to_server) =
        (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
    thread::spawn(move || {
        // Whichever side ends, ends both.
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let planted = Arc::clone(planted);
    let (delayed, due) = channel::<(Instant, Vec<u8>)>();
    let mut to_client = client;
    thread::spawn(move || {
        for (at, bytes) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to_client.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut server = server;
        let mut way = Way { fault, planted, held: None, bytes: Vec::new() };
        let mut buffer = vec![0; 64 << 10];
        while let Ok(len @ 1..) = server.read(&mut buffer) {
            let read_at = Instant::now();
            way.bytes.extend_from_slice(&buffer[..len]);
            let (out, delay) = way.pass();
            if delayed.send((read_at + delay, out)).is_err() {
                return;
            }
        }
    });
}

/// One connection's way from the broker to the client.
struct Way {
    fault: Fault,
    planted: Arc<Planted>,
    held: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Way {
    /// What goes on of the packets that are whole, and how much later.
    fn pass(&mut self) -> (Vec<u8>, Duration) {
        let mut out = Vec::new();
        let mut delay = Duration::ZERO;
        while let Some(len) = frame_len(&self.bytes) {
            let frame: Vec<u8> = self.bytes.drain(..len).collect();
            if frame[0] >> 4 == 3 {
                delay = delay.max(self.deliver(frame, &mut out));
            } else {
                out.extend(self.held.take().into_iter().flatten());
                out.extend(frame);
            }
        }
        if let Fault::Delay(by) = self.fault {
            delay = by;
        }
        (out, delay)
    }

    fn deliver(&mut self, mut frame: Vec<u8>, out: &mut Vec<u8>) -> Duration {
        let count = self.planted.deliveries.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(held) = self.held.take() {
            self.plant();
            out.extend(frame);
            out.extend(held);
            return Duration::ZERO;
        }
        let is_due = |every: u64| count.is_multiple_of(every);
        match self.fault {
            Fault::Drop(every) if is_due(every) => {
                self.plant();
                return Duration::ZERO;
            }
            Fault::Repeat(every) if is_due(every) => {
                self.plant();
                out.extend_from_slice(&frame);
            }
            Fault::Swap(every) if is_due(every) => {
                self.held = Some(frame);
                return Duration::ZERO;
            }
            Fault::Corrupt(every) if is_due(every) => {
                self.plant();
                *frame.last_mut().expect("a payload") ^= 0x10;
            }
            Fault::Rename(every) if is_due(every) => {
                self.plant();
                let topic = 2 + (usize::from(frame[2]) << 8 | usize::from(frame[3]));
                frame[topic + 1] = b'z';
            }
            Fault::Downgrade(every) if is_due(every) && frame[0] & 0b110 == 0b010 => {
                self.plant();
                let topic = 2 + (usize::from(frame[2]) << 8 | usize::from(frame[3]));
                frame.drain(topic + 2..topic + 4);
                frame[0] &= !0b110;
                frame[1] -= 2;
            }
            Fault::Retain(every) if is_due(every) => {
                self.plant();
                frame[0] |= 1;
            }
            Fault::Pause(after, pause) if count == after => {
                self.plant();
                out.extend(frame);
                return pause;
            }
            _ => {}
        }
        out.extend(frame);
        Duration::ZERO
    }

    fn plant(&self) {
        self.planted.faults.fetch_add(1, Ordering::SeqCst);
    }
}

/// The length of the packet at the start, if it is whole. Packets here are short: their length is one byte.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let len = usize::from(*bytes.get(1)?);
    assert!(len < 0x80, "these tests send short packets");
    (bytes.len() >= len + 2).then_some(len + 2)
}
