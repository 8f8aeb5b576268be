//! Certificates, lists of revocation and CAs that change while clients with certificates talk over TLS: who should stay
//! loses nothing, who should go goes, and the time from the file to its effect is told (`--nocapture` shows it).

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};
use whimbrel_engine::Count;
use whimbrel_net::{
    Address, Dialler, Scheme, Stream,
    tls::{Connector, ConnectorSettings},
};

use super::{
    pki::{Ca, Flaw, Pair},
    running::{DEADLINE, Running},
    tls::Site,
};

const CLIENTS: usize = 24;
const REVOKED: usize = 6;

/// A client that publishes to a topic of its own and waits for the message to come back, again and again.
#[derive(Clone)]
struct Talker(Arc<State>);

struct State {
    rounds: AtomicU64,
    is_gone: AtomicBool,
    /// The test is over.
    may_go: AtomicBool,
}

impl Talker {
    fn begin(runtime: &Runtime, at: SocketAddr, settings: &ConnectorSettings, name: &str) -> Talker {
        let state = State { rounds: AtomicU64::new(0), is_gone: false.into(), may_go: false.into() };
        let talker = Talker(Arc::new(state));
        let (told, name) = (talker.clone(), name.to_owned());
        let mut dialler = Dialler::new(Some(Connector::new(settings).unwrap()));
        let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Mqtts);
        let mut stream = runtime.block_on(dialler.dial(&address, DEADLINE)).unwrap();
        runtime.block_on(greet(&mut stream, &name)).unwrap();
        runtime.spawn(async move {
            let _ = talk(&mut stream, &name, &told.0).await;
            told.0.is_gone.store(true, SeqCst);
        });
        talker
    }

    fn rounds(&self) -> u64 {
        self.0.rounds.load(SeqCst)
    }

    fn is_gone(&self) -> bool {
        self.0.is_gone.load(SeqCst)
    }
}

/// CONNECT and a subscription.
async fn greet(stream: &mut Stream, name: &str) -> std::io::Result<()> {
    let length = u8::try_from(name.len()).unwrap();
    let connect =
        [&[0x10, 12 + length], b"\x00\x04MQTT\x04\x02\x00\x00\x00".as_slice(), &[length], name.as_bytes()];
    stream.write_all(&connect.concat()).await?;
    stream.flush().await?;
    stream.read_exact(&mut [0; 4]).await?;
    let subscribe = [&[0x82, 5 + length, 0, 1, 0, length], name.as_bytes(), &[0]];
    stream.write_all(&subscribe.concat()).await?;
    stream.flush().await?;
    stream.read_exact(&mut [0; 5]).await.map(|_| ())
}

async fn talk(stream: &mut Stream, name: &str, state: &State) -> std::io::Result<()> {
    let length = u8::try_from(name.len()).unwrap();
    let mut said = [&[0x30, 10 + length, 0, length], name.as_bytes(), &[0; 8]].concat();
    let at = said.len() - 8;
    while !state.may_go.load(SeqCst) {
        let round = state.rounds.load(SeqCst);
        said[at..].copy_from_slice(&round.to_be_bytes());
        stream.write_all(&said).await?;
        stream.flush().await?;
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await?;
        assert_eq!(heard, said, "each message once, whole and in order");
        state.rounds.store(round + 1, SeqCst);
    }
    Ok(())
}

/// Waits until it is so; how long that took.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "it does not come to it that {what}");
        std::thread::yield_now();
    }
    begun.elapsed()
}

/// All of these are there and have gone on since.
fn go_on(talkers: &[Talker]) {
    let before: Vec<u64> = talkers.iter().map(Talker::rounds).collect();
    until("everybody who should stay goes on", || {
        assert!(!talkers.iter().any(Talker::is_gone), "somebody who should stay was lost");
        talkers.iter().zip(&before).all(|(talker, before)| talker.rounds() > before + 2)
    });
}

