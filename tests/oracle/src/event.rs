//! What clients did and what came to them, one event after the other. Not how it went over the wire.

use std::fmt;

/// A client, by its number; the same number is the same client identifier.
pub type ClientNo = u32;
/// A network connection: unique in a run, in the order in which they were opened.
pub type LinkNo = u32;
/// A message: unique in a run, growing in the order of publishing.
pub type MessageNo = u64;

/// Something that a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at: u64,
    /// Who.
    pub client: ClientNo,
    /// On which of its network connections.
    pub link: LinkNo,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// CONNECT was sent.
    Connect(Terms),
    /// CONNACK accepted.
    Connected {
        /// Whether the session goes on.
        session_present: bool,
    },
    /// CONNACK refused.
    Refused {
        /// Its code.
        code: u8,
    },
    /// PUBLISH was sent for the first time.
    Publish(Publication),
    /// The message has reached its end: PUBACK or PUBCOMP came, or PUBREC with an error.
    Acknowledged {
        /// Which.
        message: MessageNo,
        /// What the server said.
        code: u8,
    },
    /// The outcome of the message will never be told.
    GivenUp {
        /// Which.
        message: MessageNo,
    },
    /// SUBSCRIBE was sent.
    Subscribe {
        /// Its packet identifier.
        request: u16,
        /// What it asks for.
        wishes: Vec<Wish>,
    },
    /// SUBACK came.
    Subscribed {
        /// Its packet identifier.
        request: u16,
        /// One code per wish.
        codes: Vec<u8>,
    },
    /// UNSUBSCRIBE was sent.
    Unsubscribe {
        /// Its packet identifier.
        request: u16,
        /// The filters, with `$share/…` where they are shared.
        filters: Vec<Box<str>>,
    },
    /// UNSUBACK came.
    Unsubscribed {
        /// Its packet identifier.
        request: u16,
    },
    /// A message came to the application.
    Received(Arrival),
    /// DISCONNECT was sent.
    Disconnect {
        /// Its reason code.
        code: u8,
        /// The session expiry that it set.
        expiry_secs: Option<u32>,
    },
    /// The client knows that the connection is over.
    Ended(Ending),
    /// An acknowledgement came that nobody waits for.
    Stray {
        /// What kind of packet.
        packet: &'static str,
        /// Its identifier.
        packet_id: u16,
    },
}

/// What CONNECT asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The version: 3, 4 or 5.
    pub version: u8,
    /// Clean Start.
    pub clean_start: bool,
    /// Seconds that the session outlives the connection; `u32::MAX` where only the server's limit ends it.
    pub expiry_secs: u32,
    /// Seconds of the keep-alive, 0 for none.
    pub keep_alive_secs: u16,
    /// The will.
    pub will: Option<WillTerms>,
}

/// The will of a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillTerms {
    /// The message.
    pub publication: Publication,
    /// Seconds between the end of the connection and its publication.
    pub delay_secs: u32,
}

/// A message as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number, which its payload tells; a message without payload tells none.
    pub message: MessageNo,
    /// The topic.
    pub topic: Box<str>,
    /// The QoS.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// It has no payload: with RETAIN it clears the topic.
    pub empty: bool,
    /// Message expiry.
    pub expiry_secs: Option<u32>,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The filter as it was sent, with `$share/…` where it is shared.
    pub text: Box<str>,
    /// The highest QoS.
    pub qos: u8,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling: 0 always, 1 if new, 2 never.
    pub retain_handling: u8,
    /// Subscription Identifier, 0 for none.
    pub id: u32,
}

impl Wish {
    /// Whether it joins a group.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.text.starts_with("$share/")
    }

    /// The filter that topics are compared with.
    #[must_use]
    pub fn filter(&self) -> &str {
        let shared = self.text.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        shared.map_or(&self.text, |(_, filter)| filter)
    }

    /// Whether a topic fits the filter.
    #[must_use]
    pub fn fits(&self, topic: &str) -> bool {
        fits(self.filter(), topic)
    }
}

/// Whether `topic` fits `filter`, level by level [MQTT-4.7.1-1].
fn fits(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The number that its payload tells; `None` for a message without payload.
    pub message: Option<MessageNo>,
    /// The topic.
    pub topic: Box<str>,
    /// The QoS of the delivery.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// DUP.
    pub dup: bool,
    /// The subscription identifiers.
    pub ids: Vec<u32>,
    /// The message expiry that is left.
    pub expiry_secs: Option<u32>,
    /// How many dropped messages it tells of.
    pub dropped_told: u64,
}

