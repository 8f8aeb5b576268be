//! Messages as JSON objects, and JSON payloads laid out anew: indented, or without needless blanks. Numbers and the order
//! of members stay as they were written.

use whimbrel_client::Received;

use base64ct::{Base64, Encoding};

/// How the payload goes into the object.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// As a string; as Base64 under another name where it is no UTF-8.
    Escaped,
    /// As the JSON value that it is.
    AsItIs,
}

/// Whether these bytes are one JSON value.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok()
}

/// Writes a message as an object.
pub(super) fn object(received: &Received, time: &str, payload: Payload, pretty: bool, out: &mut Vec<u8>) {
    let message = &received.message;
    let mut text = Vec::with_capacity(message.payload.len() + 128);
    let mut members = Members::begin(&mut text);
    members.string("tst", time);
    members.string("topic", &message.topic);
    members.number("qos", message.qos.bits().into());
    members.number("retain", message.retain.into());
    members.number("payloadlen", message.payload.len() as u64);
    if let Some(packet_id) = received.packet_id {
        members.number("mid", packet_id.into());
    }
    properties(received, &mut members);
    match (payload, str::from_utf8(&message.payload)) {
        (Payload::AsItIs, _) if message.payload.is_empty() => members.raw("payload", b"null"),
        (Payload::AsItIs, _) => members.raw("payload", &message.payload),
        (Payload::Escaped, Ok("")) => members.raw("payload", b"null"),
        (Payload::Escaped, Ok(string)) => members.string("payload", string),
        (Payload::Escaped, Err(_)) => {
            members.string("payload_base64", &Base64::encode_string(&message.payload));
        }
    }
    members.end();
    if pretty { indent(&text, out) } else { compact(&text, out) }
}

fn properties(received: &Received, members: &mut Members<'_>) {
    let properties = &received.message.properties;
    let mut text = Vec::new();
    let mut inner = Members::begin(&mut text);
    for (name, value) in [
        ("payload-format-indicator", properties.payload_is_utf8.map(u64::from)),
        ("message-expiry-interval", properties.message_expiry_secs.map(u64::from)),
        ("topic-alias", properties.topic_alias.map(u64::from)),
        ("subscription-identifier", received.subscription_ids.first().copied().map(u64::from)),
    ] {
        if let Some(value) = value {
            inner.number(name, value);
        }
    }
    for (name, value) in
        [("content-type", &properties.content_type), ("response-topic", &properties.response_topic)]
    {
        if let Some(value) = value {
            inner.string(name, value);
        }
    }
    if let Some(data) = &properties.correlation_data {
        match str::from_utf8(data) {
            Ok(string) => inner.string("correlation-data", string),
            Err(_) => inner.string("correlation-data-base64", &Base64::encode_string(data)),
        }
    }
    if !properties.user_properties.is_empty() {
        let mut pairs = Vec::new();
        let mut user = Members::begin(&mut pairs);
        for (name, value) in &properties.user_properties {
            user.string(name, value);
        }
        user.end();
        inner.raw("user-properties", &pairs);
    }
    if inner.end() {
        members.raw("properties", &text);
    }
}

/// The members of an object that is being written.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl<'a> Members<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Members<'a> {
        out.push(b'{');
        Members { out, any: false }
    }

    fn name(&mut self, name: &str) {
        if self.any {
            self.out.push(b',');
        }
        self.any = true;
        escape(name, self.out);
        self.out.push(b':');
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        escape(value, self.out);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.raw(name, value.to_string().as_bytes());
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(value);
    }

    /// Whether there were any.
    fn end(self) -> bool {
        self.out.push(b'}');
        self.any
    }
}

