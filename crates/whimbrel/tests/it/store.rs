//! `whimbrel store` on sound and on damaged stores, and a backup of a broker under load.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::program::{Said, run};
use super::serve::{Broker, client, in_time, packet};

/// CONNECT of a 5.0 client `b` whose session stays for ever.
const STAYER: &[u8] = b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\xff\xff\xff\xff\x00\x01b";
/// CONNECT of a 5.0 client `p` without a session.
const PUBLISHER: &[u8] = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01p";
/// To `t` at QoS 1.
const SUBSCRIBE: &[u8] = b"\x82\x07\x00\x01\x00\x00\x01t\x01";

/// A folder with a store `s`, and room for others beside it.
struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        House { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn broker(&self, store: &str) -> (Broker, SocketAddr) {
        let (store, socket) = (self.path(store), self.path("c.sock"));
        let mut broker =
            Broker::start_with(&["--store-directory", text(&store), "--control-socket", text(&socket)], &[]);
        let address = broker.said_address();
        in_time(|| socket.exists().then_some(()));
        (broker, address)
    }

    /// A store that a broker has left: a session that is owed messages, and a retained one.
    fn with_store(messages: u16) -> Self {
        let house = House::new();
        let (mut broker, address) = house.broker("s");
        let mut stayer = client(address, STAYER);
        stayer.write_all(SUBSCRIBE).expect("it can be sent");
        assert_eq!(packet(&mut stayer).expect("SUBACK")[0], 0x90);
        drop(stayer);
        let mut publisher = client(address, PUBLISHER);
        for id in 1..=messages {
            publish(&mut publisher, id, b"t", 0);
        }
        publish(&mut publisher, 9_999, b"r", 1);
        broker.signal(Signal::TERM);
        assert_eq!(broker.exit_code(), Some(0));
        house
    }

    fn store(&self, arguments: &[&str]) -> Said {
        // The folder by convention, for root too: one that is not there.
        let none = self.path("none");
        let nowhere = [("STATE_DIRECTORY", text(&none))];
        run(self.folder.path(), &[&["store"], arguments].concat(), &nowhere)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.store(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {} {}", said.out, said.err))
    }

    /// Changes the file of the first segment.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.path("s/0000000000000001.log");
        let mut bytes = fs::read(&file).expect("it can be read");
        change(&mut bytes);
        fs::write(&file, bytes).expect("it can be written");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

/// Publishes the payload `n…` at QoS 1, where `n…` is the identifier in five digits, and reads PUBACK.
fn publish(stream: &mut std::net::TcpStream, id: u16, topic: &[u8; 1], retain: u8) {
    let mut bytes = vec![0x32 | retain, 11, 0, 1, topic[0]];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.push(0);
    bytes.extend_from_slice(format!("{id:05}").get(1..).expect("ASCII").as_bytes());
    bytes[1] = u8::try_from(bytes.len() - 2).expect("it is short");
    stream.write_all(&bytes).expect("it can be sent");
    let ack = packet(stream).expect("PUBACK");
    assert_eq!((ack[0], &ack[2..4]), (0x40, &id.to_be_bytes()[..]), "{ack:02x?}");
}

#[test]
fn a_sound_store_is_told_in_figures() {
    let house = House::with_store(3);
    let said = house.store(&["check", "s"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["segments 1, ", "sessions 1", "subscriptions 1", "messages 4", "owed 3 ", "retained 1"] {
        assert!(words.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.ends_with("sound\n"), "{}", said.out);
    let checked = house.json(&["check", "s"]);
    assert_eq!(
        (&checked["sound"], &checked["owed"], &checked["kinds"]["message"]),
        (&true.into(), &3.into(), &4.into())
    );
    let nothing = house.store(&["check"]);
    assert_eq!(nothing.code, 1);
    assert!(
        nothing.err.contains("there is no store in ") && nothing.err.contains("is not there"),
        "{}",
        nothing.err
    );
}

#[test]
fn a_dump_shows_every_record_for_people_and_for_programs() {
    let house = House::with_store(2);
    let said = house.store(&["dump", "s"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("subscribe") && said.out.contains("filter=\"t\" qos=1"), "{}", said.out);
    assert!(said.out.contains("payload=\"0002\""), "{}", said.out);
    let lines = house.store(&["dump", "s", "--json"]).out;
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.starts_with("{\"position\":0,\"kind\":\"start\","), "{lines}");
    let payloads: Vec<&Value> =
        records.iter().filter(|one| one["kind"] == "message").map(|one| &one["payload"]).collect();
    assert_eq!(payloads, ["0001", "0002", "9999"]);
    assert_eq!(house.json(&["check", "s"])["records"], records.len());
}

#[test]
fn a_flipped_bit_in_what_was_promised_is_told_with_file_byte_and_position_and_can_be_salvaged() {
    let house = House::with_store(3);
    house.damage(|bytes| {
        let at = bytes.windows(4).position(|four| four == b"0002").expect("the payload");
        bytes[at] ^= 1;
    });
    let said = house.store(&["check", "s"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("DAMAGED: s: 0000000000000001.log is damaged at byte "), "{}", said.out);
    assert!(said.out.contains("does not fit its checksum; restore a backup, or keep what lies before it with `whimbrel store compact --salvage`"), "{}", said.out);
    let checked = house.json(&["check", "s"]);
    let damage = &checked["damage"][0];
    assert!(damage["offset"].as_u64() > Some(512) && damage["position"].as_u64() > Some(0), "{damage}");
    assert_eq!((&checked["sound"], &checked["owed"]), (&false.into(), &1.into()));

    let dump = house.store(&["dump", "s"]);
    assert_eq!(dump.code, 1);
    assert!(dump.out.contains("payload=\"0001\"") && !dump.out.contains("0003"), "{}", dump.out);
    assert!(
        dump.err.starts_with("whimbrel: the dump ends here: s: 0000000000000001.log is damaged at byte "),
        "{}",
        dump.err
    );

    for refused in [vec!["compact", "s"], vec!["restore", "s", "t"], vec!["backup", "--from", "s", "t"]] {
        let said = house.store(&refused);
        assert_eq!(said.code, 1, "{refused:?}");
        assert!(said.err.contains("is damaged at byte "), "{refused:?}: {}", said.err);
        assert!(!house.path("t").join("0000000000000001.log").exists());
    }
    let salvaged = house.store(&["compact", "s", "--salvage"]);
    assert_eq!(salvaged.code, 0, "{}", salvaged.err);
    assert!(salvaged.out.starts_with("kept up to the damage: s: "), "{}", salvaged.out);
    let checked = house.json(&["check", "s"]);
    assert_eq!((&checked["sound"], &checked["owed"]), (&true.into(), &1.into()));
}

#[test]
fn a_torn_end_is_no_damage_and_a_renamed_segment_is() {
    let house = House::with_store(3);
    let copied = house.store(&["backup", "--from", "s", "b"]);
    assert_eq!(copied.code, 0, "{}", copied.err);
    // The note of the clean end is torn away, and a part of the record before it: nothing says that it was synced.
    house.damage(|bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("records") + 1;
        let note = end - 40;
        bytes[note..].fill(0);
        bytes[note - 1] ^= 1;
    });
    let said = house.store(&["check", "s"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("note: the last write was not whole; a start cuts it, nobody was promised it: s: 0000000000000001.log is damaged at byte "), "{}", said.out);

    fs::rename(house.path("b/0000000000000001.log"), house.path("b/0000000000000003.log")).expect("renamed");
    let wrong = house.store(&["check", "b"]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.out.contains(
            "b: 0000000000000003.log says that it is segment 1: a copy or renamed; move it out of the folder"
        ),
        "{}",
        wrong.out
    );
}

#[test]
fn a_missing_segment_is_told_by_its_name() {
    let house = House::with_store(3);
    // Compacted, the store is its second segment; its newest frame says what is needed.
    assert_eq!(house.store(&["compact", "s"]).code, 0);
    assert_eq!(house.store(&["backup", "--from", "s", "b"]).code, 0);
    let file = house.path("b/0000000000000002.log");
    fs::rename(&file, house.path("b/0000000000000004.log")).expect("renamed");
    fs::copy(house.path("s/0000000000000002.log"), &file).expect("copied");
    let said = house.store(&["check", "b"]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains(
            "DAMAGED: b: segment 0000000000000003.log is missing; put it back, restore a backup, or "
        ),
        "{}",
        said.out
    );
}

#[test]
fn what_nothing_lives_in_is_given_back_and_the_rest_is_as_it_was() {
    let house = House::with_store(20);
    let before = house.json(&["check", "s"]);
    let compacted = house.json(&["compact", "s"]);
    assert_eq!(compacted["segments_gone"], 1);
    let after = house.json(&["check", "s"]);
    for figure in ["sessions", "subscriptions", "owed", "retained", "messages", "wills"] {
        assert_eq!(after[figure], before[figure], "{figure}");
    }
    assert_eq!((&after["segments"], &after["sound"]), (&1.into(), &true.into()));
    // The broker takes it, and what is owed comes in order.
    let (_broker, address) = house.broker("s");
    assert_eq!(owed(address).len(), 20);
}

/// The payloads that the client `b` is owed, in order.
fn owed(address: SocketAddr) -> Vec<String> {
    let mut stayer = std::net::TcpStream::connect(address).expect("the broker listens");
    stayer.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a time-out can be set");
    let mut connect = STAYER.to_vec();
    connect[9] = 0;
    stayer.write_all(&connect).expect("it can be sent");
    assert_eq!(packet(&mut stayer).expect("CONNACK")[2], 1, "the session is there");
    stayer.write_all(b"\xc0\x00").expect("it can be sent");
    let mut payloads = Vec::new();
    let mut is_idle = false;
    loop {
        let come = packet(&mut stayer).expect("a packet");
        match come[0] >> 4 {
            3 => {
                payloads.push(String::from_utf8(come[come.len() - 4..].to_vec()).expect("digits"));
                stayer.write_all(&[0x40, 2, come[5], come[6]]).expect("it can be sent");
                is_idle = false;
            }
            // Nothing has come between two answers: there is no more.
            13 if is_idle => return payloads,
            _ => {
                is_idle = true;
                stayer.write_all(b"\xc0\x00").expect("it can be sent");
            }
        }
    }
}

#[test]
fn a_backup_under_load_has_everything_that_was_acknowledged_before_and_a_broker_starts_on_it() {
    let house = House::with_store(3);
    let (broker, address) = house.broker("s");
    let (acknowledged, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = client(address, PUBLISHER);
            for id in 4..9_000 {
                publish(&mut publisher, id, b"t", 0);
                acknowledged.store(usize::from(id), SeqCst);
                if ends.load(SeqCst) {
                    break;
                }
            }
        });
        in_time(|| (acknowledged.load(SeqCst) > 200).then_some(()));
        let before = acknowledged.load(SeqCst);
        let socket = house.path("c.sock");
        let said = house.store(&["backup", "b", "--socket", text(&socket)]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            said.out.contains("/b: ") && said.out.contains(" everything before position "),
            "{}",
            said.out
        );
        let again = run(house.folder.path(), &["ctl", "--socket", text(&socket), "backup", "b"], &[]);
        assert_eq!(again.code, 1);
        assert!(
            again.err.contains("there is no backup: ") && again.err.contains("/b is not empty: it holds "),
            "{}",
            again.err
        );
        let status = run(house.folder.path(), &["ctl", "--socket", text(&socket), "status"], &[]);
        assert_eq!(status.code, 0, "{}", status.err);
        let taken = house.store(&["backup", "--from", "s", "c"]);
        assert_eq!(taken.code, 1);
        assert!(
            taken.err.contains("s is in use by process ") && taken.err.contains("leave --from out"),
            "{}",
            taken.err
        );
        assert_eq!(house.store(&["compact", "s"]).code, 1, "the broker has it");
        ends.store(true, SeqCst);
        before
    });
    broker.signal(Signal::KILL);
    let _ = fs::remove_file(house.path("c.sock"));
    drop(broker);
    let restored = house.store(&["restore", "b", "s"]);
    assert_eq!(restored.code, 1);
    assert!(
        restored.err.contains(
            "s is not empty: it holds 0000000000000001.log; move that away, or name another folder"
        ),
        "{}",
        restored.err
    );
    let restored = house.store(&["restore", "b", "t"]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    assert!(restored.out.contains("t is restored and sound: "), "{}", restored.out);
    let (_broker, address) = house.broker("t");
    let owed = owed(address);
    let expected: Vec<String> = (1..=owed.len()).map(|id| format!("{id:04}")).collect();
    assert_eq!(owed, expected, "in order, and none is missing in between");
    assert!(owed.len() >= before, "{} of {before}", owed.len());
}
