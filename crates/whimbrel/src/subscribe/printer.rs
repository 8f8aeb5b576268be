//! Writes messages to standard output, in the form that was asked for.

use std::io::{self, Write};

use whimbrel_client::Received;

use super::{
    format::{Format, hex},
    json::{self, Payload},
    now::Now,
    pretty,
};

/// How a message is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// The payload as it came
    Payload,
    /// The payload in hexadecimal
    Hex,
    /// A JSON object for each message, on one line
    Json,
    /// For reading: the topic, and the payload as indented JSON, as text, or in hexadecimal with letters
    Pretty,
}

/// What collects before it is written, while more messages are there, in bytes.
const COLLECTED_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Printer {
    format: Option<Format>,
    form: Form,
    topic: bool,
    line_end: bool,
    pretty: bool,
    collected: Vec<u8>,
}

impl Printer {
    pub(super) fn new(
        format: Option<Format>,
        form: Form,
        topic: bool,
        line_end: bool,
        pretty: bool,
    ) -> Printer {
        Printer { format, form, topic, line_end, pretty, collected: Vec::new() }
    }

    /// Adds a message. An error says what of it could not be written.
    pub(super) fn add(&mut self, received: &Received) -> Result<(), String> {
        let out = &mut self.collected;
        if let Some(format) = &self.format {
            let done = format.write(received, &Now::get(), self.pretty, out);
            end_line(self.line_end, out);
            return done;
        }
        match self.form {
            Form::Json => {
                json::object(received, &Now::get().iso_precise(), Payload::Escaped, self.pretty, out);
                end_line(self.line_end, out);
            }
            Form::Pretty => pretty::write(received, out),
            Form::Payload | Form::Hex => self.add_payload(received),
        }
        Ok(())
    }

    /// The payload, with -v the topic before it. An empty payload is nothing, or with -v `(null)`.
    fn add_payload(&mut self, received: &Received) {
        let out = &mut self.collected;
        let payload = &received.message.payload;
        if self.topic {
            out.extend(received.message.topic.bytes());
            out.push(b' ');
            if payload.is_empty() {
                out.extend_from_slice(b"(null)");
            }
        } else if payload.is_empty() {
            return;
        }
        match self.form {
            Form::Hex => hex(payload, false, out),
            _ => out.extend_from_slice(payload),
        }
        end_line(self.line_end, out);
    }

    /// Whether it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.collected.len() >= COLLECTED_MAX
    }

    /// Writes what has been added.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let done = out.write_all(&self.collected).and_then(|()| out.flush());
        self.collected.clear();
        self.collected.shrink_to(COLLECTED_MAX);
        done
    }
}

fn end_line(wanted: bool, out: &mut Vec<u8>) {
    if wanted {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_client::Message;

    use super::*;

    #[test]
    fn the_forms() {
        let check = |form, topic, line_end, payload: &str, expect: &str| {
            let mut printer = Printer::new(None, form, topic, line_end, false);
            let message = Message::new("t", payload);
            let received =
                Received { message, dup: false, packet_id: None, subscription_ids: vec![], ack: None };
            printer.add(&received).unwrap();
            assert_eq!(str::from_utf8(&printer.collected), Ok(expect));
        };
        check(Form::Payload, false, true, "hi", "hi\n");
        check(Form::Payload, false, false, "hi", "hi");
        check(Form::Payload, true, true, "hi", "t hi\n");
        check(Form::Payload, false, true, "", "");
        check(Form::Payload, true, true, "", "t (null)\n");
        check(Form::Hex, false, true, "hi", "6869\n");
        check(Form::Hex, true, true, "hi", "t 6869\n");
        check(Form::Pretty, false, true, "hi", "t\n  hi\n");
    }
}
