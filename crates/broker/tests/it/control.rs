//! The control door in the process: what it tells of a broker, and what it does to it.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use whimbrel_broker::{
    Broker,
    config::{self, Auto, Config, Levels, Problems, Sources},
    control::{Client, ClientSummary, Control, Gauge, Host, Kicked, Query, Refusal},
};
use whimbrel_engine::Count;
use whimbrel_testkit::{Packet, QoS, Subscribe, publish, v5, v311, will};

use super::running::{self, Running, start, start_with};

/// Runs what the door answers.
pub(super) fn ask<T>(asked: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(asked)
}

fn control(running: &Running) -> &Control {
    running.broker().control()
}

fn list(running: &Running, query: &Query) -> (Vec<ClientSummary>, usize) {
    ask(async {
        let mut clients = control(running).clients(query).await.expect("a list");
        let mut all = Vec::new();
        loop {
            let slice = clients.next_slice().await;
            if slice.is_empty() {
                return (all, clients.left());
            }
            all.extend(slice);
        }
    })
}

fn client(running: &Running, client_id: &str) -> Client {
    ask(control(running).client(client_id)).expect("a client")
}

#[test]
fn the_status_has_what_is_loaded_and_how_much_there_is() {
    let running = start_with(|config| {
        config.listeners.push(running::loopback());
        config.listeners[1].name = Some("house".to_owned());
        config.listeners[1].connections_max = Auto::Set(7);
        config.limits.retained_messages_max = 10;
    });
    let mut one = running.connect(v5("one").persistent());
    one.subscribe("t/#", QoS::QoS1);
    one.subscribe("$share/g/s", QoS::QoS1);
    for number in 0..9 {
        one.published(publish(&format!("r/{number}"), "kept").retain().at(QoS::QoS1, 1 + number));
    }
    let _other = running.connect(v311("other"));
    let status = ask(control(&running).status());
    assert_eq!((status.pid, status.workers, status.journal), (std::process::id(), 2, None));
    assert_eq!((status.clients.now, status.connections, status.shared_groups), (2, 2, 1));
    assert_eq!(status.sessions, Gauge { now: 2, max: 1_000_000 });
    assert_eq!((status.subscriptions.now, status.retained.messages), (2, Gauge { now: 9, max: 10 }));
    assert_eq!(status.traffic.messages_received, 9);
    assert_eq!(status.counts.get(Count::Connected.name()), Some(&2));
    assert!(status.config_file.is_none() && status.warnings.is_empty());
    let [first, house] = &status.listeners[..] else { panic!("{:?}", status.listeners) };
    assert_eq!((first.connections, first.connections_max, house.connections_max), (2, None, Some(7)));
    assert_eq!(
        (house.name.as_str(), house.connections, house.authentication.as_str()),
        ("house", 0, "anonymous")
    );
    assert_eq!(first.addresses, [running.addresses[0].to_string()]);
    let [alarm] = &status.alarms[..] else { panic!("{:?}", status.alarms) };
    assert_eq!((alarm.limit.as_str(), alarm.reached), ("limits.retained_messages_max", false));
}

