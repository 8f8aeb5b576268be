//! Listeners at a reload: opened, closed, changed, and left as they were where one of them is wrong.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use whimbrel_broker::{
    Broker,
    config::{Address, Auto, Config, Durability, Levels, Listener, Problems, Protocol},
    control::{Host, Reloaded},
};
use whimbrel_testkit::{Connect, Version, v5, v311};

use super::{
    client::Client,
    control::ask,
    running::{config, loopback},
    tls::{Site, Tls},
};

/// A program whose configuration the test changes.
struct Program(Mutex<Config>);

impl Host for Program {
    fn config(&self) -> Result<Config, Problems> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn config_file(&self) -> Option<PathBuf> {
        Some("/etc/whimbrel.toml".into())
    }

    fn reopen_log(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_log_levels(&self, _: &Levels) -> Result<(), String> {
        Ok(())
    }
}

struct House {
    program: Arc<Program>,
    broker: Option<Broker>,
}

impl House {
    fn start(listeners: Vec<Listener>) -> House {
        let config = Config { listeners, ..config() };
        let program = Arc::new(Program(Mutex::new(config.clone())));
        let broker = Broker::start_in(&config, program.clone()).expect("the broker starts");
        House { program, broker: Some(broker) }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    fn reload(&self, change: impl FnOnce(&mut Config)) -> Reloaded {
        change(&mut self.program.0.lock().unwrap());
        ask(self.broker().control().reload("the test"))
    }

    /// The addresses of the listener of this name; none if there is none.
    fn addresses(&self, name: &str) -> Vec<String> {
        let status = ask(self.broker().control().status());
        let found = status.listeners.into_iter().find(|listener| listener.name == name);
        found.map(|listener| listener.addresses).unwrap_or_default()
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses(name)[0].parse().unwrap()
    }

    #[track_caller]
    fn connect(&self, name: &str, connect: Connect) -> Client {
        let mut client = Client::open(self.address(name), connect.version);
        assert_eq!(client.connect(connect).code, 0);
        client
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }
}

fn named(name: &str) -> Listener {
    Listener { name: Some(name.to_owned()), ..loopback() }
}

#[test]
fn a_new_listener_opens_and_a_removed_one_closes_with_0x98_and_others_stay() {
    let house = House::start(vec![named("first"), named("second")]);
    let mut first = house.connect("first", v5("first"));
    let (mut new, mut old) = (house.connect("second", v5("new")), house.connect("second", v311("old")));
    let second = house.address("second");
    let reloaded = house.reload(|config| config.listeners = vec![named("first"), named("third")]);
    assert!(reloaded.faults.is_empty() && reloaded.needs_restart.is_empty(), "{reloaded:?}");
    assert_eq!((reloaded.opened, reloaded.closed), (vec!["third".to_owned()], vec!["second".to_owned()]));
    assert_eq!((new.farewell(), old.farewell()), (Some(0x98), None));
    assert!(TcpStream::connect(second).is_err(), "nobody listens there any more");
    first.ping();
    house.connect("third", v5("third")).ping();
    house.connect("first", v5("another")).ping();
    let again = house.reload(|_| {});
    assert!(again.opened.is_empty() && again.closed.is_empty() && again.changed.is_empty(), "{again:?}");
    first.ping();
}

#[test]
fn a_port_that_was_given_up_can_be_taken_by_the_next_reload() {
    let house = House::start(vec![named("first"), named("second")]);
    let second = house.address("second");
    house.reload(|config| drop(config.listeners.pop()));
    let reloaded = house.reload(|config| {
        config.listeners.push(Listener { address: Address::Socket(second), ..named("again") });
    });
    assert!(reloaded.faults.is_empty(), "{reloaded:?}");
    house.connect("again", v5("x")).ping();
}

#[test]
fn a_changed_listener_keeps_its_connections_and_serves_the_next_by_the_new_words() {
    let house = House::start(vec![Listener { connections_max: Auto::Set(2), ..named("old") }]);
    let address = house.address("old");
    let mut first = house.connect("old", v5("first"));
    let reloaded = house.reload(|config| {
        config.listeners[0].connections_max = Auto::Set(1);
    });
    assert!(reloaded.faults.is_empty() && reloaded.opened.is_empty() && reloaded.closed.is_empty());
    let changed: Vec<&str> = reloaded.changed.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(changed, ["listener[1].connections_max"]);
    assert_eq!(house.address("old"), address);
    first.ping();
    assert!(Client::open(address, Version::V5).is_closed(), "the one who is there counts");
    drop(first);
    house.reload(|config| config.listeners[0].connections_max = Auto::Auto);
    while house.broker().engine().connected() > 0 {
        std::thread::yield_now();
    }
    house.connect("old", v5("second")).ping();
    drop(house);
    // The same port by another name is the same listener.
    let house = House::start(vec![Listener { address: Address::Socket(address), ..named("before") }]);
    let mut first = house.connect("before", v5("first"));
    house.reload(|config| config.listeners[0].name = Some("after".to_owned()));
    house.connect("after", v5("second")).ping();
    first.ping();
}

#[test]
fn where_one_listener_is_wrong_all_stay_as_they_were() {
    let house = House::start(vec![named("first"), named("second")]);
    let (mut first, mut second) = (house.connect("first", v5("a")), house.connect("second", v5("b")));
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = Address::Socket(held.local_addr().unwrap());
    let mut check = |listeners: Vec<Listener>, part: &str| {
        let reloaded = house.reload(|config| config.listeners = listeners);
        let [fault] = &reloaded.faults[..] else { panic!("{reloaded:?}") };
        assert!(fault.to_string().contains(part), "{fault}");
        assert!(reloaded.opened.is_empty() && reloaded.closed.is_empty() && reloaded.changed.is_empty());
        first.ping();
        second.ping();
        house.connect("first", v5("c")).ping();
        assert!(house.addresses("third").is_empty());
    };
    check(vec![named("third"), Listener { address: taken, ..named("fourth") }], "fourth");
    let tls = Listener {
        protocol: Protocol::Mqtts,
        certificate: vec!["/nonexistent.pem".into()],
        key: vec!["/nonexistent.key".into()],
        ..named("third")
    };
    check(vec![named("first"), tls], "/nonexistent.pem");
    let kept = Listener { durability: Auto::Set(Durability::Power), ..named("first") };
    check(vec![kept, named("second")], "opened at a start");
    // What was wrong is forgotten with the next configuration.
    let good =
        house.reload(|config| config.listeners = vec![named("first"), named("second"), named("third")]);
    assert_eq!((good.opened, good.faults.len()), (vec!["third".to_owned()], 0));
}

#[test]
fn a_reload_does_not_open_the_door_to_everybody() {
    // The file of passwords is new in the same configuration, and counts after a restart only.
    let house = House::start(vec![named("first")]);
    let reloaded = house.reload(|config| {
        config.authentication.password_file = Some("/etc/passwords".into());
        config.listeners = vec![Listener { address: "0.0.0.0:0".parse().unwrap(), ..named("network") }];
    });
    assert!(reloaded.faults[0].to_string().contains("count after a restart"), "{reloaded:?}");
    assert!(house.addresses("network").is_empty());
    house.connect("first", v5("x")).ping();
}

#[test]
fn tls_that_comes_with_a_reload_is_watched_and_another_certificate_keeps_its_connections() {
    let site = Site::new();
    let house = House::start(vec![named("plain")]);
    house
        .reload(|config| config.listeners.push(Listener { name: Some("tls".to_owned()), ..site.listener() }));
    let mut client: Tls = site.dial(house.address("tls"), None).unwrap();
    assert_eq!(client.connect("a"), Ok(0));
    let other = site.ca.server(site.path(), "other");
    let reloaded = house.reload(|config| {
        config.listeners[1].certificate = vec![other.certificate.clone()];
        config.listeners[1].key = vec![other.key.clone()];
    });
    assert!(reloaded.faults.is_empty(), "{reloaded:?}");
    client.ping().unwrap();
    // Who is asked for a certificate now is asked anew.
    let reloaded = house.reload(|config| site.require(&mut config.listeners[1]));
    assert!(reloaded.faults.is_empty(), "{reloaded:?}");
    assert!(client.receive(1).is_err(), "disconnected");
    assert!(site.dial(house.address("tls"), None).and_then(|mut tls| tls.connect("b")).is_err());
}

#[test]
fn a_listener_of_quic_opens_beside_one_of_tcp_with_the_same_port_and_goes() {
    let site = Site::new();
    let house = House::start(vec![named("plain")]);
    let at = house.address("plain");
    let reloaded = house.reload(|config| {
        let (name, address) = (Some("quic".to_owned()), Address::Socket(at));
        config.listeners.push(Listener { name, address, protocol: Protocol::Quic, ..site.listener() });
    });
    assert!(reloaded.faults.is_empty(), "{reloaded:?}");
    let mut client = super::quic::dial_to(&site, at, None).unwrap();
    assert_eq!(client.connect("a"), Ok(0));
    let reloaded = house.reload(|config| drop(config.listeners.pop()));
    assert!(reloaded.faults.is_empty(), "{reloaded:?}");
    assert!(client.receive(1).is_err(), "disconnected");
    house.connect("plain", v5("b")).ping();
}

#[test]
fn a_unix_socket_opens_changes_its_mode_and_goes() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let house = House::start(vec![named("plain")]);
    house.reload(|config| config.listeners.push(Listener::on(Address::Unix(path.clone()))));
    assert_eq!(mode(), 0o660);
    house.reload(|config| config.listeners[1].unix_mode = "0600".parse().unwrap());
    assert_eq!(mode(), 0o600);
    house.reload(|config| drop(config.listeners.pop()));
    assert!(!path.exists());
}
