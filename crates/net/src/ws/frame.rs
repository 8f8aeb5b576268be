//! Frames of WebSocket (RFC 6455, section 5) as bytes: heads, masks, and a decoder that takes them split at any place.
//! Not the connection.

/// What a frame is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Why a connection ends, as a Close frame says it (RFC 6455, section 7.4).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// All has been said.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server ends, or the page is left.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// Frames that are none.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// Text, where binary data is meant.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// A reason that is no UTF-8.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// What was said inside is against the rules of what is spoken there.
    pub const POLICY: CloseCode = CloseCode(1008);

    /// Whether it may stand in a frame: some numbers are for programs among themselves, most are nobody's.
    fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Bytes of the longest head.
const HEAD_BYTES_MAX: usize = 14;

/// Bytes of the longest payload of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The head of a frame that is to be sent.
pub(super) fn put_head(out: &mut Vec<u8>, opcode: Opcode, length: u64, mask: Option<[u8; 4]>) {
    out.push(0x80 | opcode.bits());
    let masked = if mask.is_some() { 0x80 } else { 0 };
    // The shortest of the three ways to write a length.
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(masked | short),
        (_, Ok(length)) => {
            out.push(masked | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend(mask.into_iter().flatten());
}

/// Masks or unmasks; `at` is how many bytes of the payload came before.
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let mut turned = mask;
    turned.rotate_left((at % 4) as usize);
    let [a, b, c, d] = turned;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(turned.iter().cycle()) {
        *byte ^= mask;
    }
}

/// How the peer's half of the connection ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has said Close, with or without a code.
    Closed(Option<CloseCode>),
    /// It has sent what no WebSocket peer sends, or what MQTT does not allow; the code is what it is told.
    Fault(CloseCode),
}

/// What some bytes have brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// So many bytes of data stand at the front now, without heads and masks.
    pub(super) data: usize,
    /// The payload of the last Ping among them.
    pub(super) ping: Option<Box<[u8]>>,
    /// The connection's end, after that data. Nothing behind it counts.
    pub(super) end: Option<End>,
}

/// Takes the frames of one connection apart, however they are cut. It holds an unfinished head and the payload of an
/// unfinished control frame, 125 bytes at most; data it never holds, so that the length of a frame costs nothing.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Whether the peer masks its frames: a client has to, a server must not.
    masked: bool,
    /// Some frames of a message have come, and its last has not.
    in_message: bool,
    head_len: u8,
    head: [u8; HEAD_BYTES_MAX],
    /// What the payload that comes belongs to.
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes of the payload that have come, and those to come.
    at: u64,
    left: u64,
    control: Vec<u8>,
}

impl Decoder {
    /// For the frames of a peer that masks (a client), or does not (a server).
    pub(super) fn new(masked: bool) -> Decoder {
        Decoder {
            masked,
            in_message: false,
            head_len: 0,
            head: [0; HEAD_BYTES_MAX],
            opcode: Opcode::Continuation,
            mask: [0; 4],
            at: 0,
            left: 0,
            control: Vec::new(),
        }
    }

