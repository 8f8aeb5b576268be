//! Many clients over TLS that come all at once, on a machine that has half of its time for something else: they are all let
//! in, and whoever is inside is served meanwhile.

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use whimbrel_engine::Count;
use whimbrel_net::{
    Address, Dialler, Scheme, Stream,
    tls::{Connector, ConnectorSettings, Sessions},
};
use whimbrel_testkit::v5;

use super::{
    control::ask,
    running::{loopback, start_with},
    tls::Site,
};

const CLIENTS: usize = 300;

/// How long a client waits before it gives up and tries again at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What does not happen within this time does not happen, on a machine that has a quarter of its time for this test.
const DEADLINE: Duration = Duration::from_secs(120);

/// Threads that do nothing, as fast as they can, until they are dropped.
struct Burners(Arc<AtomicBool>);

impl Burners {
    fn start() -> Burners {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut count = 0_u64;
                while !stop.load(Relaxed) {
                    count = black_box(count.wrapping_add(1));
                }
            });
        }
        Burners(stop)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// CONNECT of 3.1.1 for a session that stays, and whether there was one.
async fn connect(dialler: &mut Dialler, at: SocketAddr, id: &str) -> Option<(Stream, bool)> {
    let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Mqtts);
    let mut stream = dialler.dial(&address, PATIENCE).await.ok()?;
    let length = u8::try_from(id.len()).unwrap();
    let head = [&[0x10, 12 + length][..], b"\x00\x04MQTT\x04\x00\x00\x00\x00", &[length]].concat();
    stream.write_all(&[&head, id.as_bytes()].concat()).await.ok()?;
    stream.flush().await.ok()?;
    let mut connack = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut connack)).await.ok()?.ok()?;
    (connack[3] == 0).then_some((stream, connack[2] == 1))
}

/// Everybody comes at once; they are all let in, each with the session that it had, if there was one.
async fn storm(connector: &Connector, at: SocketAddr, has_session: bool) -> Vec<Stream> {
    let tries = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (mut dialler, tries) = (Dialler::new(Some(connector.clone())), tries.clone());
            tokio::spawn(async move {
                loop {
                    tries.fetch_add(1, Relaxed);
                    if let Some((stream, had)) = connect(&mut dialler, at, &format!("c{number}")).await {
                        assert!(had || !has_session, "the session of c{number} is there");
                        return stream;
                    }
                }
            })
        })
        .collect();
    let mut streams = Vec::new();
    for client in clients {
        streams.push(timeout(DEADLINE, client).await.expect("all are let in").expect("with their sessions"));
    }
    println!("{CLIENTS} clients in {} tries", tries.load(Relaxed));
    streams
}

#[test]
fn a_crowd_that_comes_back_is_let_in_and_others_are_served_meanwhile_on_half_a_machine() {
    let site = Site::new();
    let running = start_with(|config| config.listeners = vec![site.listener(), loopback()]);
    let [of_tls, plain] = running.addresses[..] else { panic!("two listeners") };
    let settings = ConnectorSettings { sessions: Sessions::Many, ..site.settings(None) };
    let connector = Connector::new(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(runtime.block_on(storm(&connector, of_tls, false)));
    running.wait_until("all are gone", |engine| engine.connected() == 0);

    let _burners = Burners::start();
    let over = Arc::new(AtomicBool::new(false));
    let other = thread::spawn({
        let over = over.clone();
        move || {
            let mut client = super::client::Client::open(plain, whimbrel_testkit::Version::V5);
            assert_eq!(client.connect(v5("inside")).code, 0);
            let mut waited = Vec::new();
            while !over.load(Relaxed) {
                let begun = Instant::now();
                client.ping();
                waited.push(begun.elapsed());
                thread::park_timeout(Duration::from_millis(5));
            }
            waited
        }
    });
    let begun = Instant::now();
    let streams = runtime.block_on(storm(&connector, of_tls, true));
    let took = begun.elapsed();
    over.store(true, Relaxed);
    let mut waited = other.join().expect("whoever is inside is served");
    waited.sort_unstable();
    let (half, most) = (waited[waited.len() / 2], waited[waited.len() - 1]);
    println!("back in {took:?}; a ping took {half:?} as a rule, {most:?} at most");
    assert!(half < Duration::from_millis(250) && most < PATIENCE, "{half:?} {most:?}");
    assert!(running.broker().engine().connected() >= CLIENTS);
    assert_eq!(running.count(Count::KeepAliveTimeout), 0);
    drop(streams);
    // Nobody is under way any more: every pass has come back.
    running.wait_until("nobody is on the way in", |_| {
        let newcomers = ask(running.broker().control().status()).newcomers;
        (newcomers.under_way.now, newcomers.waiting) == (0, 0)
    });
}
