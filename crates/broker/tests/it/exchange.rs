//! Clients of all versions talk to each other, at every QoS, with small messages and with the largest.

use whimbrel_testkit::{Connect, Packet, Property, QoS, Version, publish, v5};

use super::running::{start, start_with};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

#[test]
fn clients_of_all_versions_talk_to_each_other_at_every_qos() {
    let running = start();
    for from_version in VERSIONS {
        let mut from = running.connect(Connect::new(from_version, "from"));
        for to_version in VERSIONS {
            let mut to = running.connect(Connect::new(to_version, "to"));
            to.subscribe("room/+/t", QoS::QoS2);
            for (qos, id) in [(QoS::QoS0, 0), (QoS::QoS1, 7), (QoS::QoS2, 8)] {
                from.published(publish("room/1/t", format!("{from_version} {qos:?}")).at(qos, id));
                let got = to.taken();
                assert_eq!(got.topic, "room/1/t");
                assert_eq!(got.payload, format!("{from_version} {qos:?}").as_bytes());
                assert_eq!((got.qos, got.retain, got.dup), (qos as u8, false, false), "to {to_version}");
            }
        }
    }
}

#[test]
fn many_clients_on_all_workers_hear_one_message_once() {
    let running = start_with(|config| config.worker.threads = whimbrel_broker::config::Auto::Set(3));
    let mut clients: Vec<_> = (0..60).map(|number| running.connect(v5(&format!("to-{number}")))).collect();
    for client in &mut clients {
        client.subscribe("all", QoS::QoS1);
        client.subscribe("#", QoS::QoS0);
    }
    let mut from = running.connect(v5("from"));
    for round in 0..10 {
        from.published(publish("all", format!("{round}")).at(QoS::QoS1, round + 1));
    }
    for client in &mut clients {
        for round in 0..10 {
            assert_eq!(client.taken().payload, format!("{round}").as_bytes());
        }
        client.send(Packet::PingReq);
        assert_eq!(client.next(), Some(Packet::PingResp), "nothing comes twice");
    }
}

#[test]
fn a_packet_of_the_largest_size_arrives_whole_and_a_larger_one_ends_the_connection() {
    const LARGEST: usize = 1 << 20;
    for version in VERSIONS {
        let running = start();
        let mut readers: Vec<_> =
            (0..3).map(|number| running.connect(Connect::new(version, &format!("to-{number}")))).collect();
        for reader in &mut readers {
            reader.subscribe("big", QoS::QoS2);
        }
        let mut from = running.connect(Connect::new(version, "from"));
        let empty = Packet::Publish(publish("big", "").at(QoS::QoS1, 9)).encode(version).len();
        // The length of a packet of a mebibyte takes two bytes more than that of an empty one.
        let payload: Vec<u8> = (0..LARGEST - empty - 2).map(|at| (at % 251) as u8).collect();
        for qos in QoS::ALL {
            let message = publish("big", &payload).at(qos, if qos == QoS::QoS0 { 0 } else { 9 });
            from.published(message);
            for reader in &mut readers {
                assert!(reader.taken().payload == payload, "{qos:?} in {version}");
            }
        }
        let mut larger = payload.clone();
        larger.push(0);
        from.publish(publish("big", larger).at(QoS::QoS1, 9));
        let expected = (version == Version::V5).then_some(0x95);
        assert_eq!(from.farewell(), expected, "{version}");
        for reader in &mut readers {
            reader.ping();
        }
    }
}

#[test]
fn what_belongs_to_a_message_in_5_0_travels_with_it() {
    let running = start();
    let (mut to, mut from) = (running.connect(v5("to")), running.connect(v5("from")));
    to.subscribe("t", QoS::QoS1);
    let properties = [
        Property::ContentType("text".into()),
        Property::ResponseTopic("answers".into()),
        Property::CorrelationData(vec![1, 2, 3]),
        Property::User("a".into(), "1".into()),
        Property::User("a".into(), "2".into()),
    ];
    let message = properties.into_iter().fold(publish("t", "x"), |message, property| message.with(property));
    from.published(message.clone().at(QoS::QoS1, 5));
    let got = to.taken();
    assert_eq!(got.properties.0.len(), message.properties.0.len());
    for property in &message.properties.0 {
        assert!(got.properties.0.contains(property), "{property:?} is missing");
    }
    assert_eq!(got.properties.user(), [("a", "1"), ("a", "2")], "in this order [MQTT-3.3.2-18]");
}
