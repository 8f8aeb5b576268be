//! A worker with an authenticator that answers when the test says so.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Instant,
};

use tokio::sync::oneshot;
use whimbrel_engine::{Count, Engine, Level, Limits, Notice};

use super::{Bench, Door, Guest, Handle, Shared, keeper::Wires, start, telling::Telling};
use crate::auth::{Answer, Authenticator, Credentials, Identity, Verdict};

/// CONNECT of a 3.1.1 client `a` with a clean session, and no keep-alive.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PINGREQ: &[u8] = b"\xc0\x00";
const PINGRESP: &[u8] = b"\xd0\x00";

/// Hands every question to the test.
struct Later(mpsc::Sender<oneshot::Sender<Verdict>>);

impl Authenticator for Later {
    fn authenticate(&self, _credentials: Credentials) -> Answer {
        let (reply, verdict) = oneshot::channel();
        self.0.send(reply).expect("the test listens");
        Answer::Later(verdict)
    }
}

struct House {
    shared: Arc<Shared>,
    worker: Handle,
    listener: TcpListener,
    door: Arc<Door>,
    questions: mpsc::Receiver<oneshot::Sender<Verdict>>,
}

impl House {
    fn new() -> Self {
        let shared = shared();
        let worker = start(&shared, 0).unwrap();
        let (asked, questions) = mpsc::channel();
        let door = Arc::new(Door {
            name: "test".into(),
            authenticator: Arc::new(Later(asked)),
            level: Level::default(),
            connections: AtomicUsize::new(0),
            connections_max: 10,
            tls: None,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        House { shared, worker, listener, door, questions }
    }

    /// A client whose CONNECT waits for a verdict, and the way to give it.
    fn waiting_client(&self) -> (TcpStream, oneshot::Sender<Verdict>) {
        let mut client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, address) = self.listener.accept().unwrap();
        for count in [&self.shared.connections, &self.door.connections, &self.worker.load] {
            count.fetch_add(1, Relaxed);
        }
        assert!(self.worker.guests.send(Guest { stream, address, door: self.door.clone() }).is_ok());
        client.write_all(CONNECT).unwrap();
        (client, self.questions.recv().unwrap())
    }

    /// Lets the worker end, which it does when all clients have gone.
    fn close(self) {
        drop(self.worker.guests);
        self.worker.thread.join().unwrap();
        assert_eq!(self.shared.connections.load(Relaxed), 0);
    }
}

fn shared() -> Arc<Shared> {
    Shared::new(Engine::new(Limits::default(), 1), Instant::now(), Arc::default(), 10, 4, 10, 1 << 20)
}

fn allow(reply: oneshot::Sender<Verdict>) {
    reply.send(Verdict::Allow(Identity { user_name: None })).expect("the client waits");
}

#[test]
fn a_client_that_leaves_while_it_waits_for_a_verdict_needs_none() {
    let house = House::new();
    let (client, mut reply) = house.waiting_client();
    drop(client);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reply.closed());
    house.close();
}

#[test]
fn what_a_client_says_while_it_waits_for_a_verdict_is_heard_afterwards() {
    let house = House::new();
    let (mut client, reply) = house.waiting_client();
    // More than a worker reads meanwhile.
    let pings = 100_000;
    client.write_all(&PINGREQ.repeat(pings)).unwrap();
    allow(reply);
    let mut heard = vec![0; CONNACK.len() + pings * PINGRESP.len()];
    client.read_exact(&mut heard).unwrap();
    assert!(heard == [CONNACK, &PINGRESP.repeat(pings)].concat());
    drop(client);
    house.close();
}

#[test]
fn a_client_that_has_said_all_before_the_verdict_is_answered() {
    let house = House::new();
    let (mut client, reply) = house.waiting_client();
    client.write_all(PINGREQ).unwrap();
    let said = (CONNECT.len() + PINGREQ.len()) as u64;
    while house.shared.engine.count(Count::BytesReceived) < said {
        std::thread::yield_now();
    }
    client.shutdown(Shutdown::Write).unwrap();
    allow(reply);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, [CONNACK, PINGRESP].concat());
    house.close();
}

#[test]
fn the_log_hears_of_a_turn_that_has_appended_nothing() {
    let shared = shared();
    let mut bench = Bench {
        bell: Arc::default(),
        turn: shared.engine.turn(),
        read: Box::default(),
        flusher: None,
        flush_due: false,
        telling: Telling::default(),
        wires: Wires::default(),
        shared,
    };
    bench.turn.notices.push(Notice::RetainedFull { topic: "a".into() });
    bench.finish();
    assert!(bench.turn.notices.is_empty() && !bench.flush_due);
}
