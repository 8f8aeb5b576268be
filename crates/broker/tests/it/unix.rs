//! MQTT over Unix sockets: who may connect, what becomes of the file, and what is there before.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixListener,
    },
    path::Path,
};

use tempfile::TempDir;
use whimbrel_broker::{
    Broker,
    config::{Address, Listener, Protocol},
};
use whimbrel_net::{Address as Dialled, Dialler};
use whimbrel_testkit::{QoS, v5};

use super::{
    client::Client,
    control::ask,
    running::{Running, config, loopback, start_with},
    tls::Tls,
};

fn listener(path: &Path) -> Listener {
    Listener::on(Address::Unix(path.to_owned()))
}

fn start(path: &Path, change: impl FnOnce(&mut Listener)) -> Running {
    let mut listener = listener(path);
    change(&mut listener);
    start_with(|config| config.listeners = vec![loopback(), listener])
}

fn dial(path: &Path) -> Result<Tls, String> {
    Tls::dial_with(Dialler::new(None), &Dialled::unix(path.to_str().unwrap()).unwrap())
}

#[test]
fn clients_by_a_unix_socket_and_by_tcp_talk_to_each_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let running = start(&path, |_| {});
    let mut tcp = Client::open(running.addresses[0], whimbrel_testkit::Version::V5);
    tcp.connect(v5("tcp"));
    tcp.subscribe("t", QoS::QoS0);
    let mut unix = dial(&path).unwrap();
    assert_eq!(unix.connect("unix"), Ok(0));
    unix.send(b"\x30\x06\x00\x01thi!").unwrap();
    assert_eq!(tcp.message().payload, b"hi!");
    unix.ping().unwrap();
    let shown = ask(running.broker().control().client("unix")).unwrap().connection.unwrap().address.unwrap();
    assert!(shown.starts_with(&format!("unix:pid={},uid=", std::process::id())), "{shown}");
    let status = ask(running.broker().control().status());
    assert_eq!(status.listeners[1].addresses, [format!("unix:{}", path.display())]);
    assert_eq!(status.listeners[1].connections, 1);
}

#[test]
fn the_file_has_its_mode_and_goes_with_the_broker() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    for (mode, bits) in [("0660", 0o660), ("0600", 0o600), ("0666", 0o666)] {
        let running = start(&path, |listener| listener.unix_mode = mode.parse().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, bits);
        running.stop();
        assert!(!path.exists(), "the file goes with the broker");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing else is left");
    }
}

#[test]
fn a_socket_that_nobody_listens_at_is_replaced_and_nothing_else_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let refused = || {
        let mut config = config();
        config.listeners = vec![listener(&path)];
        Broker::start(&config).err().expect("it does not start").to_string()
    };
    drop(UnixListener::bind(&path).unwrap()); // What a killed process leaves.
    let running = start(&path, |_| {});
    assert_eq!(dial(&path).unwrap().connect("first"), Ok(0));
    assert!(refused().contains("somebody answers there already"), "{}", refused());
    assert_eq!(dial(&path).unwrap().connect("second"), Ok(0), "the first goes on");
    running.stop();
    fs::write(&path, "a letter").unwrap();
    assert!(refused().contains("is no socket"), "{}", refused());
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
}

#[test]
fn what_somebody_has_put_in_its_place_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let running = start(&path, |_| {});
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    running.stop();
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    drop(other);
}

#[test]
fn websocket_goes_by_a_unix_socket_too() {
    use std::io::{Read, Write};
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ws.sock");
    let _running = start(&path, |listener| listener.protocol = Protocol::Ws);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(super::running::DEADLINE)).unwrap();
    let request = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn a_server_that_is_not_there_is_told_as_such() {
    let error = dial(Path::new("/nonexistent/mqtt.sock")).err().unwrap();
    assert!(error.contains("unix:/nonexistent/mqtt.sock") && error.contains("is the path right"), "{error}");
}
