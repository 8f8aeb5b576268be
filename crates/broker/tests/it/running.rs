//! A broker that runs for one test, on ports that the system chose.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use whimbrel_broker::{
    Broker,
    config::{Auto, Config, Durability, Listener},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{ConnAck, Connect};

use super::client::Client;

/// What does not happen within this time does not happen.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A running broker; it is stopped at the end of the test.
pub(super) struct Running {
    broker: Option<Broker>,
    pub(super) addresses: Vec<SocketAddr>,
}

/// One anonymous listener on loopback, two workers, everything else at its default.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.worker.threads = Auto::Set(2);
    config.store.durability = Durability::Memory;
    config.listeners = vec![loopback()];
    config
}

/// A listener on a port of 127.0.0.1 that the system chooses.
pub(super) fn loopback() -> Listener {
    Listener::on("127.0.0.1:0".parse().unwrap())
}

/// Starts a broker with the configuration of [`config`].
pub(super) fn start() -> Running {
    start_with(|_| {})
}

/// Starts a broker with the configuration of [`config`], changed.
pub(super) fn start_with(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = config();
    change(&mut config);
    let broker = Broker::start(&config).expect("the broker starts");
    let addresses = broker.addresses().to_vec();
    Running { broker: Some(broker), addresses }
}

impl Running {
    pub(super) fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("it runs")
    }

    /// A connection to the first listener that has said nothing yet.
    pub(super) fn open(&self, version: whimbrel_testkit::Version) -> Client {
        Client::open(self.addresses[0], version)
    }

    /// A client that is connected to the first listener.
    #[track_caller]
    pub(super) fn connect(&self, connect: Connect) -> Client {
        self.connect_answered(connect).0
    }

    #[track_caller]
    pub(super) fn connect_answered(&self, connect: Connect) -> (Client, ConnAck) {
        let mut client = self.open(connect.version);
        let answer = client.connect(connect);
        assert_eq!(answer.code, 0, "the code of CONNACK");
        (client, answer)
    }

    pub(super) fn count(&self, count: Count) -> u64 {
        self.broker().engine().count(count)
    }

    /// Waits until the engine says so.
    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&whimbrel_engine::Engine) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self.broker().engine()) {
            assert!(Instant::now() < end, "it does not come to it that {what}");
            std::thread::yield_now();
        }
    }

    /// The broker itself, for whoever stops it.
    pub(super) fn take(&mut self) -> Broker {
        self.broker.take().expect("it runs")
    }

    pub(super) fn stop(mut self) {
        self.broker.take().expect("it runs").stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }
}
