//! What each sequence writes.

use jiff::civil::date;
use whimbrel_client::{Message, Properties, QoS};

use super::*;

fn now() -> Now {
    let moment =
        date(2020, 5, 6).at(9, 8, 7, 1_002_003).to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
    Now::at(moment.unwrap())
}

fn received() -> Received {
    let message = Message {
        topic: "a/bé".to_owned(),
        payload: b"hello".to_vec(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties {
            payload_is_utf8: Some(true),
            message_expiry_secs: Some(100),
            topic_alias: None,
            response_topic: Some("r".to_owned()),
            correlation_data: Some(b"\xffc".to_vec()),
            content_type: Some("text/plain".to_owned()),
            user_properties: vec![("k".to_owned(), "v".to_owned()), ("k".to_owned(), "w".to_owned())],
        },
    };
    Received { message, dup: false, packet_id: Some(9), subscription_ids: vec![7, 8], ack: None }
}

fn written(pattern: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Format::parse(pattern).unwrap().write(&received(), &now(), false, &mut out).unwrap();
    out
}

#[test]
fn every_field() {
    let check = |pattern: &str, expect: &str| {
        assert_eq!(String::from_utf8(written(pattern)).unwrap(), expect, "{pattern}");
    };
    check("%t|%p|%q|%r|%m|%l", "a/bé|hello|1|1|9|5");
    check("%x|%X", "68656c6c6f|68656C6C6F");
    check("%C|%E|%F|%R|%S|%P|%A", "text/plain|100|1|r|7|k:v k:w|");
    check("%%|@@|plain", "%|@|plain");
    check("%I|%U", "2020-05-06T09:08:07+0200|1588748887.001002003");
    check("@Y-@m-@dT@H:@M:@S@z @N @s", "2020-05-06T09:08:07+0200 001002003 1588748887");
    assert_eq!(written("%D"), b"\xffc");
    assert_eq!(written("\\\\ \\0\\a\\e\\n\\r\\t\\v"), b"\\ \0\x07\x1b\n\r\t\x0b");
}

#[test]
fn widths_and_flags() {
    let check = |pattern: &str, expect: &str| {
        assert_eq!(String::from_utf8(written(pattern)).unwrap(), expect, "{pattern}");
    };
    check("[%6t][%-6t][%2t][%.2t][%5.1t]", "[  a/bé][a/bé  ][a/bé][a/][    a]");
    check("[%5l][%-5l][%05l][%-05l]", "[    5][5    ][00005][5    ]");
    check("[%010E][%3A][%03A]", "[0000000100][   ][000]");
    check("[%12C][%.3C]", "[  text/plain][tex]");
    check("[%7p][%-7p][%3p][%07p]", "[  hello][hello  ][hel][00hello]");
    check("[%12x][%4X][%5x]", "[  68656c6c6f][6865][ 6865]");
    check("[%5q][%5r]", "[1][1]");
}

#[test]
fn json_objects() {
    let text = String::from_utf8(written("%j")).unwrap();
    assert!(text.starts_with("{\"tst\":\"2020-05-06T09:08:07.001002+0200\",\"topic\":\"a/bé\""), "{text}");
    let mut out = Vec::new();
    let fault = Format::parse("<%J>").unwrap().write(&received(), &now(), false, &mut out);
    assert_eq!(fault.unwrap_err(), "the payload is no JSON: topic a/bé");
    assert_eq!(out, b"<>");
}

#[test]
fn what_is_no_pattern() {
    let check = |pattern: &str, part: &str| {
        let error = Format::parse(pattern).expect_err(pattern);
        assert!(error.contains(part), "{error}");
    };
    check("%", "ends within a `%`");
    check("%-", "ends within a `%`");
    check("%5.", "ends within a `%`");
    check("%k", "knows no `%k`");
    check("@", "ends within an `@`");
    check("@i", "@i is no sequence");
    check("\\", "ends within a `\\`");
    check("\\q", "knows no `\\q`");
    check("%99999999999999999999t", "wider than");
}
