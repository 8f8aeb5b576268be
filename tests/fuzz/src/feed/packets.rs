//! Packets that a client or a server may well send, with properties of every kind, from the test kit's builders. How they
//! go wrong is in `mutate`.

use whimbrel_testkit::{
    Ack, ConnAck, Connect, Disconnect, Options, Packet, Properties, Property, Publish, Sender, SubAck,
    Subscribe, Unsubscribe, Version, Will,
};

use super::{Dice, Input};

const TOPICS: &[&str] = &["a", "a/b", "a/b/c", "", "$SYS/x", "a level longer than eighteen bytes/x", "ä/€"];
const FILTERS: &[&str] = &["a", "a/+", "#", "+/b/#", "$share/g/a/#", "$share/g/+", "$SYS/#", "a//b"];
const CODES: &[u8] = &[0, 0, 0, 1, 2, 4, 0x10, 0x11, 0x18, 0x19, 0x80, 0x82, 0x87, 0x8e, 0x92, 0x97];
const VERSIONS: &[Version] = &[Version::V31, Version::V311, Version::V5, Version::V5];

/// A byte of choice, then packets of both sides and all versions; some as a type and a body without a length.
pub(super) fn of_both(dice: &mut Dice) -> Input {
    let mut input = vec![dice.byte()];
    let version = dice.pick(VERSIONS);
    for _ in 0..1 + dice.below(3) {
        let from = dice.pick(&[Sender::Client, Sender::Server]);
        let packet = if dice.one_in(6) { connect(dice, version) } else { packet(dice, version, from) };
        let bytes = packet.encode(version);
        if input[0] % 2 == 1 {
            // The length is left out; it is one byte in most of these.
            input.extend_from_slice(&[&bytes[..1], bytes.get(2..).unwrap_or_default()].concat());
            break;
        }
        input.extend(bytes);
    }
    input
}

/// A byte of choice, a script with its length, the first packet of a side and others of it.
pub(super) fn scripted(dice: &mut Dice, from: Sender) -> Input {
    let len = dice.below(16) as u8;
    let mut choice = dice.byte();
    let version = dice.pick(VERSIONS);
    if from == Sender::Server {
        // The lowest bits say which version the client speaks.
        choice = choice & !3
            | dice.pick(match version {
                Version::V5 => &[0, 1],
                Version::V311 => &[2],
                Version::V31 => &[3],
            });
    }
    let mut input = vec![choice, len];
    input.extend((0..len).map(|_| dice.byte()));
    input.extend(stream(dice, version, from));
    input
}

/// A byte of limits and operations on several clients: most open one or say something on it.
pub(super) fn conversations(dice: &mut Dice) -> Input {
    let version = dice.pick(VERSIONS);
    let mut input = vec![dice.byte()];
    for number in 0..2 + dice.below(24) {
        let choice = if number < 2 { 0 } else { dice.below(16) as u8 };
        let client = dice.byte();
        input.push(dice.byte() & 0xf0 | choice);
        if number > 0 {
            input.push(client);
        }
        if choice < 10 {
            let opens = choice < 3;
            let mut bytes = if opens { connect(dice, version).encode(version) } else { Vec::new() };
            for _ in 0..dice.below(4) {
                bytes.extend(packet(dice, version, Sender::Client).encode(version));
            }
            bytes.truncate(255);
            input.push(bytes.len() as u8);
            input.extend(bytes);
        }
    }
    input
}

fn stream(dice: &mut Dice, version: Version, from: Sender) -> Input {
    let first = match from {
        Sender::Client => connect(dice, version),
        Sender::Server => connack(dice, version, 0),
    };
    let mut bytes = first.encode(version);
    for _ in 0..dice.below(12) {
        bytes.extend(packet(dice, version, from).encode(version));
    }
    bytes
}

fn packet(dice: &mut Dice, version: Version, from: Sender) -> Packet {
    let code = dice.pick(CODES);
    let choice = dice.below(12);
    match (from, choice) {
        (_, 0..=2) => Packet::Publish(publish(dice, version)),
        (_, 3) => Packet::PubAck(ack(dice, version, code)),
        (_, 4) => Packet::PubRec(ack(dice, version, code)),
        (_, 5) => Packet::PubRel(ack(dice, version, code & 0x92)),
        (_, 6) => Packet::PubComp(ack(dice, version, code & 0x92)),
        (Sender::Client, 7 | 8) => {
            let filters = (0..1 + dice.below(3)).map(|_| (dice.pick(FILTERS).into(), options(dice, version)));
            let filters = filters.collect();
            Packet::Subscribe(Subscribe {
                id: id(dice),
                properties: properties(dice, version, &[0x0b, 0x26]),
                filters,
            })
        }
        (Sender::Client, 9) => {
            let filters = (0..1 + dice.below(3)).map(|_| dice.pick(FILTERS).into()).collect();
            Packet::Unsubscribe(Unsubscribe {
                id: id(dice),
                properties: properties(dice, version, &[0x26]),
                filters,
            })
        }
        (Sender::Client, 10) => Packet::PingReq,
        (Sender::Server, 7) => Packet::SubAck(suback(dice, version)),
        (Sender::Server, 8) => Packet::UnsubAck(suback(dice, version)),
        (Sender::Server, 9) => Packet::PingResp,
        (Sender::Server, 10) if dice.one_in(4) => connack(dice, version, code),
        _ if version == Version::V5 && dice.one_in(2) => Packet::Auth(Disconnect {
            code: dice.pick(&[0, 0x18, 0x19]),
            properties: properties(dice, version, &[0x15, 0x16, 0x1f]),
        }),
        _ if dice.one_in(3) => Packet::Disconnect(Disconnect {
            code,
            properties: properties(dice, version, &[0x11, 0x1c, 0x1f, 0x26]),
        }),
        _ => Packet::Publish(publish(dice, version)),
    }
}

