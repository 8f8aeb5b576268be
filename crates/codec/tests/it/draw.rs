//! Random packets: a pool of random values that owns them, and packets that borrow from it.

use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;
use whimbrel_codec::{
    Ack, Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect, Filters, Packet, PacketId,
    PacketType, Peer, Publish, PublishProperties, QoS, ReasonCode, Reasons, RetainHandling, SubAck,
    Subscribe, SubscribeOptions, SubscriptionIds, UnsubAck, Unsubscribe, UnsubscribeFilters, UserProperties,
    Version, Will,
};

#[derive(Debug)]
pub(crate) struct Pool {
    texts: Vec<String>,
    topics: Vec<String>,
    filters: Vec<String>,
    blobs: Vec<Vec<u8>>,
    numbers: Vec<u32>,
}

fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let character = prop_oneof![prop::char::range('\u{1}', '\u{7f}'), any::<char>()];
    vec(character.prop_filter("no null", |&c| c != '\0'), len).prop_map(String::from_iter)
}

fn level() -> impl Strategy<Value = String> {
    text(0..5).prop_map(|level| level.replace(['+', '#', '/'], "x"))
}

fn topic() -> impl Strategy<Value = String> {
    vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("not empty, not shared", |topic| !topic.is_empty() && !topic.starts_with("$share/"))
}

fn filter() -> impl Strategy<Value = String> {
    let levels = vec(prop_oneof![level(), Just("+".to_owned())], 0..4);
    (levels, any::<bool>(), any::<bool>()).prop_filter_map("not empty", |(mut levels, multi, shared)| {
        if multi {
            levels.push("#".to_owned());
        }
        let filter = levels.join("/");
        let fits = !filter.is_empty() && !filter.starts_with("$share/");
        fits.then(|| if shared { format!("$share/g/{filter}") } else { filter })
    })
}

pub(crate) fn pool() -> impl Strategy<Value = Pool> {
    (
        vec(text(0..12), 4..6),
        vec(topic(), 2..4),
        vec(filter(), 1..5),
        vec(vec(any::<u8>(), 0..200), 2..4),
        vec(any::<u32>(), 40..60),
    )
        .prop_map(|(texts, topics, filters, blobs, numbers)| Pool {
            texts,
            topics,
            filters,
            blobs,
            numbers,
        })
}

/// Lists that packets borrow.
pub(crate) struct Parts<'a> {
    pool: &'a Pool,
    pairs: Vec<(&'a str, &'a str)>,
    filters: Vec<&'a str>,
    subscriptions: Vec<(&'a str, SubscribeOptions)>,
    plain_subscriptions: Vec<(&'a str, SubscribeOptions)>,
    subscription_ids: Vec<u32>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        let pairs = pool.texts.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        let filters: Vec<&str> = pool.filters.iter().map(String::as_str).collect();
        let options = |(filter, number): (&&'a str, &u32)| {
            let options = SubscribeOptions {
                qos: qos(*number),
                no_local: number & 4 != 0 && !filter.starts_with("$share/"),
                retain_as_published: number & 8 != 0,
                retain_handling: match number >> 4 & 3 {
                    1 => RetainHandling::SendIfNew,
                    2 => RetainHandling::DoNotSend,
                    _ => RetainHandling::Send,
                },
            };
            (*filter, options)
        };
        let subscriptions: Vec<_> = filters.iter().zip(&pool.numbers).map(options).collect();
        let plain_subscriptions =
            subscriptions.iter().map(|(filter, options)| (*filter, SubscribeOptions::with_qos(options.qos)));
        let subscription_ids = pool.numbers.iter().take(3).map(|number| number % 268_435_455 + 1).collect();
        Parts {
            pool,
            pairs,
            plain_subscriptions: plain_subscriptions.collect(),
            filters,
            subscriptions,
            subscription_ids,
        }
    }

    pub(crate) fn draw(&self) -> Draw<'_> {
        Draw { parts: self, at: Cell::new(0) }
    }
}

fn qos(number: u32) -> QoS {
    QoS::from_bits((number % 3) as u8).unwrap()
}

/// Takes one value after the other.
pub(crate) struct Draw<'a> {
    parts: &'a Parts<'a>,
    at: Cell<usize>,
}

impl<'a> Draw<'a> {
    fn number(&self) -> u32 {
        let at = self.at.replace(self.at.get() + 1);
        let numbers = &self.parts.pool.numbers;
        numbers[at % numbers.len()].rotate_left(at as u32 / 7)
    }

    fn flag(&self) -> bool {
        self.number() % 2 == 1
    }

    fn some<T>(&self, value: T) -> Option<T> {
        self.flag().then_some(value)
    }

    fn short(&self) -> u16 {
        self.number() as u16
    }

    fn pick<T>(&self, from: &'a [T]) -> &'a T {
        &from[self.number() as usize % from.len()]
    }

    fn text(&self) -> &'a str {
        self.pick(&self.parts.pool.texts).as_str()
    }

