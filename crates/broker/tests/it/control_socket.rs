//! The control socket: requests and answers as lines, who may open it, and visitors that mean no good.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;
use whimbrel_broker::{
    config,
    control::{
        Answer, Refusal,
        socket::{CONNECTIONS_MAX, PATH_BYTES_MAX, PlaceError, REQUEST_BYTES_MAX, Reserved, Socket},
    },
};
use whimbrel_testkit::v5;

use super::running::{DEADLINE, Running, start};

/// A broker, its control socket, and the folder that has it.
struct Open {
    running: Running,
    socket: Option<Socket>,
    path: PathBuf,
    _folder: TempDir,
}

fn at(path: &Path) -> config::Control {
    config::Control { enabled: true, socket: Some(path.to_owned()) }
}

fn open_at(running: &Running, path: &Path) -> Result<Option<Socket>, PlaceError> {
    let reserved = Reserved::open(&at(path))?;
    reserved.map(|reserved| reserved.serve(running.broker().control())).transpose()
}

fn open() -> Open {
    let running = start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner").join("c.sock");
    let socket = open_at(&running, &path).unwrap();
    Open { running, socket, path, _folder: folder }
}

/// A visitor that waits no longer than anything may take.
struct Visitor {
    stream: BufReader<UnixStream>,
}

