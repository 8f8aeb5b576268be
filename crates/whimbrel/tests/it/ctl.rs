//! `whimbrel ctl` with a broker, as an operator uses it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::program::{Said, run};
use super::serve::{Broker, CONNECT, client, in_time, packet};

/// A broker with a configuration file and a control socket in a folder of its own.
struct House {
    broker: Broker,
    address: std::net::SocketAddr,
    folder: TempDir,
}

const CONFIG: &str =
    "[log]\nfile = \"log\"\n[control]\nsocket = \"c.sock\"\n[limits]\nreceive_maximum = 10\n";

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("w.toml");
        fs::write(&config, CONFIG).expect("it can be written");
        let broker = Broker::start_with(&["--config", text(&config)], &[]);
        // The socket is the last that a broker opens.
        let log = folder.path().join("log");
        let address = in_time(|| {
            let said = fs::read_to_string(&log).ok()?;
            let listening = said.lines().find(|line| line.contains("listening on "))?;
            said.contains("control socket: ").then(|| listening.to_owned())
        });
        let address = address.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|address| address.parse().ok()).expect("an address");
        House { broker, address, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    fn ctl(&self, arguments: &[&str]) -> Said {
        let socket = self.socket();
        run(self.folder.path(), &[&["ctl", "--socket", text(&socket)], arguments].concat(), &[])
    }

    /// What a command says as JSON that goes well.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.ctl(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(said.out.lines().count(), 1);
        serde_json::from_str(&said.out).expect("JSON")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

/// CONNECT of a 5.0 client whose identifier is one letter and whose session stays for 100 seconds.
fn persistent(id: u8) -> Vec<u8> {
    [&b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x64\x00\x01"[..], &[id]].concat()
}

#[test]
fn the_status_is_a_text_to_read_or_one_object() {
    let house = House::open();
    let _client = client(house.address, CONNECT);
    let said = house.ctl(&["status"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        concat!("whimbrel ", env!("CARGO_PKG_VERSION"), ", process "),
        &format!("control socket {}", house.socket().display()),
        &format!("configuration {}", house.folder.path().join("w.toml").display()),
        &format!("{} {} anonymous 1 -", "127.0.0.1:0", house.address),
        "clients connected 1 ",
        "connections_opened 1",
    ] {
        assert!(words.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains('\u{1b}'), "there is no terminal, so there are no colours");
    let status = house.json(&["status"]);
    assert_eq!(status["clients"]["now"], 1);
    assert_eq!(status["alarms"], Value::Array(Vec::new()));
    assert_eq!(status["listeners"][0]["addresses"][0], house.address.to_string());
    assert!(status.get("journal").is_none());
}

#[test]
fn clients_are_listed_told_and_kicked() {
    let house = House::open();
    let mut one = client(house.address, &persistent(b'x'));
    let _two = client(house.address, &persistent(b'y'));
    let listed = house.ctl(&["clients", "--limit", "1"]);
    assert_eq!(listed.code, 0);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("CLIENT") && lines[1].starts_with("x "),
        "{}",
        listed.out
    );
    assert!(listed.err.contains("1 of 2 clients") && listed.err.contains("--after x"), "{}", listed.err);
    let all = house.ctl(&["clients", "--json", "--after", "x"]);
    let client: Value = serde_json::from_str(&all.out).expect("one line");
    assert_eq!((&client["client_id"], &client["connected"]), (&"y".into(), &true.into()));
    assert_eq!(house.ctl(&["clients", "z*"]).out, "");

    let told = house.json(&["client", "x"]);
    assert_eq!((&told["connection"]["version"], &told["session_expiry_secs"]), (&"5.0".into(), &100.into()));
    assert_eq!(told["subscription_list"], Value::Array(Vec::new()));
    let words = house.ctl(&["client", "x"]).out;
    assert!(
        words.contains("keep-alive") && words.contains("stays for 1 min 40 s after the connection"),
        "{words}"
    );

    let kicked = house.ctl(&["kick", "x"]);
    assert_eq!((kicked.code, kicked.out.as_str()), (0, "x is disconnected\n"), "{}", kicked.err);
    let farewell = packet(&mut one).expect("DISCONNECT");
    assert_eq!((farewell[0], farewell[2], packet(&mut one)), (0xe0, 0x98, None));
    let again = house.ctl(&["kick", "x"]);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert!(again.err.contains("\"x\" is not connected") && again.err.contains("--session"), "{}", again.err);
    assert!(house.ctl(&["clients", "--absent"]).out.contains("\nx "));
    assert_eq!(house.ctl(&["kick", "x", "--session"]).out, "the session of x has ended\n");
    let gone = house.ctl(&["client", "x"]);
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains("there is no client \"x\""), "{}", gone.err);
}

#[test]
fn a_reload_tells_what_it_took_and_where_the_faults_are() {
    let house = House::open();
    let config = house.folder.path().join("w.toml");
    let write = |text: &str| fs::write(&config, text).expect("it can be written");
    assert!(house.ctl(&["reload"]).out.contains("the configuration is as it was"));
    write(&format!("{}\n[worker]\nthreads = 1\n", CONFIG.replace("[log]", "[log]\nlevel = \"debug\"")));
    let taken = house.ctl(&["reload"]);
    assert_eq!(taken.code, 0, "{}", taken.err);
    assert!(taken.out.contains("log.level: \"info\" → \"debug\", from now on\n"), "{}", taken.out);
    assert!(taken.out.contains("worker.threads: \"auto\" → 1, after a restart\n"), "{}", taken.out);
    let log = || fs::read_to_string(house.folder.path().join("log")).expect("a log");
    client(house.address, CONNECT);
    in_time(|| log().contains("DEBUG").then_some(()));

    write(&format!("{CONFIG}receive_maximun = 1\n"));
    let wrong = house.ctl(&["reload"]);
    let place = format!(
        "{}:7:1: limits.receive_maximun: there is no such key; did you mean receive_maximum?",
        config.display()
    );
    assert_eq!(wrong.code, 1);
    assert!(wrong.out.contains(&place), "{}", wrong.out);
    let wrong = house.ctl(&["reload", "--json"]);
    let value: Value = serde_json::from_str(&wrong.out).expect("JSON");
    assert_eq!((wrong.code, &value["faults"][0]["line"]), (1, &7.into()));
    house.broker.signal(Signal::HUP);
    in_time(|| log().contains(&format!("SIGHUP: {place}")).then_some(()));
}

#[test]
fn the_level_of_the_log_is_told_and_changed() {
    let house = House::open();
    assert_eq!(house.ctl(&["log"]).out, "info\n");
    assert_eq!(
        house.ctl(&["log", "info,whimbrel_broker=debug"]).out,
        "info,whimbrel_broker=debug (the configuration says info)\n"
    );
    client(house.address, CONNECT);
    let log = || fs::read_to_string(house.folder.path().join("log")).expect("a log");
    in_time(|| log().contains("DEBUG").then_some(()));
    let wrong = house.ctl(&["log", "loud"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("allowed is \"off\", \"error\""), "{}", wrong.err);
}

#[test]
fn a_stop_waits_until_the_broker_has_ended() {
    let mut house = House::open();
    let mut one = client(house.address, CONNECT);
    let stopped = house.ctl(&["stop"]);
    assert_eq!((stopped.code, stopped.out.as_str()), (0, "the broker has ended\n"), "{}", stopped.err);
    assert_eq!(packet(&mut one).map(|farewell| farewell[2]), Some(0x8b));
    assert_eq!(house.broker.exit_code(), Some(0));
    assert!(!house.socket().exists());
    let nobody = house.ctl(&["status"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
    assert!(
        nobody.err.contains(&format!("{}: there is no such socket", house.socket().display())),
        "{}",
        nobody.err
    );
}

#[test]
fn of_several_brokers_one_has_to_be_named_and_one_that_was_killed_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("RUNTIME_DIRECTORY", text(folder.path()))];
    let ctl = |arguments: &[&str]| run(folder.path(), &[&["ctl"], arguments].concat(), &variables);
    let sockets = |count: usize| {
        in_time(|| (fs::read_dir(folder.path()).map_or(0, Iterator::count) == count).then_some(()));
    };
    let mut first = Broker::start_with(&[], &variables);
    first.said_address();
    sockets(1);
    assert_eq!(in_time(|| Some(ctl(&["log"])).filter(|said| said.code == 0)).out, "info\n");
    let mut second = Broker::start_with(&[], &variables);
    second.said_address();
    sockets(2);
    let both = in_time(|| Some(ctl(&["status"])).filter(|said| said.code == 2));
    assert!(both.err.contains("there are 2 brokers; name one:"), "{}", both.err);
    let named = format!("control-{}.sock", second.pid());
    assert!(both.err.contains(&named) && both.err.contains("/control.sock"), "{}", both.err);

    first.signal(Signal::KILL);
    drop(first);
    let left = ctl(&["status", "--json"]);
    let status: Value = serde_json::from_str(&left.out).expect("the other one answers");
    assert_eq!(status["pid"], second.pid());
    // What the killed one has left is replaced.
    let mut third = Broker::start_with(&[], &variables);
    third.said_address();
    let plain = folder.path().join("control.sock");
    let status =
        in_time(|| Some(ctl(&["--socket", text(&plain), "status", "--json"])).filter(|said| said.code == 0));
    assert_eq!(serde_json::from_str::<Value>(&status.out).expect("JSON")["pid"], third.pid());
}

#[test]
fn a_path_that_was_named_must_be_free() {
    let house = House::open();
    let said = run(
        house.folder.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--durability",
            "memory",
            "--control-socket",
            text(&house.socket()),
        ],
        &[],
    );
    assert_eq!(said.code, 1);
    assert!(said.err.contains("somebody answers there already, so another broker has it"), "{}", said.err);
    assert_eq!(house.ctl(&["log"]).code, 0, "the one that was there is left alone");
}

#[test]
fn another_account_is_sent_away_by_the_file_system_and_by_the_broker() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can be another account for a moment.
    }
    let house = House::open();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it can be changed");
    };
    let program = house.folder.path().join("whimbrel");
    fs::copy(env!("CARGO_BIN_EXE_whimbrel"), &program).expect("it can be copied");
    open(house.folder.path(), 0o755);
    let as_another = || {
        let mut command = Command::new(&program);
        command.args(["ctl", "--socket", text(&house.socket()), "status"]).uid(65_534).gid(65_534);
        let output = command.current_dir("/").output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, said) = as_another();
    assert_eq!(code, Some(1));
    assert!(said.contains("permission denied; it belongs to root"), "{said}");
    open(&house.socket(), 0o666);
    let (code, said) = as_another();
    assert_eq!(code, Some(1));
    assert!(said.contains("account 65534 may not control this broker"), "{said}");
    assert_eq!(house.ctl(&["log"]).code, 0);
}
