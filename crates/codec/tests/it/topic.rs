//! Topic names, topic filters, and which matches which.

use whimbrel_codec::{
    Filter, Frame, Malformed, PacketType, Peer, Publish, Version, check_topic_filter, check_topic_name,
    matches,
};

#[test]
fn v5_4_7_3_topic_names() {
    for good in ["/", "a", "//", " ", "a/b", "$SYS/x", "Accounts payable", "é/\u{feff}", "$share/g/a"] {
        assert_eq!(check_topic_name(good), Ok(()), "{good:?}");
    }
    for (bad, malformed) in [
        ("", Malformed::TopicEmpty),
        ("+", Malformed::TopicWildcard),
        ("a/#", Malformed::TopicWildcard),
        ("a+b", Malformed::TopicWildcard),
        ("a\0", Malformed::TopicNul),
    ] {
        assert_eq!(check_topic_name(bad), Err(malformed), "{bad:?}");
    }
    assert_eq!(check_topic_name(&"a".repeat(65_535)), Ok(()));
    assert_eq!(check_topic_name(&"a".repeat(65_536)), Err(Malformed::TopicTooLong));
    assert_eq!(check_topic_filter(&"a".repeat(65_536)), Err(Malformed::TopicTooLong));
}

#[test]
fn v5_4_7_0_1_a_forbidden_character_is_found_wherever_it_stands() {
    let decode = |topic: &[u8]| {
        let body = [&(topic.len() as u16).to_be_bytes(), topic].concat();
        let frame = Frame { kind: PacketType::Publish, flags: 0, body: &body };
        Publish::decode(frame, Version::V311, Peer::Client).map(|publish| publish.topic.len())
    };
    for len in 1..40 {
        for at in 0..len {
            for byte in 0..0x80 {
                let mut topic = vec![b'a'; len];
                topic[at] = byte;
                let expect = match byte {
                    0 => Err(Malformed::StringNul),
                    b'+' | b'#' => Err(Malformed::TopicWildcard),
                    _ => Ok(len),
                };
                assert_eq!(decode(&topic), expect, "{byte:02x} at {at} of {len}");
            }
        }
    }
}

#[test]
fn v5_4_7_1_wildcards_stand_alone_in_their_level() {
    for good in [
        "#",
        "+",
        "/",
        "+/+",
        "/+",
        "+/",
        "a/#",
        "a//#",
        "+/#",
        "/#",
        "a/+/b",
        "sport/tennis/player1/#",
        "$SYS/#",
        "+/tennis/#",
        "$share",
        "$shared/x",
    ] {
        assert_eq!(check_topic_filter(good), Ok(()), "{good:?}");
    }
    for (bad, malformed) in [
        ("", Malformed::FilterEmpty),
        ("sport/tennis#", Malformed::FilterMultiLevelWildcard),
        ("sport/tennis/#/ranking", Malformed::FilterMultiLevelWildcard),
        ("##", Malformed::FilterMultiLevelWildcard),
        ("#/", Malformed::FilterMultiLevelWildcard),
        ("a/#b", Malformed::FilterMultiLevelWildcard),
        ("+#", Malformed::FilterMultiLevelWildcard),
        ("sport+", Malformed::FilterSingleLevelWildcard),
        ("++", Malformed::FilterSingleLevelWildcard),
        ("a/+b/c", Malformed::FilterSingleLevelWildcard),
        ("a/\0", Malformed::TopicNul),
    ] {
        assert_eq!(check_topic_filter(bad), Err(malformed), "{bad:?}");
    }
}

#[test]
fn v5_4_8_2_shared_subscriptions_are_taken_apart() {
    for (text, share, filter) in [
        ("$share/g/a", "g", "a"),
        ("$share/consumer1//finance", "consumer1", "/finance"),
        ("$share/consumer1/sport/tennis/+", "consumer1", "sport/tennis/+"),
        ("$share/g/#", "g", "#"),
        ("$share/g//", "g", "/"),
        ("$share/$share/$share/g/a", "$share", "$share/g/a"),
    ] {
        assert_eq!(Filter::parse(text), Ok(Filter { share: Some(share), filter }), "{text}");
    }
    for text in ["a/b", "$share", "$sharex/g/a", "$SHARE/g/a", "/$share/g/a"] {
        assert_eq!(Filter::parse(text), Ok(Filter { share: None, filter: text }), "{text}");
    }
    for (bad, malformed) in [
        ("$share/", Malformed::ShareNameEmpty),
        ("$share//a", Malformed::ShareNameEmpty),
        ("$share/g", Malformed::ShareFilterMissing),
        ("$share/g/", Malformed::ShareFilterMissing),
        ("$share/+/a", Malformed::ShareNameWildcard),
        ("$share/g#/a", Malformed::ShareNameWildcard),
        ("$share/#", Malformed::ShareNameWildcard),
        ("$share/g/a+", Malformed::FilterSingleLevelWildcard),
        ("$share/g/#/a", Malformed::FilterMultiLevelWildcard),
    ] {
        assert_eq!(Filter::parse(bad), Err(malformed), "{bad}");
    }
}

#[test]
fn what_a_filter_tells_of_itself() {
    for (text, starts, has, levels) in [
        ("a", false, false, 1),
        ("#", true, true, 1),
        ("+/a", true, true, 2),
        ("a/+/b", false, true, 3),
        ("/#", false, true, 2),
        ("$share/g/#", true, true, 1),
        ("$share/g/a/b", false, false, 2),
        ("//", false, false, 3),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(
            (filter.starts_with_wildcard(), filter.has_wildcard(), filter.level_count()),
            (starts, has, levels),
            "{text}"
        );
    }
}

#[test]
fn v5_4_7_1_2_the_multi_level_wildcard_matches_the_parent_and_all_below() {
    for topic in
        ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"]
    {
        assert!(matches("sport/tennis/player1/#", topic), "{topic}");
    }
    assert!(matches("sport/#", "sport"));
    assert!(matches("#", "sport"));
    assert!(matches("#", "/"));
    assert!(!matches("sport/#", "sports"));
    assert!(!matches("sport/#", "spor"));
    assert!(!matches("/#", "sport"));
    assert!(matches("/#", "/sport"));
}

#[test]
fn v5_4_7_1_3_the_single_level_wildcard_matches_one_level() {
    for (filter, topic, expect) in [
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("+", "finance", true),
        ("+/a/#", "x/a", true),
    ] {
        assert_eq!(matches(filter, topic), expect, "{filter} {topic}");
    }
}

#[test]
fn v5_4_7_2_1_a_leading_wildcard_does_not_match_a_leading_dollar() {
    for (filter, topic, expect) in [
        ("#", "$SYS/monitor/Clients", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/monitor/Clients", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ("a/+", "a/$SYS", true),
        ("#", "a/$SYS", true),
    ] {
        assert_eq!(matches(filter, topic), expect, "{filter} {topic}");
    }
}

#[test]
fn v5_4_7_3_4_nothing_is_normalised() {
    for (filter, topic, expect) in [
        ("ACCOUNTS", "Accounts", false),
        ("/finance", "finance", false),
        ("a//b", "a/b", false),
        ("a/", "a", false),
        ("a", "a", true),
        ("é", "e\u{301}", false),
        ("\u{feff}a", "a", false),
    ] {
        assert_eq!(matches(filter, topic), expect, "{filter} {topic}");
    }
}
