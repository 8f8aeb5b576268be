//! The lists within packets, from a packet and from the caller: what is in them, and which are equal.

use std::fmt::Debug;

use whimbrel_codec::{
    Filters, Packet, PacketId, Peer, ReasonCode, Reasons, SubAck, SubscribeOptions, SubscriptionIds,
    Unsubscribe, UnsubscribeFilters, UserProperties, Version,
};

use crate::it::wire::{decode, encode};

/// Lists that are written as these texts are equal to themselves and to no other.
fn all_different<T: PartialEq + Debug>(lists: &[(T, &str)]) {
    for (at, (list, text)) in lists.iter().enumerate() {
        assert_eq!(format!("{list:?}"), *text);
        for (other_at, (other, _)) in lists.iter().enumerate() {
            assert_eq!(list == other, at == other_at, "{list:?} and {other:?}");
        }
    }
}

#[test]
fn reason_codes_are_equal_in_their_order_and_number() {
    use ReasonCode::{Success, Unspecified};
    all_different(&[
        (Reasons::default(), "[]"),
        (Reasons::from_slice(&[Success]), "[Success]"),
        (Reasons::from_slice(&[Unspecified]), "[Unspecified]"),
        (Reasons::from_slice(&[Success, Unspecified]), "[Success, Unspecified]"),
        (Reasons::from_slice(&[Unspecified, Success]), "[Unspecified, Success]"),
    ]);
    assert!(Reasons::default().is_empty());
    assert!(!Reasons::from_slice(&[Success]).is_empty());
    let reasons = Reasons::from_slice(&[Success, Unspecified]);
    let (packet_id, user_properties) = (PacketId::new(7).unwrap(), UserProperties::default());
    let ack = SubAck { packet_id, reason_string: None, user_properties, reasons };
    let bytes = encode(&Packet::SubAck(ack), Version::V5);
    let Ok(Packet::SubAck(read)) = decode(&bytes, Version::V5, Peer::Server) else { panic!("{bytes:02x?}") };
    assert_eq!((read.reasons, read.reasons.count()), (reasons, 2));
    assert_ne!(read.reasons, Reasons::from_slice(&[Success, Success]));
    assert!(!read.reasons.is_empty());
}

#[test]
fn v5_section_2_2_2_2_user_properties_are_equal_in_their_order_and_number() {
    all_different(&[
        (UserProperties::default(), "[]"),
        (UserProperties::from_pairs(&[("a", "1")]), r#"[("a", "1")]"#),
        (UserProperties::from_pairs(&[("a", "2")]), r#"[("a", "2")]"#),
        (UserProperties::from_pairs(&[("a", "1"), ("a", "2")]), r#"[("a", "1"), ("a", "2")]"#),
        (UserProperties::from_pairs(&[("a", "2"), ("a", "1")]), r#"[("a", "2"), ("a", "1")]"#),
    ]);
}

#[test]
fn subscription_identifiers_are_equal_in_their_order_and_number() {
    all_different(&[
        (SubscriptionIds::default(), "[]"),
        (SubscriptionIds::from_slice(&[1]), "[1]"),
        (SubscriptionIds::from_slice(&[2]), "[2]"),
        (SubscriptionIds::from_slice(&[1, 2]), "[1, 2]"),
    ]);
    assert!(SubscriptionIds::default().is_empty());
    assert!(!SubscriptionIds::from_slice(&[1]).is_empty());
}

#[test]
fn filters_are_equal_in_their_order_number_and_options() {
    let plain = SubscribeOptions::default();
    let other = SubscribeOptions { no_local: true, ..plain };
    let told = |filter: &str, options: SubscribeOptions| format!("[({filter:?}, {options:?})]");
    all_different(&[
        (Filters::default(), "[]"),
        (Filters::from_slice(&[("a", plain)]), &told("a", plain)),
        (Filters::from_slice(&[("a", other)]), &told("a", other)),
        (Filters::from_slice(&[("b", plain)]), &told("b", plain)),
    ]);
    assert_eq!(Filters::from_slice(&[("a", plain), ("b", plain)]).count(), 2);
    all_different(&[
        (UnsubscribeFilters::default(), "[]"),
        (UnsubscribeFilters::from_slice(&["a"]), r#"["a"]"#),
        (UnsubscribeFilters::from_slice(&["b"]), r#"["b"]"#),
        (UnsubscribeFilters::from_slice(&["a", "b"]), r#"["a", "b"]"#),
    ]);
    let filters = UnsubscribeFilters::from_slice(&["a", "b"]);
    let (packet_id, user_properties) = (PacketId::new(7).unwrap(), UserProperties::default());
    let asked = Unsubscribe { packet_id, user_properties, filters };
    let bytes = encode(&Packet::Unsubscribe(asked), Version::V311);
    let Ok(Packet::Unsubscribe(read)) = decode(&bytes, Version::V311, Peer::Client) else {
        panic!("{bytes:02x?}")
    };
    assert_eq!((read.filters, read.filters.count()), (filters, 2));
}