#[test]
fn clients_are_listed_in_order_by_pattern_by_connection_and_by_page() {
    let running = start();
    let mut connected: Vec<_> = (0..5).map(|number| running.connect(v5(&format!("pump-{number}")))).collect();
    let absent = running.connect(v5("absent").persistent());
    drop(absent);
    running.wait_until("it has left", |engine| engine.connected() == 5);
    connected[2].subscribe("t", QoS::QoS0);

    let ids = |query: Query| -> (Vec<String>, usize) {
        let (clients, left) = list(&running, &query);
        (clients.into_iter().map(|client| client.client_id).collect(), left)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = names(&["absent", "pump-0", "pump-1", "pump-2", "pump-3", "pump-4"]);
    assert_eq!(ids(Query::default()), (all, 0));
    let pattern = |pattern: &str| Query { pattern: Some(pattern.to_owned()), ..Query::default() };
    assert_eq!(ids(pattern("*-?")).0.len(), 5);
    assert_eq!(ids(pattern("pump")), (Vec::new(), 0));
    assert_eq!(ids(Query { connected: Some(false), ..Query::default() }), (names(&["absent"]), 0));
    assert_eq!(
        ids(Query { connected: Some(true), limit: Some(2), ..Query::default() }),
        (names(&["pump-0", "pump-1"]), 3)
    );
    let page = Query { after: Some("pump-1".to_owned()), limit: Some(2), ..Query::default() };
    assert_eq!(ids(page), (names(&["pump-2", "pump-3"]), 1));
    assert_eq!(ids(Query { limit: Some(0), ..Query::default() }), (Vec::new(), 6));

    let (clients, _) = list(&running, &pattern("pump-2"));
    let one = &clients[0];
    let address = connected[2].stream().local_addr().unwrap().to_string();
    assert_eq!((one.connected, one.subscriptions, one.address.as_deref()), (true, 1, Some(address.as_str())));
    assert_eq!(one.version.as_deref(), Some("5.0"));
    let too_long = Query { pattern: Some("x".repeat(257)), ..Query::default() };
    let refused = ask(control(&running).clients(&too_long)).err();
    assert_eq!(refused, Some(Refusal::PatternTooLong { bytes_max: 256 }));
}

#[test]
fn a_list_of_thousands_is_whole_and_passes_over_who_has_gone_since() {
    let running = start();
    // Sessions that stay, over one connection after the other.
    for number in 0..1_000 {
        drop(running.connect(v5(&format!("c{number:04}")).persistent()));
    }
    running.wait_until("all have left", |engine| engine.connected() == 0);
    let (clients, left) = list(&running, &Query::default());
    assert_eq!((clients.len(), left), (1_000, 0));
    assert!(clients.is_sorted_by(|one, next| one.client_id < next.client_id));
    ask(async {
        let mut clients = control(&running).clients(&Query::default()).await.expect("a list");
        let first = clients.next_slice().await;
        assert!(first.len() < 1_000);
        let kicked = control(&running).kick("c0999", true).await.expect("it has a session");
        assert_eq!((kicked.disconnected, kicked.session_ended), (false, true));
        let mut seen = first.len();
        loop {
            match clients.next_slice().await.len() {
                0 => break,
                more => seen += more,
            }
        }
        assert_eq!((seen, clients.matching()), (999, 1_000));
    });
}

#[test]
fn one_client_is_told_with_its_connection_its_session_and_its_losses() {
    let running = start_with(|config| config.limits.queue_messages_max = 2);
    let last = will("w", "secret").qos(QoS::QoS1);
    let mut one = running.connect(v5("one").persistent().keep_alive(33).receive_maximum(5).will(last));
    let mut filters = Subscribe::one(1, "f/0000", QoS::QoS1);
    for number in 1..1_000 {
        filters = filters.and(&format!("f/{number:04}"), QoS::QoS1);
    }
    one.send(Packet::Subscribe(filters));
    one.ping();

    let seen = client(&running, "one");
    let connection = seen.connection.as_ref().expect("a connection");
    assert_eq!(connection.address, one.stream().local_addr().ok().map(|address| address.to_string()));
    assert_eq!(
        (connection.version.as_str(), connection.keep_alive_secs, connection.receive_maximum),
        ("5.0", 33, 5)
    );
    let last = seen.will.as_ref().expect("a will");
    assert_eq!((last.topic.as_str(), last.qos), ("w", 1));
    assert_eq!((seen.subscriptions, seen.session_ends), (Gauge { now: 1_000, max: 1_000 }, None));
    let all = ask(control(&running).subscriptions("one", None)).expect("subscriptions");
    assert_eq!((all.subscriptions.len(), all.more), (1_000, false));
    assert_eq!((all.subscriptions[7].filter.as_str(), all.subscriptions[7].qos), ("f/0007", 1));
    let rest = ask(control(&running).subscriptions("one", Some("f/0997"))).expect("subscriptions");
    assert_eq!(rest.subscriptions.len(), 2);

    drop(one);
    running.wait_until("it has left", |engine| engine.connected() == 0);
    let mut from = running.connect(v5("from"));
    from.say("f/0001", "lost at once");
    for number in 1..=5 {
        from.published(publish("f/0002", "x").at(QoS::QoS1, number));
    }
    let seen = client(&running, "one");
    assert!(seen.connection.is_none() && seen.will.is_none());
    let status = ask(control(&running).status());
    let ends = seen.session_ends.expect("it ends");
    assert!(ends > status.started + status.uptime_secs);
    assert_eq!(seen.queued_messages, Gauge { now: 2, max: 2 });
    let lost = |pairs: &[(Count, u64)]| -> BTreeMap<String, u64> {
        pairs.iter().map(|(cause, count)| (cause.name().to_owned(), *count)).collect()
    };
    assert_eq!(seen.dropped_messages, lost(&[(Count::DroppedQos0Absent, 1), (Count::DroppedQueueOldest, 3)]));
    let nobody = Refusal::NoSuchClient { client_id: "nobody".to_owned() };
    assert_eq!(ask(control(&running).client("nobody")), Err(nobody.clone()));
    assert_eq!(ask(control(&running).subscriptions("nobody", None)), Err(nobody));
}

#[test]
fn a_kick_answers_when_the_client_is_gone() {
    let running = start();
    let mut one = running.connect(v5("one").persistent());
    let mut old = running.connect(v311("old").persistent());
    let kick = |client_id, session| ask(control(&running).kick(client_id, session));
    let kicked = |client_id: &str, disconnected, session_ended| {
        Ok(Kicked { client_id: client_id.to_owned(), disconnected, session_ended })
    };
    assert_eq!(kick("one", false), kicked("one", true, false));
    assert_eq!((running.broker().engine().connected(), one.farewell()), (1, Some(0x98)));
    let absent = Refusal::NotConnected { client_id: "one".to_owned() };
    assert_eq!(kick("one", false), Err(absent));
    assert_eq!(kick("old", true), kicked("old", true, true));
    assert!(old.is_closed());
    assert_eq!(running.broker().engine().sessions(), 1);
    assert_eq!(kick("one", true), kicked("one", false, true));
    assert_eq!(running.broker().engine().sessions(), 0);
    assert_eq!(kick("one", true), Err(Refusal::NoSuchClient { client_id: "one".to_owned() }));
}

/// A program whose configuration and log are in the hands of the test.
#[derive(Default)]
struct Stage {
    text: Mutex<String>,
    levels: Mutex<Vec<String>>,
    log_is_gone: Mutex<bool>,
}

impl Stage {
    fn write(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
    }
}

impl Host for Stage {
    fn config(&self) -> Result<Config, Problems> {
        let text = self.text.lock().unwrap().clone();
        let file = config::File { path: "w.toml".into(), text };
        Config::load(&Sources { file: Some(file), ..Sources::default() })
    }

    fn config_file(&self) -> Option<PathBuf> {
        Some("w.toml".into())
    }

    fn reopen_log(&self) -> io::Result<()> {
        if *self.log_is_gone.lock().unwrap() { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    fn set_log_levels(&self, levels: &Levels) -> Result<(), String> {
        self.levels.lock().unwrap().push(levels.to_string());
        Ok(())
    }
}

const LISTEN: &str =
    "[[listener]]\naddress = \"127.0.0.1:0\"\n[worker]\nthreads = 1\n[store]\ndurability = \"memory\"\n";

#[test]
fn a_reload_takes_what_can_be_taken_and_tells_the_rest() {
    let stage = Arc::new(Stage::default());
    stage.write(LISTEN);
    let broker = Broker::start_in(&stage.config().unwrap(), stage.clone()).unwrap();
    let control = broker.control();
    let reload = |text: &str| {
        stage.write(text);
        ask(control.reload("the test"))
    };
    let told = |changes: &[whimbrel_broker::control::Change]| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    let same = reload(LISTEN);
    assert!(
        same.log_reopened
            && same.changed.is_empty()
            && same.needs_restart.is_empty()
            && same.faults.is_empty()
    );
    assert_eq!(same.users, None);

    let changed = format!("{LISTEN}[limits]\nconnections_max = 9\n[log]\nlevel = \"debug\"\n");
    let taken = reload(&changed);
    assert_eq!(told(&taken.changed), ["log.level: \"info\" → \"debug\""]);
    assert_eq!(told(&taken.needs_restart), ["limits.connections_max: \"auto\" → 9"]);
    assert_eq!(*stage.levels.lock().unwrap(), ["debug"]);
    let again = reload(&changed);
    assert!(again.changed.is_empty(), "it is in force already");
    assert_eq!(told(&again.needs_restart), ["limits.connections_max: \"auto\" → 9"], "it still waits");

    *stage.log_is_gone.lock().unwrap() = true;
    let wrong = reload(&format!("{LISTEN}[limits]\nconnection_max = 9\nreceive_maximum = 0\n"));
    assert!(!wrong.log_reopened && wrong.changed.is_empty() && wrong.needs_restart.is_empty());
    let places: Vec<_> =
        wrong.faults.iter().map(|fault| (fault.line, fault.column, fault.key.as_deref())).collect();
    assert_eq!(
        places,
        [
            (None, None, Some("log.file")),
            (Some(8), Some(1), Some("limits.connection_max")),
            (Some(9), Some(19), Some("limits.receive_maximum"))
        ]
    );
    let told = wrong.faults[1].to_string();
    let expect = "/w.toml:8:1: limits.connection_max: there is no such key";
    assert!(told.starts_with('/') && told.contains(expect), "{told}");
    assert_eq!(ask(control.status()).log_level, "debug", "what has faults changes nothing");
    broker.stop();
}

#[test]
fn another_listener_is_told_with_its_number() {
    let stage = Arc::new(Stage::default());
    stage.write(LISTEN);
    let broker = Broker::start_in(&stage.config().unwrap(), stage.clone()).unwrap();
    stage.write(&format!("{LISTEN}[[listener]]\naddress = \"127.0.0.1:0\"\n"));
    let told = ask(broker.control().reload("the test")).changed;
    let told: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["listener[2].address: not set → \"127.0.0.1:0\""]);
    broker.stop();
}

#[test]
fn the_level_of_the_log_can_be_changed_and_a_reload_keeps_to_it() {
    let stage = Arc::new(Stage::default());
    stage.write(LISTEN);
    let broker = Broker::start_in(&stage.config().unwrap(), stage.clone()).unwrap();
    let control = broker.control();
    let level = |levels: Option<&str>| {
        let levels = levels.map(|levels| Levels::parse(levels).expect("levels"));
        ask(control.log_level(levels)).map(|log| (log.level, log.configured))
    };
    let both = |level: &str, configured: &str| Ok((level.to_owned(), configured.to_owned()));
    assert_eq!(level(None), both("info", "info"));
    assert_eq!(level(Some("warn,whimbrel_broker=trace")), both("warn,whimbrel_broker=trace", "info"));
    assert!(ask(control.reload("the test")).changed.is_empty());
    assert_eq!(level(None), both("warn,whimbrel_broker=trace", "info"));
    stage.write(&format!("{LISTEN}[log]\nlevel = \"error\"\n"));
    ask(control.reload("the test"));
    assert_eq!(level(None), both("error", "error"));
    assert_eq!(*stage.levels.lock().unwrap(), ["warn,whimbrel_broker=trace", "error"]);
    broker.stop();

    let embedded = start();
    let refused = ask(embedded.broker().control().log_level(Levels::parse("debug")));
    assert!(matches!(refused, Err(Refusal::LogLevel { .. })), "{refused:?}");
}

#[test]
fn who_runs_the_broker_hears_that_it_is_to_end() {
    let running = start();
    control(&running).stop();
    ask(control(&running).stop_asked()); // Also when it asks later.
}
