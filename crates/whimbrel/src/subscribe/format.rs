//! The patterns of -F: parsed once, written for every message.

use whimbrel_client::Received;

use super::{
    json::{self, Payload},
    now::Now,
};

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Field(Letter, Shape),
    /// `@` and a letter of strftime.
    Time(char),
    /// `@N`.
    Nanoseconds,
}

/// What follows a `%`, flags and widths left out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Letter {
    TopicAlias,
    ContentType,
    CorrelationData,
    Expiry,
    PayloadFormat,
    Iso,
    Json,
    JsonRaw,
    Length,
    PacketId,
    UserProperties,
    Payload,
    Qos,
    ResponseTopic,
    Retain,
    SubscriptionId,
    Topic,
    Unix,
    HexLower,
    HexUpper,
}

/// How a field is laid out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    left: bool,
    zeros: bool,
    width: usize,
    width_max: Option<usize>,
}

/// The widest field that is taken: a mistake shall not fill the memory.
const WIDTH_MAX: usize = 1 << 16;

impl Format {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Format, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let piece = match character {
                '%' => {
                    let shape = Shape::parse(&mut rest)?;
                    let letter = rest.next().ok_or("-F ends within a `%` sequence")?;
                    field(letter, shape)?
                }
                '@' => time(rest.next().ok_or("-F ends within an `@` sequence")?)?,
                '\\' => escape(rest.next().ok_or("-F ends within a `\\` sequence")?)?,
                other => Piece::Bytes(other.to_string().into_bytes()),
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Bytes(bytes)), Piece::Bytes(more)) => bytes.extend(more),
                (_, piece) => pieces.push(piece),
            }
        }
        Ok(Format { pieces })
    }

    /// Writes a message. An error says what of it could not be written.
    pub(super) fn write(
        &self,
        received: &Received,
        now: &Now,
        pretty: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut fault = Ok(());
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                // The letter was tried when the pattern was read.
                Piece::Time(letter) => out.extend(now.strftime(*letter).unwrap_or_default().bytes()),
                Piece::Nanoseconds => out.extend(now.nanoseconds().bytes()),
                Piece::Field(Letter::Json, _) => {
                    json::object(received, &now.iso_precise(), Payload::Escaped, pretty, out);
                }
                Piece::Field(Letter::JsonRaw, _) if json::is_json(&received.message.payload) => {
                    json::object(received, &now.iso_precise(), Payload::AsItIs, pretty, out);
                }
                Piece::Field(Letter::JsonRaw, _) => {
                    fault = Err(format!("the payload is no JSON: topic {}", received.message.topic));
                }
                Piece::Field(letter, shape) => letter.write(*shape, received, now, out),
            }
        }
        fault
    }
}

fn field(letter: char, shape: Shape) -> Result<Piece, String> {
    let letter = match letter {
        '%' => return Ok(Piece::Bytes(vec![b'%'])),
        'A' => Letter::TopicAlias,
        'C' => Letter::ContentType,
        'D' => Letter::CorrelationData,
        'E' => Letter::Expiry,
        'F' => Letter::PayloadFormat,
        'I' => Letter::Iso,
        'j' => Letter::Json,
        'J' => Letter::JsonRaw,
        'l' => Letter::Length,
        'm' => Letter::PacketId,
        'P' => Letter::UserProperties,
        'p' => Letter::Payload,
        'q' => Letter::Qos,
        'R' => Letter::ResponseTopic,
        'r' => Letter::Retain,
        'S' => Letter::SubscriptionId,
        't' => Letter::Topic,
        'U' => Letter::Unix,
        'x' => Letter::HexLower,
        'X' => Letter::HexUpper,
        other => return Err(format!("-F knows no `%{other}`; --help lists what it knows")),
    };
    Ok(Piece::Field(letter, shape))
}

fn time(letter: char) -> Result<Piece, String> {
    match letter {
        '@' => Ok(Piece::Bytes(vec![b'@'])),
        'N' => Ok(Piece::Nanoseconds),
        letter => {
            Now::get().strftime(letter).map(|_| Piece::Time(letter)).map_err(|error| format!("-F: {error}"))
        }
    }
}

fn escape(letter: char) -> Result<Piece, String> {
    let byte = match letter {
        '\\' => b'\\',
        '0' => 0,
        'a' => 0x07,
        'e' => 0x1b,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        other => return Err(format!("-F knows no `\\{other}`")),
    };
    Ok(Piece::Bytes(vec![byte]))
}

