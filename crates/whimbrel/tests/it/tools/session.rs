//! Sessions over several runs (-c), and what is left in them.

use super::command::Broker;

#[test]
fn what_was_not_written_stays_with_the_broker() {
    for version in ["311", "5"] {
        let broker = Broker::start();
        let session = ["-c", "-i", "keeper", "-q", "2", "-V", version];
        let subscribe = |flags: &[&str]| broker.subscribe(&[&session, flags].concat());
        subscribe(&["-t", "q/#", "-E"]).expect("");
        for number in ["1", "2", "3", "4", "5"] {
            let qos = if number == "3" { "2" } else { "1" };
            broker.publish(&["-t", "q/x", "-m", number, "-q", qos]).expect("");
        }
        subscribe(&["-t", "q/#", "-C", "2"]).expect("1\n2\n");
        subscribe(&["-t", "q/#", "-C", "1"]).expect("3\n");
        // Nothing is lost and nothing comes twice.
        let rest = subscribe(&["-t", "q/#", "-W", "2"]);
        assert_eq!((rest.code, rest.out()), (27, "4\n5\n"), "{}", rest.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_could_not_be_written_is_not_acknowledged() {
    for (version, qos) in [("311", "1"), ("5", "1"), ("5", "2")] {
        let broker = Broker::start();
        let session = ["-c", "-i", "keeper", "-q", "2", "-V", version];
        let subscribe = |flags: &[&str]| broker.subscribe(&[&session, flags].concat());
        subscribe(&["-t", "q", "-E"]).expect("");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let flags = [&session[..], &["-t", "q", "-W", "60"]].concat();
        let said = std::thread::scope(|scope| {
            let subscriber = scope.spawn(|| broker.subscriber(&flags).output(full.into()).run(b""));
            broker.publish(&["-t", "q", "-m", "one", "-q", qos]).expect("");
            subscriber.join().expect("it ends")
        });
        assert!(said.err.contains("cannot be written"), "{}", said.err);
        subscribe(&["-t", "q", "-C", "1"]).expect("one\n");
    }
}

#[test]
fn unsubscribing_ends_what_a_session_collects() {
    let broker = Broker::start();
    let session = ["-c", "-i", "keeper", "-q", "1"];
    let subscribe = |flags: &[&str]| broker.subscribe(&[&session, flags].concat());
    subscribe(&["-t", "a", "-t", "b", "-E"]).expect("");
    subscribe(&["-U", "a", "-E"]).expect("");
    broker.publish(&["-t", "a", "-m", "1", "-q", "1"]).expect("");
    broker.publish(&["-t", "b", "-m", "2", "-q", "1"]).expect("");
    subscribe(&["-t", "b", "-C", "1", "-v"]).expect("b 2\n");
}

#[test]
fn without_c_nothing_is_left() {
    let broker = Broker::start();
    broker.subscribe(&["-i", "fleeting", "-t", "t", "-q", "1", "-E"]).expect("");
    broker.publish(&["-t", "t", "-m", "1", "-q", "1"]).expect("");
    let said = broker.subscribe(&["-i", "fleeting", "-t", "t", "-q", "1", "-c", "-W", "1"]);
    assert_eq!((said.code, said.out()), (27, ""));
}

#[test]
fn a_publisher_leaves_the_messages_of_its_session_alone() {
    let broker = Broker::start();
    let session = ["-c", "-i", "both", "-q", "1"];
    broker.subscribe(&[&session[..], &["-t", "t", "-E"]].concat()).expect("");
    broker.publish(&["-t", "t", "-m", "waiting", "-q", "1"]).expect("");
    broker.publish(&[&session[..], &["-t", "other", "-m", "x"]].concat()).expect("");
    broker.subscribe(&[&session[..], &["-t", "t", "-C", "1"]].concat()).expect("waiting\n");
}
