//! The limits as the configuration's keys set them: for a broker on real sockets, and for an engine without.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use whimbrel_broker::{
    Broker,
    config::{Auto, Config, Durability, Listener},
};
use whimbrel_engine::{Engine, Limits};

/// What does not happen within this time does not happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// A broker that runs for one test; it is stopped at the end.
pub struct Running {
    broker: Option<Broker>,
}

/// A listener on a port of 127.0.0.1 that the system chooses.
#[must_use]
pub fn loopback() -> Listener {
    Listener::on("127.0.0.1:0".parse().expect("it is an address"))
}

/// The limits of the engine that a broker with this configuration has: every key goes the way that it goes there.
#[must_use]
pub fn engine_limits(change: impl FnOnce(&mut Config)) -> Limits {
    Running::start(change).engine().limits().clone()
}

impl Running {
    /// One worker, one anonymous listener, everything else at its default, changed.
    #[must_use]
    pub fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.worker.threads = Auto::Set(1);
        config.store.durability = Durability::Memory;
        config.listeners = vec![loopback()];
        change(&mut config);
        Running { broker: Some(Broker::start(&config).expect("the broker starts")) }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("it runs")
    }

    /// The address of the first listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.broker().addresses()[0]
    }

    /// The addresses of all listeners.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.broker().addresses()
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.broker().engine()
    }

    /// Waits until the engine says so.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Engine) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self.engine()) {
            assert!(Instant::now() < end, "it does not come to it that {what}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }
}