    /// Takes bytes as they came, and leaves the data among them at their front.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Decoded {
        let mut decoded = Decoded { data: 0, ping: None, end: None };
        let mut from = 0;
        while decoded.end.is_none() && from < bytes.len() {
            let step = if self.left == 0 {
                from += 1;
                bytes.get(from - 1).copied().map_or(Ok(None), |byte| self.take_head(byte))
            } else {
                let part = self.take_payload(bytes, from, &mut decoded.data);
                from += part;
                Ok((self.left == 0).then_some(()))
            };
            match step {
                Ok(None) => {}
                Ok(Some(())) => self.end_frame(&mut decoded),
                Err(code) => decoded.end = Some(End::Fault(code)),
            }
        }
        decoded
    }

    /// One byte of a head. Something, if it is the last of a frame.
    fn take_head(&mut self, byte: u8) -> Result<Option<()>, CloseCode> {
        let at = usize::from(self.head_len);
        if let Some(slot) = self.head.get_mut(at) {
            *slot = byte;
        }
        self.head_len += 1;
        let [first, second, rest @ ..] = self.head;
        let opcode = match at {
            0 => return self.check_first(first).map(|_| None),
            _ => self.check_first(first)?,
        };
        let (masked, short) = (second & 0x80 != 0, second & 0x7f);
        if masked != self.masked || (opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX) {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        let extended: usize = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if at + 1 < 2 + extended + if masked { 4 } else { 0 } {
            return Ok(None);
        }
        let (length, after) = rest.split_at(extended);
        let mut eight = [0; 8];
        for (slot, byte) in eight.iter_mut().rev().zip(length.iter().rev()) {
            *slot = *byte;
        }
        let length = u64::from_be_bytes(eight);
        let length = match short {
            126 if length > 125 => length,
            127 if length > u64::from(u16::MAX) && length >> 63 == 0 => length,
            0..=125 => u64::from(short),
            _ => return Err(CloseCode::PROTOCOL_ERROR),
        };
        self.mask = after.first_chunk().copied().filter(|_| masked).unwrap_or_default();
        (self.opcode, self.at, self.left, self.head_len) = (opcode, 0, length, 0);
        if !opcode.is_control() {
            self.in_message = first & 0x80 == 0;
        }
        Ok((length == 0).then_some(()))
    }

    /// What the first byte alone says.
    fn check_first(&self, first: u8) -> Result<Opcode, CloseCode> {
        let opcode = Opcode::of(first & 0x0f).ok_or(CloseCode::PROTOCOL_ERROR)?;
        let is_last = first & 0x80 != 0;
        // No extension was agreed on, so nothing is compressed and the three bits behind the first are nobody's.
        let good = match opcode {
            Opcode::Continuation => self.in_message,
            Opcode::Text | Opcode::Binary => !self.in_message,
            Opcode::Close | Opcode::Ping | Opcode::Pong => is_last,
        };
        if first & 0x70 != 0 || !good {
            return Err(CloseCode::PROTOCOL_ERROR);
        }
        if opcode == Opcode::Text {
            return Err(CloseCode::UNSUPPORTED); // [MQTT-6.0.0-1]
        }
        Ok(opcode)
    }

    /// The part of a payload that stands at `from`; data goes to where `data` ends.
    fn take_payload(&mut self, bytes: &mut [u8], from: usize, data: &mut usize) -> usize {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let to = bytes.len().min(from.saturating_add(left));
        let Some(part) = bytes.get_mut(from..to) else { return 0 };
        let length = part.len();
        if self.masked {
            apply_mask(part, self.mask, self.at);
        }
        if self.opcode.is_control() {
            self.control.extend_from_slice(part);
        } else {
            bytes.copy_within(from..to, *data);
            *data += length;
        }
        self.at += length as u64;
        self.left -= length as u64;
        length
    }

    fn end_frame(&mut self, decoded: &mut Decoded) {
        if !self.opcode.is_control() {
            return;
        }
        let payload = std::mem::take(&mut self.control);
        match self.opcode {
            // Of several Pings the last may be answered alone (5.5.3).
            Opcode::Ping => decoded.ping = Some(payload.into_boxed_slice()),
            Opcode::Close => decoded.end = Some(close(&payload)),
            _ => {}
        }
    }
}

