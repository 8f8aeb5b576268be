//! As much of MQTT as it takes to cut what a broker sends into packets and to say which of two differ in what the text
//! leaves no freedom for. Not a decoder: those are the codec's and the test kit's.

/// A whole packet and the rest, if it is whole.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0_usize;
    for (at, byte) in bytes.iter().skip(1).take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes.split_at_checked(2 + at + len);
        }
    }
    None
}

/// A packet without the properties that every broker chooses for itself: all of CONNACK, DISCONNECT, AUTH and the
/// acknowledgements in 5.0. A reason code that is left out is 0.
pub(super) fn essence(packet: &[u8], level: u8) -> Vec<u8> {
    let kind = kind(packet);
    let body = body(packet);
    let fixed = |len: usize| (0..len).map(|at| body.get(at).copied().unwrap_or(0)).collect::<Vec<u8>>();
    let said = match kind {
        2 => fixed(2),
        4..=7 if level == 5 => fixed(3),
        14 | 15 if level == 5 => fixed(1),
        9 | 11 if level == 5 => {
            // Properties are shorter than 128 bytes in all of these.
            let codes = 3 + usize::from(body.get(2).copied().unwrap_or(0));
            [fixed(2).as_slice(), body.get(codes..).unwrap_or_default()].concat()
        }
        _ => body.to_vec(),
    };
    [packet.get(..1).unwrap_or_default(), &said].concat()
}

/// A packet in a few words: its name, and its reason code where that is what it is about.
pub(super) fn name(packet: &[u8], level: u8) -> String {
    const NAMES: [&str; 16] = [
        "packet 0",
        "CONNECT",
        "CONNACK",
        "PUBLISH",
        "PUBACK",
        "PUBREC",
        "PUBREL",
        "PUBCOMP",
        "SUBSCRIBE",
        "SUBACK",
        "UNSUBSCRIBE",
        "UNSUBACK",
        "PINGREQ",
        "PINGRESP",
        "DISCONNECT",
        "AUTH",
    ];
    let name = NAMES.get(usize::from(kind(packet))).copied().unwrap_or_default();
    let essence = essence(packet, level);
    match (kind(packet), essence.as_slice()) {
        (2, [_, _, code]) | (4..=7, [_, _, _, code]) | (14, [_, code]) => format!("{name} 0x{code:02X}"),
        (9 | 11, [_, _, _, codes @ ..]) => {
            let codes: Vec<String> = codes.iter().map(|code| format!("0x{code:02X}")).collect();
            format!("{name} {}", codes.join(" ")).trim_end().to_owned()
        }
        _ => name.to_owned(),
    }
}

fn kind(packet: &[u8]) -> u8 {
    packet.first().map_or(0, |first| first >> 4)
}

fn body(packet: &[u8]) -> &[u8] {
    let head = packet.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0).unwrap_or(0);
    packet.get(head + 2..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_packets() {
        assert_eq!(split(&[0xd0, 0, 0xe0]), Some((&[0xd0, 0][..], &[0xe0][..])));
        assert_eq!(split(&[0x30, 2, 0]), None);
        assert_eq!(split(&[0x30, 0x80]), None);
        let long = [&[0x30, 0x80, 1][..], &[0; 128]].concat();
        assert_eq!(split(&long), Some((&long[..], &[][..])));
    }

    #[test]
    fn properties_are_no_difference_and_codes_are() {
        let check = |one: &[u8], other: &[u8], level: u8, same: bool| {
            assert_eq!(essence(one, level) == essence(other, level), same, "{one:?} {other:?}");
        };
        check(&[0x20, 3, 0, 0, 0], &[0x20, 6, 0, 0, 3, 0x21, 0, 9], 5, true);
        check(&[0x20, 3, 1, 0, 0], &[0x20, 3, 0, 0, 0], 5, false);
        check(&[0xe0, 1, 0x82], &[0xe0, 6, 0x82, 4, 0x1f, 0, 1, b'x'], 5, true);
        check(&[0x40, 2, 0, 1], &[0x40, 3, 0, 1, 0], 5, true);
        check(&[0x40, 2, 0, 1], &[0x40, 3, 0, 1, 0x10], 5, false);
        check(&[0x90, 4, 0, 1, 0, 2], &[0x90, 4, 0, 1, 0, 1], 5, false);
        check(&[0x30, 3, 0, 1, b'a'], &[0x30, 3, 0, 1, b'b'], 4, false);
    }

    #[test]
    fn a_packet_has_a_name() {
        let check = |packet: &[u8], level: u8, expect: &str| assert_eq!(name(packet, level), expect);
        check(&[0x20, 2, 0, 5], 4, "CONNACK 0x05");
        check(&[0xe0, 0], 5, "DISCONNECT 0x00");
        check(&[0x90, 4, 0, 1, 0, 2], 5, "SUBACK 0x02");
        check(&[0xb0, 2, 0, 1], 4, "UNSUBACK");
        check(&[0xd0, 0], 4, "PINGRESP");
    }
}
