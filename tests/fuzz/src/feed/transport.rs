//! What comes on a connection before MQTT does: headers of proxies, requests for a WebSocket, and its frames.

use super::{Dice, Input};

/// A size of pieces and a header, of either version, with something behind it.
pub(super) fn proxy_header(dice: &mut Dice) -> Input {
    let mut input = vec![dice.byte()];
    if dice.one_in(2) {
        input.extend_from_slice(line(dice).as_bytes());
    } else {
        input.extend(binary(dice));
    }
    let behind = dice.below(20);
    input.extend((0..behind).map(|_| dice.byte()));
    input
}

fn line(dice: &mut Dice) -> String {
    let address = |dice: &mut Dice| {
        dice.pick(&["192.0.2.7", "127.0.0.1", "::1", "2001:db8::7", "::ffff:1.2.3.4", "1.2.3", ""])
    };
    let family = dice.pick(&["TCP4", "TCP4", "TCP6", "UNKNOWN", "tcp4", ""]);
    let (source, target) = (address(dice), address(dice));
    let port = dice.pick(&["4660", "0", "65535", "65536", "+1", "00080", ""]);
    let end = dice.pick(&["\r\n", "\r\n", "\n", "\r", " \r\n", " 1\r\n"]);
    format!("PROXY {family} {source} {target} {port} 1883{end}")
}

fn binary(dice: &mut Dice) -> Input {
    let family = dice.pick(&[0x11, 0x11, 0x21, 0x31, 0x00, 0x12, 0xff]);
    let mut body: Input = match family {
        0x11 => (0..12).map(|_| dice.byte()).collect(),
        0x21 => (0..36).map(|_| dice.byte()).collect(),
        0x31 => vec![b'x'; 216],
        _ => Input::new(),
    };
    for _ in 0..dice.below(4) {
        body.extend(extension(dice));
    }
    let length = (body.len() as u16).wrapping_add(dice.pick(&[0, 0, 0, 0, 1, 0xffff]));
    let command = dice.pick(&[0x21, 0x21, 0x21, 0x20, 0x22, 0x11]);
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length.to_be_bytes(), &body].concat()
}

fn extension(dice: &mut Dice) -> Input {
    let put = |kind: u8, value: &[u8]| [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat();
    match dice.below(5) {
        0 => put(0x03, &[dice.byte(), dice.byte(), dice.byte(), dice.byte()]),
        1 | 2 => {
            let name = dice.pick(&["lamp-7", "", "Zoë", "a/b"]);
            let inner = [put(0x21, b"TLSv1.3"), put(0x22, name.as_bytes())].concat();
            let client = dice.pick(&[7, 5, 1, 0]);
            put(0x20, &[&[client, 0, 0, 0, dice.pick(&[0, 0, 19])][..], &inner].concat())
        }
        3 => put(0x01, b"mqtt"),
        _ => put(dice.byte(), &[dice.byte(), dice.byte()]),
    }
}

/// A choice of rules and a request, with something behind it now and then.
pub(super) fn request(dice: &mut Dice) -> Input {
    let mut lines: Vec<String> = [
        "GET /mqtt HTTP/1.1",
        "Host: 127.0.0.1:9001",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: mqtt",
    ]
    .map(str::to_owned)
    .into();
    for _ in 0..dice.pick(&[0, 0, 1, 1, 2, 3]) {
        let line = dice.pick(&[
            "Origin: http://127.0.0.1:8000",
            "Origin: null",
            "Origin: https://app.example",
            "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1",
            "Content-Length: 0",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding : chunked",
            " Transfer-Encoding: chunked",
            "\tfolded",
            "Host: other",
            "Connection: close",
            "Sec-WebSocket-Extensions: permessage-deflate",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "X: a\nContent-Length: 9",
            "X: a\rContent-Length: 9",
            "Expect: 100-continue",
            "x",
        ]);
        let at = 1 + dice.below(lines.len());
        lines.insert(at, line.to_owned());
    }
    if dice.one_in(4) {
        let at = dice.below(lines.len());
        lines.remove(at);
    }
    if dice.one_in(6) {
        lines[0] = dice
            .pick(&[
                "GET http://127.0.0.1:9001/mqtt HTTP/1.1",
                "GET /mqtt HTTP/1.0",
                "POST /mqtt HTTP/1.1",
                "GET  /mqtt HTTP/1.1",
            ])
            .to_owned();
    }
    if dice.one_in(8) {
        // A head that ends where a read does.
        let length = lines.iter().map(|line| line.len() + 2).sum::<usize>() + 2;
        lines.push(format!("Pad: {}", "x".repeat(1_024_usize.saturating_sub(length + 7))));
    }
    let mut input = vec![dice.byte()];
    input.extend_from_slice(lines.join(dice.pick(&["\r\n", "\r\n", "\r\n", "\n"])).as_bytes());
    input.extend_from_slice(dice.pick(&[b"\r\n\r\n".as_slice(), b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n"]));
    if dice.one_in(4) {
        input.extend_from_slice(dice.pick(&[
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            &[0x82, 0x80, 0, 0, 0, 0],
            b"\0",
        ]));
    }
    input
}

/// A size of reads, and frames that a client sends.
pub(super) fn frames(dice: &mut Dice) -> Input {
    let mut input = vec![dice.byte()];
    let mut in_message = false;
    for _ in 0..1 + dice.below(8) {
        let first = match dice.below(16) {
            0 => 0x88,
            1..=3 => 0x89,
            4 => 0x8a,
            5 => dice.byte(),
            6 => 0x81,
            number => {
                let opcode = if in_message { 0 } else { 2 };
                in_message = number < 10;
                if in_message { opcode } else { opcode | 0x80 }
            }
        };
        let mut payload: Input = match first {
            0x88 => dice
                .pick(&[
                    &[][..],
                    &[3, 0xe8],
                    &[3, 0xe9, b'b', b'y', b'e'],
                    &[3, 0xed],
                    &[3],
                    &[3, 0xe8, 0xff],
                ])
                .to_vec(),
            0x89 | 0x8a => vec![dice.byte(); dice.below(6)],
            _ => vec![dice.byte(); dice.pick(&[0, 1, 2, 7, 8, 9, 125, 126, 300])],
        };
        let mask = [dice.byte(), dice.byte(), 0, dice.byte()];
        let masked = if dice.one_in(30) { 0 } else { 0x80 };
        input.push(first);
        match payload.len() {
            short @ 0..=125 if !dice.one_in(20) => input.push(masked | short as u8),
            length if !dice.one_in(10) => {
                input.push(masked | 126);
                input.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                input.push(masked | 127);
                input.extend_from_slice(&dice.pick(&[length as u64, 1 << 63, 70_000]).to_be_bytes());
            }
        }
        input.extend_from_slice(&mask);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        input.extend(payload);
    }
    input
}