/// What a Close frame says.
fn close(payload: &[u8]) -> End {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { End::Closed(None) } else { End::Fault(CloseCode::PROTOCOL_ERROR) };
    };
    let code = CloseCode(u16::from_be_bytes(*code));
    if !code.may_be_sent() {
        return End::Fault(CloseCode::PROTOCOL_ERROR);
    }
    if str::from_utf8(reason).is_err() {
        return End::Fault(CloseCode::INVALID_DATA);
    }
    End::Closed(Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_head(&mut out, Opcode::Binary, payload.len() as u64, Some(MASK));
        out[0] = first;
        let mut payload = payload.to_vec();
        apply_mask(&mut payload, MASK, 0);
        out.extend_from_slice(&payload);
        out
    }

    /// What comes of bytes in parts of this size.
    fn decode_in(parts: usize, bytes: &[u8]) -> (Vec<u8>, Vec<Box<[u8]>>, Option<End>) {
        let mut decoder = Decoder::new(true);
        let (mut data, mut pings, mut end) = (Vec::new(), Vec::new(), None);
        for part in bytes.chunks(parts) {
            let mut part = part.to_vec();
            let decoded = decoder.decode(&mut part);
            data.extend_from_slice(&part[..decoded.data]);
            pings.extend(decoded.ping);
            end = decoded.end;
            if end.is_some() {
                break;
            }
        }
        (data, pings, end)
    }

    #[test]
    fn v5_6_0_0_2_packets_lie_across_frames_and_frames_are_cut_anywhere() {
        let long: Vec<u8> = (0..70_000_u32).map(|at| at as u8).collect();
        let mut bytes = frame(0x02, b"one ");
        bytes.extend(frame(0x89, b"are you there"));
        bytes.extend(frame(0x00, b""));
        bytes.extend(frame(0x00, b"message"));
        bytes.extend(frame(0x8a, b""));
        bytes.extend(frame(0x80, b" in four"));
        bytes.extend(frame(0x82, &long[..200]));
        bytes.extend(frame(0x82, &long));
        bytes.extend(frame(0x88, &[0x03, 0xe8, b'b', b'y', b'e']));
        let mut expect = b"one message in four".to_vec();
        expect.extend_from_slice(&long[..200]);
        expect.extend_from_slice(&long);
        for parts in (1..40).chain([125, 126, 127, 128, 4_096, bytes.len()]) {
            let (data, pings, end) = decode_in(parts, &bytes);
            assert!(data == expect, "in parts of {parts}");
            assert_eq!(pings.last().map(AsRef::as_ref), Some(&b"are you there"[..]), "in parts of {parts}");
            assert_eq!(end, Some(End::Closed(Some(CloseCode::NORMAL))), "in parts of {parts}");
        }
    }

    #[test]
    fn what_is_against_the_rules_ends_the_connection_with_its_code() {
        let fault = |code| Some(End::Fault(code));
        let check = |bytes: &[u8], expect: Option<End>| {
            for parts in [1, 2, 3, bytes.len()] {
                assert_eq!(decode_in(parts, bytes).2, expect, "{bytes:02x?} in parts of {parts}");
            }
        };
        let protocol = fault(CloseCode::PROTOCOL_ERROR);
        check(&frame(0x81, b"text"), fault(CloseCode::UNSUPPORTED));
        check(&[0x01], fault(CloseCode::UNSUPPORTED));
        check(&[0x82, 0x01, b'x'], protocol); // Not masked.
        check(&frame(0xc2, b"compressed"), protocol);
        check(&frame(0xa2, b""), protocol);
        check(&frame(0x92, b""), protocol);
        for reserved in [0x83, 0x87, 0x8b, 0x8f] {
            check(&frame(reserved, b""), protocol);
        }
        check(&frame(0x80, b"nothing to continue"), protocol);
        check(&[frame(0x02, b"a"), frame(0x82, b"another begins")].concat(), protocol);
        check(&frame(0x09, b"a ping in parts"), protocol);
        check(&frame(0x89, &[0; 126]), protocol);
        check(&frame(0x88, &[0; 126]), protocol);
        // Lengths that are written longer than they need be, or are none.
        check(&[0x82, 0xfe, 0, 125, 0, 0, 0, 0], protocol);
        check(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0], protocol);
        check(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], protocol);
        check(&frame(0x88, &[3]), protocol);
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000_u16] {
            check(&frame(0x88, &code.to_be_bytes()), protocol);
        }
        check(&frame(0x88, &[0x03, 0xe8, 0xff]), fault(CloseCode::INVALID_DATA));
        check(&frame(0x88, b""), Some(End::Closed(None)));
        check(&frame(0x88, &4_000_u16.to_be_bytes()), Some(End::Closed(Some(CloseCode(4_000)))));
    }

    #[test]
    fn what_came_before_a_fault_still_counts_and_what_comes_behind_it_does_not() {
        let bytes = [frame(0x82, b"good"), frame(0x81, b"bad"), frame(0x82, b"late")].concat();
        let (data, _, end) = decode_in(bytes.len(), &bytes);
        assert_eq!((data.as_slice(), end), (&b"good"[..], Some(End::Fault(CloseCode::UNSUPPORTED))));
    }

    #[test]
    fn a_frame_as_long_as_frames_can_be_costs_nothing() {
        let mut decoder = Decoder::new(true);
        let mut bytes =
            vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, b'a', b'b'];
        assert_eq!(decoder.decode(&mut bytes), Decoded { data: 2, ping: None, end: None });
        assert_eq!(&bytes[..2], b"ab");
        assert_eq!(decoder.control.capacity(), 0);
    }

    #[test]
    fn a_server_does_not_mask_and_is_refused_if_it_does() {
        let mut decoder = Decoder::new(false);
        let mut bytes = [0x82, 0x02, b'o', b'k'];
        assert_eq!(decoder.decode(&mut bytes).data, 2);
        let end = decoder.decode(&mut frame(0x82, b"x")).end;
        assert_eq!(end, Some(End::Fault(CloseCode::PROTOCOL_ERROR)));
    }

    #[test]
    fn a_head_that_was_put_is_read_again() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_001] {
            let mut bytes = Vec::new();
            put_head(&mut bytes, Opcode::Binary, length, None);
            bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 7);
            let mut decoder = Decoder::new(false);
            let decoded = decoder.decode(&mut bytes);
            assert_eq!((decoded.data as u64, decoded.end, decoder.left), (length, None, 0));
        }
    }

    #[test]
    fn masks_go_on_where_they_stopped() {
        let plain: Vec<u8> = (0..100).collect();
        let mut whole = plain.clone();
        apply_mask(&mut whole, MASK, 0);
        for cut in 0..plain.len() {
            let mut parts = plain.clone();
            let (first, second) = parts.split_at_mut(cut);
            apply_mask(first, MASK, 0);
            apply_mask(second, MASK, cut as u64);
            assert_eq!(parts, whole, "cut at {cut}");
        }
    }
}
