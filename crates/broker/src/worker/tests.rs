//! A worker with an authenticator that answers when the test says so.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    task::Wake,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use whimbrel_engine::{
    Conversation, Count, Engine, Journal, Level, Limits, Notice, Wire, Written,
    store::{ReadFailed, StageRefused, Staged, Trouble},
};

use super::{
    Arrival, Bench, Bounds, Door, Gate, Guards, Guest, Handle, Shared, TcpOptions, keeper::Wires, start,
    telling::Telling,
};
use crate::{
    auth::{Answer, Authenticator, Credentials, Identity, Verdict},
    config::Config,
    rates::Rates,
    store::SYNCED,
};

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
            connections: Arc::default(),
            closed: AtomicBool::new(false),
            connections_max: 10,
            tls: None,
            identity: None,
            proxy: None,
            upgrade: None,
            handshake_within: Duration::from_secs(10),
            versions: Vec::new(),
            tcp: TcpOptions { keep_alive: Duration::from_secs(300), user_timeout: None },
            rates: Rates::default(),
            quota: [None, None],
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
        assert!(
            self.worker
                .guests
                .send(Guest { stream: Arrival::Tcp(stream), peer: address.into(), door: self.door.clone() })
                .is_ok()
        );
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
    shared_by(Engine::new(Limits::default(), 1))
}

fn shared_by(engine: Engine) -> Arc<Shared> {
    let guards = Guards::new(&Config::default());
    let bounds =
        Bounds { connections_max: 10, waiting_room: 4, sys_interval_secs: 10, input_bytes_max: 1 << 20 };
    Shared::new(engine, Instant::now(), Arc::default(), guards, bounds)
}

fn bench(shared: Arc<Shared>) -> Bench {
    Bench {
        gate: Gate::new(),
        bell: Arc::default(),
        turn: shared.engine.turn(),
        read: Box::default(),
        flusher: None,
        flush_due: false,
        telling: Telling::default(),
        wires: Wires::default(),
        shared,
    }
}

fn allow(reply: oneshot::Sender<Verdict>) {
    reply.send(Verdict::Allow(Identity::default())).expect("the client waits");
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
    let mut bench = bench(shared());
    bench.turn.notices.push(Notice::RetainedFull { topic: "a".into() });
    bench.finish();
    assert!(bench.turn.notices.is_empty() && !bench.flush_due);
}

/// A journal that is over its budget or is not; nothing is ever handed to it.
#[derive(Default)]
struct Narrow(AtomicBool);

impl Journal for Narrow {
    fn stage(&self, _record: &[u8]) -> Result<Staged, StageRefused> {
        Err(StageRefused)
    }

    fn ask(&self, _position: u64, _level: Level) -> bool {
        false
    }

    fn nudge(&self) {}

    fn reached(&self, _level: Level) -> u64 {
        0
    }

    fn staged(&self) -> u64 {
        1
    }

    fn is_over_budget(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn trouble(&self) -> Option<Trouble> {
        None
    }

    fn read(&self, _position: u64) -> Result<Vec<u8>, ReadFailed> {
        Err(ReadFailed::Gone)
    }

    fn call_reader(&self) {}

    fn count_live(&self, _position: u64, _bytes: i64) {}
}

/// Hears a bell, or a wire's call.
#[derive(Default)]
struct Ear(AtomicBool);

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Wire for Ear {
    fn write(&self, _parts: &[&[u8]]) -> Written {
        Written::Gone
    }

    fn wake(&self) {
        self.0.store(true, Relaxed);
    }
}

/// A worker with one client whose CONNECT, of a session that stays, waits for room in the journal.
fn worker_with_a_waiting_connect() -> (Bench, Arc<Narrow>, Arc<Ear>, Arc<Ear>, Conversation) {
    let journal = Arc::new(Narrow(AtomicBool::new(true)));
    let mut bench = bench(shared_by(Engine::new(Limits::default(), 1).with_journal(journal.clone())));
    let (bell, wire) = (Arc::<Ear>::default(), Arc::<Ear>::default());
    bench.bell.register(&bell.clone().into());
    bench.begin();
    let engine = bench.shared.engine.clone();
    let mut client = Conversation::new(&engine, bench.turn.now.mono);
    let mut connect = CONNECT.to_vec();
    connect[9] = 0; // No clean session.
    client.receive(&engine, &mut bench.turn, &connect);
    assert!(client.question().is_some());
    let waiter: Arc<dyn Wire> = wire.clone();
    client.answer(&engine, &mut bench.turn, Ok(()), &waiter);
    assert!(engine.has_waiting() && !bench.turn.has_parked());
    (bench, journal, bell, wire, client)
}

#[test]
fn a_worker_listens_for_the_sync_that_lets_in_who_waits_for_room() {
    let (mut bench, journal, bell, wire, _client) = worker_with_a_waiting_connect();
    bench.finish();
    assert!(!bench.bell.wait(SYNCED), "it has not listened");
    assert!(!bell.0.load(Relaxed) && !wire.0.load(Relaxed));
    journal.0.store(false, Relaxed);
    bench.shared.engine.release(&mut bench.turn);
    assert!(wire.0.load(Relaxed));
}

#[test]
fn a_worker_is_rung_if_the_room_has_come_before_it_listens() {
    let (mut bench, journal, bell, _wire, _client) = worker_with_a_waiting_connect();
    journal.0.store(false, Relaxed);
    bench.finish();
    assert!(bell.0.load(Relaxed));
}

/// What every connection pays for all that only some have. It may shrink.
#[test]
fn transports_cost_a_plain_connection_nothing() {
    assert!(size_of::<super::task::Task>() <= 368, "{}", size_of::<super::task::Task>());
    assert!(size_of::<super::wrapped::Socket>() <= 16 && size_of::<super::link::SocketWire>() <= 48);
}

/// The runtime keeps a task in blocks of 128 bytes with 112 of its own: one byte more costs every connection 128.
#[test]
#[cfg(target_pointer_width = "64")]
fn an_idle_connection_stays_small() {
    assert!(size_of::<super::task::Task>() <= 3 * 128 - 112, "{}", size_of::<super::task::Task>());
}