/// Few identifiers, so that packets meet.
fn id(dice: &mut Dice) -> u16 {
    1 + dice.below(4) as u16
}

fn ack(dice: &mut Dice, version: Version, code: u8) -> Ack {
    Ack { id: id(dice), code, properties: properties(dice, version, &[0x1f, 0x26]) }
}

fn suback(dice: &mut Dice, version: Version) -> SubAck {
    let codes = (0..1 + dice.below(3)).map(|_| dice.pick(&[0, 1, 2, 0x80])).collect();
    // A client counts the identifiers of its requests from the top.
    let id = dice.pick(&[1, 2, u16::MAX, u16::MAX - 1]);
    SubAck { id, properties: properties(dice, version, &[0x1f, 0x26]), codes }
}

fn options(dice: &mut Dice, version: Version) -> Options {
    let bits = dice.below(3) as u8;
    Options(if version == Version::V5 { bits | dice.byte() & 0x1c } else { bits })
}

fn publish(dice: &mut Dice, version: Version) -> Publish {
    let qos = dice.below(3) as u8;
    let allowed: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26];
    let alias = [0x23];
    let empty = version == Version::V5 && dice.one_in(4);
    Publish {
        dup: qos > 0 && dice.one_in(4),
        qos,
        retain: dice.one_in(3),
        topic: if empty { String::new() } else { dice.pick(TOPICS).into() },
        id: id(dice),
        properties: properties(dice, version, if empty { &alias } else { allowed }),
        payload: vec![b'p'; dice.pick(&[0, 1, 5, 40, 150])],
    }
}

fn connect(dice: &mut Dice, version: Version) -> Packet {
    let mut connect = Connect::new(version, dice.pick(&["c", "d", "e", ""]));
    connect.clean = dice.one_in(2);
    connect.keep_alive = dice.pick(&[0, 1, 10, 60]);
    connect.properties = properties(dice, version, &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
    if dice.one_in(3) {
        let allowed = [0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];
        connect.will = Some(Will {
            topic: dice.pick(TOPICS).into(),
            payload: vec![b'w'; dice.below(9)],
            qos: dice.below(3) as u8,
            retain: dice.one_in(2),
            properties: properties(dice, version, &allowed),
        });
    }
    if dice.one_in(4) {
        connect.user_name = Some("user".into());
        connect.password = dice.one_in(2).then(|| b"password".to_vec());
    }
    Packet::Connect(Box::new(connect))
}

fn connack(dice: &mut Dice, version: Version, code: u8) -> Packet {
    let allowed = [0x11, 0x12, 0x13, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a];
    let session_present = code == 0 && dice.one_in(4);
    Packet::ConnAck(ConnAck { session_present, code, properties: properties(dice, version, &allowed) })
}

/// A few of the allowed properties, rarely one twice; none before 5.0.
fn properties(dice: &mut Dice, version: Version, allowed: &[u8]) -> Properties {
    let mut chosen = Vec::new();
    if version != Version::V5 {
        return Properties(chosen);
    }
    for _ in 0..dice.pick(&[0, 0, 1, 2, 3]) {
        let id = dice.pick(allowed);
        if id == 0x26 || dice.one_in(10) || chosen.iter().all(|known: &Property| known.id() != id) {
            chosen.extend(property(dice, id));
        }
    }
    Properties(chosen)
}

fn property(dice: &mut Dice, id: u8) -> Option<Property> {
    let text = || "text".to_owned();
    let flag = dice.below(2) as u8;
    let short = dice.pick(&[0, 1, 1, 2, 10, u16::MAX]);
    let number = dice.pick(&[0, 1, 10, 30, 100, u32::MAX]);
    Some(match id {
        0x01 => Property::PayloadFormat(flag),
        0x02 => Property::MessageExpiry(number),
        0x03 => Property::ContentType(text()),
        0x08 => Property::ResponseTopic(dice.pick(TOPICS).into()),
        0x09 => Property::CorrelationData(vec![flag; 3]),
        0x0b => Property::SubscriptionId(dice.pick(&[0, 1, 127, 128, 268_435_455])),
        0x11 => Property::SessionExpiry(number),
        0x12 => Property::AssignedClientId(text()),
        0x13 => Property::ServerKeepAlive(short),
        0x15 => Property::AuthenticationMethod(dice.pick(&["m", "n", ""]).into()),
        0x16 => Property::AuthenticationData(vec![flag; 2]),
        0x17 => Property::RequestProblemInformation(flag),
        0x18 => Property::WillDelay(number),
        0x19 => Property::RequestResponseInformation(flag),
        0x1a => Property::ResponseInformation(text()),
        0x1c => Property::ServerReference(text()),
        0x1f => Property::ReasonString(text()),
        0x21 => Property::ReceiveMaximum(short),
        0x22 => Property::TopicAliasMaximum(short),
        0x23 => Property::TopicAlias(short),
        0x24 => Property::MaximumQos(flag),
        0x25 => Property::RetainAvailable(flag),
        0x26 => Property::User(text(), String::new()),
        0x27 => Property::MaximumPacketSize(number),
        0x28 => Property::WildcardAvailable(flag),
        0x29 => Property::SubscriptionIdsAvailable(flag),
        0x2a => Property::SharedAvailable(flag),
        _ => return None,
    })
}