fn shown(site: &Site, running: &Running, client: &Pair) -> Vec<u8> {
    let tls = site.dial(running.addresses[0], Some(client)).unwrap();
    tls.stream.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn certificates_lists_and_cas_change_under_load_and_only_who_should_go_goes() {
    let site = Site::new();
    let folder = site.path();
    let crl = site.ca.write_crl(&folder.join("clients.crl"), &[]);
    let running = site.start(|listener| {
        site.require(listener);
        listener.crl = Some(crl.clone());
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let at = running.addresses[0];
    let pairs: Vec<Pair> =
        (0..CLIENTS).map(|number| site.ca.client(folder, &format!("c{number}"), Flaw::Nothing)).collect();
    let begin = |number: usize| {
        Talker::begin(&runtime, at, &site.settings(Some(&pairs[number])), &format!("c{number}"))
    };
    let talkers: Vec<Talker> = (0..CLIENTS).map(begin).collect();
    go_on(&talkers);

    // The server's certificate, some times: nobody goes.
    for _ in 0..3 {
        let before = shown(&site, &running, &pairs[CLIENTS - 1]);
        site.ca.server(folder, "server");
        let taken =
            until("the new certificate is shown", || shown(&site, &running, &pairs[CLIENTS - 1]) != before);
        println!("a server's certificate is in force {} ms after its files", taken.as_millis());
        go_on(&talkers);
    }

    // The list of revocation: those who are on it go.
    let revoked: Vec<String> = (0..REVOKED).map(|number| format!("c{number}")).collect();
    site.ca.write_crl(&crl, &revoked.iter().map(String::as_str).collect::<Vec<_>>());
    let (go, stay) = talkers.split_at(REVOKED);
    let taken = until("who is revoked goes", || go.iter().all(Talker::is_gone));
    println!("{REVOKED} clients that were revoked are gone {} ms after the list", taken.as_millis());
    go_on(stay);
    assert!(site.dial(at, Some(&pairs[0])).and_then(|mut tls| tls.connect("c0")).is_err());

    // A second CA beside the first: nobody goes. The second alone: all of the first go.
    let second = Ca::new("Second CA");
    let mine = fs::read_to_string(folder.join("ca.pem")).unwrap();
    let other = fs::read_to_string(second.write(&folder.join("second.pem"))).unwrap();
    let lists = fs::read_to_string(&crl).unwrap();
    let empty = fs::read_to_string(second.write_crl(&folder.join("second.crl"), &[])).unwrap();
    fs::write(&crl, lists + &empty).unwrap();
    let trusted = folder.join("ca.pem");
    // The clients trust the server's CA in a file of their own.
    fs::write(folder.join("server-ca.pem"), &mine).unwrap();
    fs::write(&trusted, format!("{mine}{other}")).unwrap();
    let stranger = second.client(folder, "stranger", Flaw::Nothing);
    let settings =
        ConnectorSettings { ca_file: Some(folder.join("server-ca.pem")), ..site.settings(Some(&stranger)) };
    let come = || super::tls::Tls::dial(at, &settings).and_then(|mut tls| tls.connect("visitor")).is_ok();
    let taken = until("clients of the second CA are let in", come);
    println!("a second CA is trusted {} ms after its file", taken.as_millis());
    go_on(stay);
    let new = Talker::begin(&runtime, at, &settings, "stranger");
    fs::write(&trusted, &other).unwrap();
    let taken = until("clients of the first CA go", || stay.iter().all(Talker::is_gone));
    println!(
        "{} clients of a CA that is trusted no longer are gone {} ms after its file",
        stay.len(),
        taken.as_millis()
    );
    go_on(std::slice::from_ref(&new));
    new.0.may_go.store(true, SeqCst);
    until("the last goes by itself", || new.is_gone());
    assert_eq!(running.count(Count::DroppedQos0Blocked), 0, "nothing was lost on the way");
}