    fn topic(&self) -> &'a str {
        self.pick(&self.parts.pool.topics).as_str()
    }

    fn blob(&self) -> &'a [u8] {
        self.pick(&self.parts.pool.blobs).as_slice()
    }

    fn packet_id(&self) -> PacketId {
        PacketId::new(self.short().max(1)).unwrap()
    }

    fn user_properties(&self) -> UserProperties<'a> {
        let pairs = &self.parts.pairs;
        UserProperties::from_pairs(&pairs[..self.number() as usize % (pairs.len() + 1)])
    }

    fn reason(&self, packet: PacketType, from: Peer) -> ReasonCode {
        let start = self.number() as u8;
        let code = |step| ReasonCode::from_u8(start.wrapping_add(step));
        (0..=255).filter_map(code).find(|reason| reason.allowed_in(packet, from)).unwrap()
    }

    fn connect(&self, version: Version) -> Connect<'a> {
        let user_name = self.some(self.text());
        let password = self.some(self.blob()).filter(|_| version == Version::V5 || user_name.is_some());
        let method = self.some(self.text());
        let properties = ConnectProperties {
            session_expiry_secs: self.some(self.number()),
            receive_maximum: self.some(self.short().max(1)),
            packet_size_max: self.some(self.number().max(1)),
            topic_alias_max: self.some(self.short()),
            request_response_information: self.some(self.flag()),
            request_problem_information: self.some(self.flag()),
            authentication_method: method,
            authentication_data: self.some(self.blob()).filter(|_| method.is_some()),
            user_properties: self.user_properties(),
        };
        let will = Will {
            qos: qos(self.number()),
            retain: self.flag(),
            topic: self.topic(),
            payload: self.blob(),
            delay_secs: if version == Version::V5 { self.number() } else { 0 },
            properties: PublishProperties {
                topic_alias: None,
                subscription_ids: SubscriptionIds::default(),
                ..self.publish_properties(version, Peer::Client)
            },
        };
        Connect {
            version,
            clean_start: self.flag(),
            keep_alive_secs: self.short(),
            client_id: self.text(),
            will: self.some(will),
            user_name,
            password,
            properties: if version == Version::V5 { properties } else { ConnectProperties::default() },
        }
    }

    fn connack(&self, version: Version) -> ConnAck<'a> {
        let reason = if version == Version::V5 {
            self.reason(PacketType::ConnAck, Peer::Server)
        } else {
            ReasonCode::from_connect_return_code((self.number() % 6) as u8).unwrap()
        };
        let properties = ConnAckProperties {
            session_expiry_secs: self.some(self.number()),
            receive_maximum: self.some(self.short().max(1)),
            qos_max: self.some(if self.flag() { QoS::AtLeastOnce } else { QoS::AtMostOnce }),
            retain_available: self.some(self.flag()),
            packet_size_max: self.some(self.number().max(1)),
            assigned_client_id: self.some(self.text()),
            topic_alias_max: self.some(self.short()),
            reason_string: self.some(self.text()),
            wildcard_available: self.some(self.flag()),
            subscription_ids_available: self.some(self.flag()),
            shared_available: self.some(self.flag()),
            server_keep_alive_secs: self.some(self.short()),
            response_information: self.some(self.text()),
            server_reference: self.some(self.text()),
            authentication_method: self.some(self.text()),
            authentication_data: self.some(self.blob()),
            user_properties: self.user_properties(),
        };
        ConnAck {
            session_present: self.flag() && reason == ReasonCode::Success && version != Version::V31,
            reason,
            properties: if version == Version::V5 { properties } else { ConnAckProperties::default() },
        }
    }

    fn publish_properties(&self, version: Version, from: Peer) -> PublishProperties<'a> {
        if version != Version::V5 {
            return PublishProperties::default();
        }
        let ids = &self.parts.subscription_ids;
        let ids = if from == Peer::Server { &ids[..self.number() as usize % 4] } else { &[] };
        PublishProperties {
            payload_is_utf8: self.some(self.flag()),
            message_expiry_secs: self.some(self.number()),
            topic_alias: self.some(self.short().max(1)),
            response_topic: self.some(self.topic()),
            correlation_data: self.some(self.blob()),
            subscription_ids: SubscriptionIds::from_slice(ids),
            content_type: self.some(self.text()),
            user_properties: self.user_properties(),
        }
    }

    pub(crate) fn publish(&self, version: Version, from: Peer) -> Publish<'a> {
        let qos = qos(self.number());
        let delivered = qos != QoS::AtMostOnce;
        let properties = self.publish_properties(version, from);
        let by_alias = properties.topic_alias.is_some() && self.flag();
        Publish {
            dup: self.flag() && delivered,
            qos,
            retain: self.flag(),
            topic: if by_alias { "" } else { self.topic() },
            packet_id: delivered.then(|| self.packet_id()),
            properties,
            payload: self.blob(),
        }
    }

    fn ack(&self, kind: PacketType, version: Version, from: Peer) -> Ack<'a> {
        if version != Version::V5 {
            return Ack::new(self.packet_id(), ReasonCode::Success);
        }
        Ack {
            packet_id: self.packet_id(),
            reason: self.reason(kind, from),
            reason_string: self.some(self.text()),
            user_properties: self.user_properties(),
        }
    }

    fn subscribe(&self, version: Version) -> Subscribe<'a> {
        let parts = self.parts;
        let v5 = version == Version::V5;
        let filters = if v5 { &parts.subscriptions } else { &parts.plain_subscriptions };
        Subscribe {
            packet_id: self.packet_id(),
            subscription_id: self.some(self.number() % 268_435_455 + 1).filter(|_| v5),
            user_properties: if v5 { self.user_properties() } else { UserProperties::default() },
            filters: Filters::from_slice(filters),
        }
    }

    fn unsubscribe(&self, version: Version) -> Unsubscribe<'a> {
        let v5 = version == Version::V5;
        Unsubscribe {
            packet_id: self.packet_id(),
            user_properties: if v5 { self.user_properties() } else { UserProperties::default() },
            filters: UnsubscribeFilters::from_slice(&self.parts.filters),
        }
    }

    fn disconnect(&self, version: Version, from: Peer) -> Disconnect<'a> {
        if version != Version::V5 {
            return Disconnect::default();
        }
        Disconnect {
            reason: self.reason(PacketType::Disconnect, from),
            session_expiry_secs: self.some(self.number()).filter(|_| from == Peer::Client),
            reason_string: self.some(self.text()),
            server_reference: self.some(self.text()),
            user_properties: self.user_properties(),
        }
    }

    fn auth(&self, from: Peer) -> Auth<'a> {
        let reason = self.reason(PacketType::Auth, from);
        if reason == ReasonCode::Success && self.flag() {
            return Auth::default();
        }
        Auth {
            reason,
            authentication_method: Some(self.text()),
            authentication_data: self.some(self.blob()),
            reason_string: self.some(self.text()),
            user_properties: self.user_properties(),
        }
    }

    /// One packet of each type that this side sends in this version, with its sender.
    pub(crate) fn packets(&self, version: Version, reasons: &'a [ReasonCode]) -> Vec<(Peer, Packet<'a>)> {
        let v5 = version == Version::V5;
        let user_properties = if v5 { self.user_properties() } else { UserProperties::default() };
        let reason_string = self.some(self.text()).filter(|_| v5);
        let (granted, removed) = reasons.split_at(reasons.len() / 2);
        let suback = SubAck {
            packet_id: self.packet_id(),
            reason_string,
            user_properties,
            reasons: Reasons::from_slice(granted),
        };
        let unsuback = UnsubAck {
            packet_id: self.packet_id(),
            reason_string,
            user_properties,
            reasons: Reasons::from_slice(if v5 { removed } else { &[] }),
        };
        let mut packets = vec![
            (Peer::Client, Packet::Connect(self.connect(version))),
            (Peer::Server, Packet::ConnAck(self.connack(version))),
            (Peer::Client, Packet::Subscribe(self.subscribe(version))),
            (Peer::Server, Packet::SubAck(suback)),
            (Peer::Client, Packet::Unsubscribe(self.unsubscribe(version))),
            (Peer::Server, Packet::UnsubAck(unsuback)),
            (Peer::Client, Packet::PingReq),
            (Peer::Server, Packet::PingResp),
            (Peer::Client, Packet::Disconnect(self.disconnect(version, Peer::Client))),
        ];
        for from in [Peer::Client, Peer::Server] {
            packets.push((from, Packet::Publish(self.publish(version, from))));
            packets.push((from, Packet::PubAck(self.ack(PacketType::PubAck, version, from))));
            packets.push((from, Packet::PubRec(self.ack(PacketType::PubRec, version, from))));
            packets.push((from, Packet::PubRel(self.ack(PacketType::PubRel, version, from))));
            packets.push((from, Packet::PubComp(self.ack(PacketType::PubComp, version, from))));
            if v5 {
                packets.push((from, Packet::Auth(self.auth(from))));
            }
        }
        if v5 {
            packets.push((Peer::Server, Packet::Disconnect(self.disconnect(version, Peer::Server))));
        }
        packets
    }

    /// Reason codes: the first half for a SUBACK, the second for an UNSUBACK.
    pub(crate) fn reasons(&self, version: Version) -> Vec<ReasonCode> {
        let count = 1 + self.number() % 5;
        let granted = (0..count).map(|_| match version {
            Version::V31 => ReasonCode::granted(qos(self.number())),
            Version::V311 if self.flag() => ReasonCode::Unspecified,
            Version::V311 => ReasonCode::granted(qos(self.number())),
            Version::V5 => self.reason(PacketType::SubAck, Peer::Server),
        });
        let granted: Vec<_> = granted.collect();
        let removed = (0..count).map(|_| self.reason(PacketType::UnsubAck, Peer::Server));
        granted.into_iter().chain(removed).collect()
    }
}
