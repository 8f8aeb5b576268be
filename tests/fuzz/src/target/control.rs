//! What is said at the control socket of a broker that runs: no panic, one answer to each line and nothing else, in order,
//! each of them one that a visitor can read; and what is a request is one again when it is written.

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    time::Instant,
};

use whimbrel_broker::{
    Broker,
    config::{Auto, Config, Durability, Listener},
    control::{Answer, Request, socket},
};

/// A broker, and a visit at its control socket that goes on from input to input.
struct Visit {
    heard: BufReader<UnixStream>,
    /// When it was last heard.
    at: Instant,
    _broker: Broker,
    _socket: socket::Socket,
}

thread_local! {
    static VISIT: RefCell<Option<Visit>> = const { RefCell::new(None) };
}

impl Visit {
    fn begin() -> Visit {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config {
            listeners: vec![Listener::on("127.0.0.1:0".parse().expect("an address"))],
            ..Config::default()
        };
        config.store.durability = Durability::Memory;
        config.worker.threads = Auto::Set(1);
        config.control.enabled = true;
        config.control.socket = Some(folder.path().join("control.sock"));
        let broker = Broker::start(&config).expect("a broker");
        let reserved = socket::Reserved::open(&config.control).expect("a socket").expect("a socket");
        let socket = reserved.serve(broker.control()).expect("a thread");
        let heard = BufReader::new(UnixStream::connect(socket.path()).expect("somebody listens"));
        Visit { heard, at: Instant::now(), _broker: broker, _socket: socket }
    }

    fn ask(&mut self, line: &[u8]) {
        self.heard.get_mut().write_all(&[line, b"\n"].concat()).expect("the visit goes on");
        loop {
            let mut answer = String::new();
            self.heard.read_line(&mut answer).expect("the visit goes on");
            assert!(answer.ends_with('\n'), "the visit ends after {}", line.escape_ascii());
            let read: Answer =
                serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
            if !matches!(read, Answer::ClientSummary(_)) {
                break;
            }
        }
        self.at = Instant::now();
        assert!(self.heard.buffer().is_empty(), "more than one answer to {}", line.escape_ascii());
    }
}

/// Every line is said, but those that end the broker or write to the disk.
pub(super) fn control(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(request) = serde_json::from_slice::<Request>(line) {
            let written = serde_json::to_string(&request).expect("what was read can be written");
            assert_eq!(serde_json::from_str::<Request>(&written).ok().as_ref(), Some(&request), "{written}");
            assert!(!written.contains('\n'), "{written}");
            if matches!(request, Request::Stop | Request::Backup { .. }) {
                continue;
            }
        }
        VISIT.with_borrow_mut(|visit| {
            // Who says nothing for long is let go.
            visit.take_if(|visit| visit.at.elapsed().as_secs() >= socket::REQUEST_SECS_MAX / 2);
            visit.get_or_insert_with(Visit::begin).ask(line);
        });
    }
}