/// How a connection ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client cut it, gave it up, or closed it after DISCONNECT.
    Own,
    /// The network cut it.
    Network,
    /// The server closed it, and said why if its version has words for it.
    Server {
        /// The reason code of DISCONNECT.
        code: Option<u8>,
        /// The client has given a reason: it was silent, or took nothing, or had been cut off already.
        excused: bool,
    },
    /// The server broke the protocol.
    Violation(String),
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:>8} ms  client {} link {}: ", self.at, self.client, self.link)?;
        match &self.what {
            What::Connect(terms) => {
                let Terms { version, clean_start, expiry_secs, keep_alive_secs, will } = terms;
                write!(out, "CONNECT v{version} clean={clean_start} expiry={expiry_secs} ")?;
                write!(out, "keep-alive={keep_alive_secs}")?;
                if let Some(will) = will {
                    write!(out, " will after {} s: {}", will.delay_secs, will.publication)?;
                }
                Ok(())
            }
            What::Connected { session_present } => {
                write!(out, "connected, session present={session_present}")
            }
            What::Refused { code } => write!(out, "refused 0x{code:02x}"),
            What::Publish(publication) => write!(out, "PUBLISH {publication}"),
            What::Acknowledged { message, code } => write!(out, "m{message} acknowledged 0x{code:02x}"),
            What::GivenUp { message } => write!(out, "m{message} given up with its session"),
            What::Subscribe { request, wishes } => {
                write!(out, "SUBSCRIBE #{request}")?;
                wishes.iter().try_for_each(|wish| write!(out, " {wish}"))
            }
            What::Subscribed { request, codes } => write!(out, "SUBACK #{request} {codes:02x?}"),
            What::Unsubscribe { request, filters } => {
                write!(out, "UNSUBSCRIBE #{request} {}", filters.join(" "))
            }
            What::Unsubscribed { request } => write!(out, "UNSUBACK #{request}"),
            What::Received(arrival) => write!(out, "received {arrival}"),
            What::Disconnect { code, expiry_secs } => {
                write!(out, "DISCONNECT 0x{code:02x} expiry={expiry_secs:?}")
            }
            What::Ended(Ending::Own) => write!(out, "ended by the client"),
            What::Ended(Ending::Network) => write!(out, "ended by the network"),
            What::Ended(Ending::Server { code, excused }) => {
                write!(out, "ended by the server, code={code:02x?} excused={excused}")
            }
            What::Ended(Ending::Violation(text)) => write!(out, "the server broke the protocol: {text}"),
            What::Stray { packet, packet_id } => write!(out, "stray {packet} #{packet_id}"),
        }
    }
}

impl fmt::Display for Publication {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Publication { message, topic, qos, retain, empty, expiry_secs } = self;
        write!(out, "m{message} {topic} q{qos}")?;
        for (text, set) in [(" retain", *retain), (" empty", *empty)] {
            out.write_str(if set { text } else { "" })?;
        }
        expiry_secs.map_or(Ok(()), |secs| write!(out, " expiry={secs}"))
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wish { text, qos, no_local, retain_as_published, retain_handling, id } = self;
        write!(out, "[{text} q{qos}")?;
        for (text, set) in [(" no-local", *no_local), (" as-published", *retain_as_published)] {
            out.write_str(if set { text } else { "" })?;
        }
        write!(out, " handling={retain_handling} id={id}]")
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arrival { message, topic, qos, retain, dup, ids, expiry_secs, dropped_told } = self;
        match message {
            Some(message) => write!(out, "m{message}")?,
            None => write!(out, "(empty)")?,
        }
        write!(out, " {topic} q{qos}")?;
        for (text, set) in [(" retain", *retain), (" dup", *dup)] {
            out.write_str(if set { text } else { "" })?;
        }
        if !ids.is_empty() {
            write!(out, " ids={ids:?}")?;
        }
        if *dropped_told > 0 {
            write!(out, " dropped={dropped_told}")?;
        }
        expiry_secs.map_or(Ok(()), |secs| write!(out, " expiry={secs}"))
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_topic_fits_level_by_level() {
        let check = |filter: &str, topic: &str, expect: bool| {
            assert_eq!(fits(filter, topic), expect, "{filter} {topic}");
        };
        check("a/b", "a/b", true);
        check("a/b", "a/b/c", false);
        check("a/+", "a/b", true);
        check("a/+", "a", false);
        check("a/#", "a", true);
        check("a/#", "a/b/c", true);
        check("#", "a", true);
        check("#", "$SYS/a", false);
        check("+/a", "$SYS/a", false);
    }
}