impl Shape {
    fn parse(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Shape, String> {
        let left = rest.next_if_eq(&'-').is_some();
        let zeros = rest.next_if_eq(&'0').is_some();
        let width = number(rest)?.unwrap_or(0);
        let width_max = match rest.next_if_eq(&'.') {
            Some(_) => Some(number(rest)?.unwrap_or(0)),
            None => None,
        };
        Ok(Shape { left, zeros: zeros && !left, width, width_max })
    }

    /// Lays a text out. Widths count characters.
    fn text(self, text: &str, zeros: bool, out: &mut Vec<u8>) {
        let end =
            self.width_max.and_then(|max| text.char_indices().nth(max)).map_or(text.len(), |(at, _)| at);
        let text = text.get(..end).unwrap_or(text);
        let padding = self.width.saturating_sub(text.chars().count());
        self.pad(padding, zeros, text.as_bytes(), out);
    }

    /// Lays bytes out. The width is also the most that is written.
    fn bytes(self, bytes: &[u8], out: &mut Vec<u8>) {
        let shown = if self.width > 0 { bytes.get(..self.width).unwrap_or(bytes) } else { bytes };
        self.pad(self.width.saturating_sub(shown.len()), self.zeros, shown, out);
    }

    fn pad(self, padding: usize, zeros: bool, shown: &[u8], out: &mut Vec<u8>) {
        let padding = std::iter::repeat_n(if zeros { b'0' } else { b' ' }, padding);
        if self.left {
            out.extend_from_slice(shown);
            out.extend(padding);
        } else {
            out.extend(padding);
            out.extend_from_slice(shown);
        }
    }
}

fn number(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, String> {
    let mut value = None;
    while let Some(digit) = rest.peek().and_then(|character| character.to_digit(10)) {
        rest.next();
        value = Some(value.unwrap_or(0) * 10 + digit as usize);
        if value > Some(WIDTH_MAX) {
            return Err(format!("-F: no field is wider than {WIDTH_MAX}"));
        }
    }
    Ok(value)
}

impl Letter {
    fn write(self, shape: Shape, received: &Received, now: &Now, out: &mut Vec<u8>) {
        let message = &received.message;
        let properties = &message.properties;
        let number = |value: Option<u64>, out: &mut Vec<u8>| {
            shape.text(&value.map(|value| value.to_string()).unwrap_or_default(), shape.zeros, out);
        };
        match self {
            Letter::TopicAlias => number(properties.topic_alias.map(u64::from), out),
            Letter::Expiry => number(properties.message_expiry_secs.map(u64::from), out),
            Letter::PayloadFormat => number(properties.payload_is_utf8.map(u64::from), out),
            Letter::Length => number(Some(message.payload.len() as u64), out),
            Letter::PacketId => number(Some(received.packet_id.unwrap_or(0).into()), out),
            Letter::SubscriptionId => number(received.subscription_ids.first().copied().map(u64::from), out),
            Letter::ContentType => shape.text(properties.content_type.as_deref().unwrap_or(""), false, out),
            Letter::ResponseTopic => {
                shape.text(properties.response_topic.as_deref().unwrap_or(""), false, out)
            }
            Letter::Topic => shape.text(&message.topic, false, out),
            Letter::Iso => shape.text(&now.iso(), false, out),
            Letter::Unix => out.extend(now.unix().bytes()),
            Letter::CorrelationData => {
                out.extend_from_slice(properties.correlation_data.as_deref().unwrap_or_default());
            }
            Letter::UserProperties => {
                let pairs = properties.user_properties.iter().map(|(name, value)| format!("{name}:{value}"));
                out.extend(pairs.collect::<Vec<_>>().join(" ").bytes());
            }
            Letter::Payload => shape.bytes(&message.payload, out),
            Letter::HexLower => shape.hex(&message.payload, false, out),
            Letter::HexUpper => shape.hex(&message.payload, true, out),
            Letter::Qos => out.push(b'0' + message.qos.bits()),
            Letter::Retain => out.push(if message.retain { b'1' } else { b'0' }),
            // They are no fields of one line; `Format::write` has them.
            Letter::Json | Letter::JsonRaw => {}
        }
    }
}

impl Shape {
    /// Lays bytes out in hexadecimal. The width counts digits, and only whole bytes are written.
    fn hex(self, bytes: &[u8], upper: bool, out: &mut Vec<u8>) {
        let shown = if self.width > 0 { bytes.get(..self.width / 2).unwrap_or(bytes) } else { bytes };
        let mut digits = Vec::with_capacity(shown.len() * 2);
        hex(shown, upper, &mut digits);
        self.pad(self.width.saturating_sub(digits.len()), self.zeros, &digits, out);
    }
}

/// Two digits for each byte.
pub(super) fn hex(bytes: &[u8], upper: bool, out: &mut Vec<u8>) {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'?');
    for byte in bytes {
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests;