impl Visitor {
    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Visitor { stream: BufReader::new(stream) }
    }

    /// A broker that has closed does not mind.
    fn say(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.get_mut().write_all(bytes) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        }
    }

    /// The next answer; none at the end.
    #[track_caller]
    fn answer(&mut self) -> Option<Answer> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            read => read.expect("an answer in time"),
        };
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("an answer"))
    }

    #[track_caller]
    fn ask(&mut self, request: &str) -> Option<Answer> {
        self.say(format!("{request}\n").as_bytes());
        self.answer()
    }

    #[track_caller]
    fn refusal(&mut self) -> Option<Refusal> {
        match self.answer()? {
            Answer::Refused { message, refusal } => {
                assert_eq!(message, refusal.to_string());
                Some(refusal)
            }
            other => panic!("no refusal: {other:?}"),
        }
    }

    #[track_caller]
    fn is_served(&mut self) -> bool {
        matches!(self.ask(r#"{"ask":"status"}"#), Some(Answer::Status(_)))
    }
}

#[test]
fn a_visitor_asks_one_thing_after_the_other_or_all_at_once() {
    let open = open();
    let _clients: Vec<_> = (0..3).map(|number| open.running.connect(v5(&format!("c{number}")))).collect();
    let mut visitor = Visitor::at(&open.path);
    visitor.say(
        b"{\"ask\":\"clients\",\"query\":{\"limit\":2}}\n{\"ask\":\"kick\",\"client_id\":\"c1\"}\r\n{\"ask\":\"log\"}\n",
    );
    for id in ["c0", "c1"] {
        let Some(Answer::ClientSummary(client)) = visitor.answer() else { panic!("no client") };
        assert_eq!(client.client_id, id);
    }
    assert_eq!(visitor.answer(), Some(Answer::End { matching: 3, left: 1 }));
    let Some(Answer::Kicked(kicked)) = visitor.answer() else { panic!("it is not kicked") };
    assert_eq!((kicked.client_id.as_str(), kicked.disconnected), ("c1", true));
    let Some(Answer::Log(log)) = visitor.answer() else { panic!("no level") };
    assert_eq!(log.level, "info");
    let Some(Answer::Client(client)) = visitor.ask(r#"{"ask":"client","client_id":"c2"}"#) else {
        panic!("no client")
    };
    assert_eq!(client.client_id, "c2");
    assert!(matches!(
        visitor.ask(r#"{"ask":"subscriptions","client_id":"c2"}"#),
        Some(Answer::Subscriptions(_))
    ));
    assert!(matches!(visitor.ask(r#"{"ask":"reload"}"#), Some(Answer::Reloaded(_))));
    assert!(matches!(visitor.ask(r#"{"ask":"kick","client_id":"c1"}"#), Some(Answer::Refused { .. })));
}

#[test]
fn garbage_is_answered_and_the_next_request_is_heard() {
    let open = open();
    let mut visitor = Visitor::at(&open.path);
    for garbage in [
        &b""[..],
        b"\0\xff\xfe garbage",
        b"null",
        b"{}",
        b"[1,2",
        br#"{"ask":"everything"}"#,
        br#"{"ask":"kick"}"#,
        br#"{"ask":"kick","client_id":7}"#,
        br#"{"ask":"kick","client_id":"x","sessions":true}"#,
        br#"{"ask":"clients","query":{"limit":-1}}"#,
        br#"{"ask":"clients","query":{"limits":1}}"#,
        &[b'['; 100_000],
    ] {
        visitor.say(&[garbage, b"\n"].concat());
        let refusal = visitor.refusal();
        assert!(matches!(refusal, Some(Refusal::NoRequest { .. })), "{refusal:?}");
    }
    assert!(matches!(visitor.ask(r#"{"ask":"log","level":"loud"}"#), Some(Answer::Refused { .. })));
    assert!(visitor.is_served());
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let open = open();
    let mut visitor = Visitor::at(&open.path);
    visitor.say(&vec![b'x'; REQUEST_BYTES_MAX]);
    assert_eq!(visitor.refusal(), Some(Refusal::RequestTooLarge { bytes_max: REQUEST_BYTES_MAX }));
    assert_eq!(visitor.answer(), None);
    assert!(Visitor::at(&open.path).is_served());
    // The longest client identifier in its longest spelling fits.
    let mut visitor = Visitor::at(&open.path);
    let id = "\\u0001".repeat(65_535);
    visitor.say(format!(r#"{{"ask":"client","client_id":"{id}"}}{}"#, "\n").as_bytes());
    assert!(matches!(visitor.refusal(), Some(Refusal::NoSuchClient { .. })));
}

#[test]
fn of_a_thousand_visitors_some_are_served_and_the_others_told_to_try_again() {
    let open = open();
    let mut visitors: Vec<Visitor> = (0..1_000).map(|_| Visitor::at(&open.path)).collect();
    let served: Vec<bool> = visitors
        .iter_mut()
        .map(|visitor| {
            visitor.say(b"{\"ask\":\"log\"}\n");
            match visitor.answer().expect("an answer") {
                Answer::Log(_) => true,
                Answer::Refused { refusal: Refusal::Busy { connections_max }, .. } => {
                    assert_eq!(connections_max, CONNECTIONS_MAX);
                    assert_eq!(visitor.answer(), None);
                    false
                }
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(served.iter().filter(|served| **served).count(), CONNECTIONS_MAX);
    drop(visitors);
    // The seats are free as soon as the broker sees that they have gone.
    let end = Instant::now() + DEADLINE;
    while !Visitor::at(&open.path).is_served() {
        assert!(Instant::now() < end, "the seats stay taken");
    }
    open.running.connect(v5("one")).ping();
}

#[test]
fn a_visitor_that_does_not_read_keeps_nobody_waiting() {
    let open = open();
    for number in 0..500 {
        let id = format!("{number:04}{}", "x".repeat(2_000));
        drop(open.running.connect(v5(&id).persistent()));
    }
    // A megabyte of answers, more than a socket takes.
    let mut lazy = Visitor::at(&open.path);
    lazy.say(b"{\"ask\":\"clients\"}\n");
    assert!(lazy.answer().is_some());
    assert!(Visitor::at(&open.path).is_served());
    open.running.connect(v5("one")).ping();
    let mut rest = 1;
    while let Some(Answer::ClientSummary(_)) = lazy.answer() {
        rest += 1;
    }
    assert_eq!(rest, 500, "the answer goes on when it reads");
}

#[test]
fn the_end_of_the_broker_can_be_asked_for_and_is_seen() {
    let mut open = open();
    let mut visitor = Visitor::at(&open.path);
    assert_eq!(visitor.ask(r#"{"ask":"stop"}"#), Some(Answer::Stopping {}));
    super::control::ask(open.running.broker().control().stop_asked());
    assert!(open.path.exists());
    drop(open.socket.take());
    assert_eq!(visitor.answer(), None);
    assert!(!open.path.exists(), "the socket goes with the broker");
}

#[test]
fn only_its_owner_may_open_the_socket_and_its_folder() {
    let open = open();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&open.path), mode(open.path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(open.socket.as_ref().unwrap().path(), open.path);
}

#[test]
fn a_socket_is_replaced_only_if_nobody_answers_there() {
    let open = open();
    let taken = open_at(&open.running, &open.path).unwrap_err();
    assert!(matches!(taken, PlaceError::Taken(_)), "{taken}");
    assert!(taken.to_string().contains(open.path.to_str().unwrap()));
    assert!(Visitor::at(&open.path).is_served(), "the first is left alone");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.sock");
    drop(UnixListener::bind(&path).unwrap()); // What a broker leaves behind that was killed.
    assert!(path.exists());
    let socket = open_at(&open.running, &path).unwrap();
    assert!(Visitor::at(&path).is_served());
    // Somebody has put another in its place: that one stays.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    drop(socket);
    assert!(path.exists());
    let refused = open_at(&open.running, &path).unwrap_err();
    assert!(matches!(refused, PlaceError::NotASocket(_)), "{refused}");
    fs::remove_file(&path).unwrap();
    symlink(&open.path, &path).unwrap();
    let refused = open_at(&open.running, &path).unwrap_err();
    assert!(matches!(refused, PlaceError::NotASocket(_)), "{refused}");
}

#[test]
fn a_place_that_is_not_safe_or_not_possible_is_refused_with_its_path() {
    let running = start();
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| open_at(&running, path).unwrap_err();
    let public = folder.path().join("public");
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o777)).unwrap();
    let error = refused(&public.join("c.sock"));
    assert!(matches!(&error, PlaceError::OpenToOthers { mode: 0o777, .. }), "{error}");
    assert!(error.to_string().contains("0777"), "{error}");
    // In a folder like /tmp nobody deletes what belongs to others.
    fs::set_permissions(&public, fs::Permissions::from_mode(0o1777)).unwrap();
    drop(open_at(&running, &public.join("c.sock")).unwrap());

    let long = folder.path().join("x".repeat(PATH_BYTES_MAX));
    assert!(matches!(refused(&long), PlaceError::TooLong(_)));
    let nowhere = folder.path().join("no").join("such").join("c.sock");
    assert!(matches!(refused(&nowhere), PlaceError::Path { .. }));
    let none = config::Control { enabled: false, socket: Some(public.join("c.sock")) };
    assert!(Reserved::open(&none).unwrap().is_none());
    assert!(!public.join("c.sock").exists());
}

#[test]
fn a_visitor_that_says_nothing_is_not_answered() {
    let open = open();
    let mut visitor = Visitor::at(&open.path);
    visitor.stream.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    visitor.stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
