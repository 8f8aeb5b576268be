//! Messages for a person: a line with what there is to know, and the payload laid out by what it is.

use whimbrel_client::{QoS, Received};

use super::json;

/// Bytes of a payload in a line of hexadecimal.
const ROW: usize = 16;

/// Writes a message, and a line end after each line of it.
pub(super) fn write(received: &Received, out: &mut Vec<u8>) {
    head(received, out);
    let payload = &received.message.payload;
    let mut text = Vec::new();
    if payload.is_empty() {
        text.extend_from_slice(b"(empty)");
    } else if json::is_json(payload) {
        json::indent(payload, &mut text);
    } else if str::from_utf8(payload).is_ok_and(is_plain) {
        text.extend_from_slice(payload);
    } else {
        rows(payload, &mut text);
    }
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    for line in text.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"  ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
}

fn head(received: &Received, out: &mut Vec<u8>) {
    let message = &received.message;
    let properties = &message.properties;
    let mut facts = Vec::new();
    if message.qos > QoS::AtMostOnce {
        facts.push(format!("QoS {}", message.qos));
    }
    if message.retain {
        facts.push("retained".to_owned());
    }
    if received.dup {
        facts.push("perhaps a repetition".to_owned());
    }
    facts.extend(properties.content_type.as_ref().map(|what| format!("content type {what}")));
    facts.extend(properties.message_expiry_secs.map(|secs| format!("expires in {secs} s")));
    facts.extend(properties.response_topic.as_ref().map(|topic| format!("answer to {topic}")));
    facts.extend(properties.user_properties.iter().map(|(name, value)| format!("{name}: {value}")));
    // A topic and properties may hold control characters, which a terminal would obey.
    let mut line = message.topic.clone();
    if !facts.is_empty() {
        line = format!("{line} ({})", facts.join(", "));
    }
    let shown = line.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character });
    out.extend(shown.collect::<String>().bytes());
    out.push(b'\n');
}

/// Whether a terminal shows this text and does nothing else.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r'))
}

/// Lines of offset, hexadecimal and letters.
fn rows(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, row) in bytes.chunks(ROW).enumerate() {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let letters: String = row.iter().map(letter).collect();
        let line = format!("{:08x}  {:width$}  {letters}\n", at * ROW, digits.join(" "), width = ROW * 3 - 1);
        out.extend(line.bytes());
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_client::Message;

    use super::*;

    fn written(message: Message) -> String {
        let received = Received { message, dup: false, packet_id: None, subscription_ids: vec![], ack: None };
        let mut out = Vec::new();
        write(&received, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn payloads_are_laid_out_by_what_they_are() {
        assert_eq!(written(Message::new("a", "{\"b\":1}")), "a\n  {\n    \"b\": 1\n  }\n");
        assert_eq!(written(Message::new("a", "two\nlines\n")), "a\n  two\n  lines\n");
        assert_eq!(written(Message::new("a", "")), "a\n  (empty)\n");
        let hex = written(Message::new("a", *b"\x1b[31m and a bit more"));
        let rows = "a\n  00000000  1b 5b 33 31 6d 20 61 6e 64 20 61 20 62 69 74 20  .[31m and a bit \n  \
                    00000010  6d 6f 72 65                                      more\n";
        assert_eq!(hex, rows);
    }

    #[test]
    fn the_head_says_what_is_not_usual_and_obeys_no_control_characters() {
        let message = Message::new("a\x1b", "x").qos(QoS::ExactlyOnce).retain();
        assert_eq!(written(message), "a\u{fffd} (QoS 2, retained)\n  x\n");
    }
}