/// Writes a string with its quotes.
fn escape(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes valid JSON without the blanks between its parts.
fn compact(json: &[u8], out: &mut Vec<u8>) {
    for part in (Parts { rest: json }) {
        out.extend_from_slice(part);
    }
}

/// Writes valid JSON with a line for each member and item.
pub(super) fn indent(json: &[u8], out: &mut Vec<u8>) {
    let mut depth = 0usize;
    let mut parts = Parts { rest: json }.peekable();
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * depth));
    };
    while let Some(part) = parts.next() {
        match part {
            b"{" | b"[" => {
                out.extend_from_slice(part);
                if matches!(parts.peek(), Some(&(b"}" | b"]"))) {
                    out.extend_from_slice(parts.next().unwrap_or_default());
                } else {
                    depth += 1;
                    line(depth, out);
                }
            }
            b"}" | b"]" => {
                depth = depth.saturating_sub(1);
                line(depth, out);
                out.extend_from_slice(part);
            }
            b"," => {
                out.push(b',');
                line(depth, out);
            }
            b":" => out.extend_from_slice(b": "),
            part => out.extend_from_slice(part),
        }
    }
}

/// The parts of valid JSON: brackets, commas, colons, and values as they are written.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        let len = match self.rest.first()? {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string_len(self.rest),
            _ => {
                let ends = |byte: &u8| b"{}[],:\"".contains(byte) || byte.is_ascii_whitespace();
                self.rest.iter().position(ends).unwrap_or(self.rest.len())
            }
        };
        let (part, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(part)
    }
}

/// The length of the string at the start, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use whimbrel_client::{Message, Properties, QoS};

    use super::*;

    fn written(message: Message, payload: Payload, pretty: bool) -> String {
        let packet_id = (message.qos > QoS::AtMostOnce).then_some(3);
        let received = Received { message, dup: false, packet_id, subscription_ids: vec![], ack: None };
        let mut out = Vec::new();
        object(&received, "T", payload, pretty, &mut out);
        assert!(is_json(&out), "{out:?}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_one_object_on_one_line() {
        let message = Message::new("a\"b", "x\ny\0").qos(QoS::AtLeastOnce);
        let expect = "{\"tst\":\"T\",\"topic\":\"a\\\"b\",\"qos\":1,\"retain\":0,\"payloadlen\":4,\"mid\":3,\
                      \"payload\":\"x\\ny\\u0000\"}";
        assert_eq!(written(message, Payload::Escaped, false), expect);
    }

    #[test]
    fn a_payload_that_is_no_text_is_base64() {
        let text = written(Message::new("a", [0xff, 0]), Payload::Escaped, false);
        assert!(text.ends_with(",\"payloadlen\":2,\"payload_base64\":\"/wA=\"}"), "{text}");
        let text = written(Message::new("a", ""), Payload::Escaped, false);
        assert!(text.ends_with(",\"payload\":null}"), "{text}");
    }

    #[test]
    fn a_json_payload_keeps_its_numbers_and_its_order() {
        let payload = "{ \"z\" : 1.50e+400,\n \"a\":[ ] , \"b\": \"x : {\\\" }\" }";
        let text = written(Message::new("a", payload), Payload::AsItIs, false);
        assert!(text.contains("\"payload\":{\"z\":1.50e+400,\"a\":[],\"b\":\"x : {\\\" }\"}"), "{text}");
    }

    #[test]
    fn properties_are_an_object_of_their_own() {
        let properties = Properties {
            content_type: Some("c".to_owned()),
            correlation_data: Some(vec![0xff]),
            user_properties: vec![("k".to_owned(), "v".to_owned()), ("k".to_owned(), "w".to_owned())],
            ..Properties::default()
        };
        let text = written(Message { properties, ..Message::new("a", "p") }, Payload::Escaped, false);
        let expect = "\"properties\":{\"content-type\":\"c\",\"correlation-data-base64\":\"/w==\",\
                      \"user-properties\":{\"k\":\"v\",\"k\":\"w\"}},\"payload\":\"p\"}";
        assert!(text.ends_with(expect), "{text}");
    }

    #[test]
    fn indented_json() {
        let check = |json: &str, expect: &str| {
            let mut out = Vec::new();
            indent(json.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check("7", "7");
        check("{}", "{}");
        check("{\"a\":[1,{\"b\":[]}]}", "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ]\n}");
    }
}
