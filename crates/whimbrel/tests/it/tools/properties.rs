//! -D: properties on their way through the broker, and those that only a server sees.

use super::{
    command::Broker,
    script::{Script, packets},
};

#[test]
fn the_properties_of_a_message_arrive() {
    let broker = Broker::start();
    let property = |words: &'static str| std::iter::once("-D").chain(words.split(' '));
    let flags: Vec<&str> = ["-t", "t", "-m", "x", "-r", "-q", "1"]
        .into_iter()
        .chain(property("publish content-type text/plain"))
        .chain(property("PUBLISH response-topic answers"))
        .chain(property("publish correlation-data abc"))
        .chain(property("publish payload-format-indicator 1"))
        .chain(property("publish message-expiry-interval 1000"))
        .chain(property("publish user-property k v"))
        .chain(property("publish user-property k -2"))
        .collect();
    broker.publish(&flags).expect("");
    let shown =
        ["-t", "t", "-C", "1", "-F", "%C|%R|%D|%F|%P|%S", "-D", "subscribe", "subscription-identifier", "7"];
    broker.subscribe(&shown).expect("text/plain|answers|abc|1|k:v k:-2|7\n");
    let said = broker.subscribe(&["-t", "t", "-C", "1", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(said.out()).unwrap();
    assert_eq!(value["properties"]["content-type"], "text/plain");
    assert!(value["properties"]["message-expiry-interval"].as_u64().is_some_and(|secs| secs <= 1000));
}

#[test]
fn the_properties_of_connect_subscribe_unsubscribe_and_disconnect_are_sent() {
    let script = Script::start(|server| {
        let connect = server.read();
        server.send(&[0x20, 3, 0, 0, 0]);
        let subscribe = server.read();
        server.send(&[0x90, 4, subscribe[2], subscribe[3], 0, 0]);
        let unsubscribe = server.read();
        server.send(&[0xb0, 4, unsubscribe[2], unsubscribe[3], 0, 0]);
        let disconnect = server.read();
        for (packet, parts) in [
            (
                &connect,
                &[
                    &b"\x21\x00\x07"[..],
                    b"\x27\x00\x00\x01\x00",
                    b"\x22\x00\x03",
                    b"\x19\x01",
                    b"\x26\x00\x01a\x00\x01b",
                ][..],
            ),
            (&subscribe, &[&b"\x0b\x05"[..], b"\x26\x00\x01c\x00\x01d"]),
            (&unsubscribe, &[&b"\x26\x00\x01e\x00\x01f"[..]]),
            (&disconnect, &[&b"\x11\x00\x00\x00\x63"[..], b"\x1f\x00\x03why", b"\x26\x00\x01g\x00\x01h"]),
        ] {
            for part in parts {
                assert!(packets::holds(packet, part), "{part:?} in {packet:?}");
            }
        }
    });
    let words = [
        "connect receive-maximum 7",
        "connect maximum-packet-size 256",
        "connect topic-alias-maximum 3",
        "connect request-response-information 1",
        "connect user-property a b",
        "subscribe subscription-identifier 5",
        "subscribe user-property c d",
        "unsubscribe user-property e f",
        "disconnect session-expiry-interval 99",
        "disconnect reason-string why",
        "disconnect user-property g h",
    ];
    let properties = words.iter().flat_map(|words| std::iter::once("-D").chain(words.split(' ')));
    let flags: Vec<&str> = ["-t", "t", "-U", "u", "-E", "-x", "60"].into_iter().chain(properties).collect();
    script.subscriber(&flags).run(b"").expect("");
    script.finish();
}

#[test]
fn the_will_goes_with_its_properties() {
    let script = Script::start(|server| {
        let connect = server.read();
        for part in [&b"\x18\x00\x00\x00\x09"[..], b"\x03\x00\x04text", b"\x00\x04gone", b"\x00\x03bye"] {
            assert!(packets::holds(&connect, part), "{part:?} in {connect:?}");
        }
        server.send(&[0x20, 3, 0, 0, 0]);
        // The message and DISCONNECT may come in one piece or in two.
        while !packets::holds(&server.read(), b"\xe0") {}
    });
    let flags = ["-t", "t", "-m", "x", "--will-topic", "gone", "--will-payload", "bye"];
    let properties = ["-D", "will", "will-delay-interval", "9", "-D", "will", "content-type", "text"];
    script.publisher(&[&flags[..], &properties].concat()).run(b"").expect("");
    script.finish();
}

#[test]
fn a_property_that_does_not_fit_says_what_to_write() {
    let check = |words: &str, part: &str| {
        let property: Vec<&str> = words.split(' ').collect();
        let output = super::command::misuse(&[&["pub", "-t", "t", "-m", "x", "-D"], &property[..]].concat());
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(part), "{err}");
    };
    check("publish content-type", "3 values required");
    check("publish topic-alias 0", "from 1 to 65535");
    check("subscribe user-property a b", "connect, will, publish and disconnect");
    check("publish user-property a", "2 values");
    check("connect user-property a b -V 311", "protocol version 5");
}
