//! Packet identifiers of a client that takes the lowest that is free, as small clients do: the server sees the same ones
//! again and again. The client machine counts its own up; they are exchanged on the way.

use whimbrel_engine::proto::codec::{PacketType, Split, split};

/// An identifier that a server has made up keeps away from those of the machine.
const MADE_UP: u16 = 40_000;
const SIZE_MAX: u32 = u32::MAX;

/// Which identifiers are in use.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// By the lower identifier less one: the machine's, and whether it is that of a request, which ends with the connection.
    slots: Vec<Option<(u16, bool)>>,
}

impl Ids {
    /// A connection begins: nobody will answer the requests of the one before.
    pub(super) fn begin_link(&mut self) {
        self.slots
            .iter_mut()
            .filter(|slot| slot.is_some_and(|(_, is_request)| is_request))
            .for_each(|slot| *slot = None);
    }

    /// The session before is gone.
    pub(super) fn begin_session(&mut self) {
        self.slots.clear();
    }

    /// Lowers the identifiers of whole packets to the server.
    pub(super) fn lower(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while let Ok(Split::Whole { frame, len }) = split(rest, SIZE_MAX) {
            let (head, body) = (len - frame.body.len(), frame.body);
            let is_request = matches!(frame.kind, PacketType::Subscribe | PacketType::Unsubscribe);
            let place = match frame.kind {
                PacketType::Publish if frame.flags & 0b110 != 0 => {
                    let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    Some(2 + topic_bytes)
                }
                PacketType::Publish => None,
                _ if is_request || frame.kind == PacketType::PubRel => Some(0),
                _ => None,
            };
            let (packet, others) = rest.split_at_mut(len);
            if let Some(place) = place.map(|place| head + place) {
                let own = u16::from_be_bytes([packet[place], packet[place + 1]]);
                packet[place..place + 2].copy_from_slice(&self.take(own, is_request).to_be_bytes());
            }
            rest = others;
        }
    }

    /// Gives the machine its own identifiers back, in a packet from the server.
    pub(super) fn raise(&mut self, kind: PacketType, body: &mut [u8]) {
        let ends = match kind {
            PacketType::PubAck | PacketType::PubComp | PacketType::SubAck | PacketType::UnsubAck => true,
            PacketType::PubRec => body.get(2).is_some_and(|code| *code >= 0x80),
            _ => return,
        };
        let [high, low, ..] = body else { return };
        let lower = u16::from_be_bytes([*high, *low]);
        let slot = self.slots.get_mut(usize::from(lower).wrapping_sub(1));
        let own = slot.as_ref().and_then(|slot| **slot).map_or(MADE_UP + lower % 1_000, |(own, _)| own);
        if let Some(slot) = slot.filter(|_| ends) {
            *slot = None;
        }
        [*high, *low] = own.to_be_bytes();
    }

    fn take(&mut self, own: u16, is_request: bool) -> u16 {
        let known = self.slots.iter().position(|slot| slot.is_some_and(|(one, _)| one == own));
        let at = known.or_else(|| self.slots.iter().position(Option::is_none)).unwrap_or(self.slots.len());
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some((own, is_request));
        u16::try_from(at + 1).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_identifier_that_is_free_is_taken() {
        let mut ids = Ids::default();
        let mut publish = *b"\x34\x07\0\x01t\x12\x34hi\x62\x02\x12\x34";
        ids.lower(&mut publish);
        assert_eq!(&publish, b"\x34\x07\0\x01t\0\x01hi\x62\x02\0\x01");
        let mut subscribe = *b"\x82\x06\xff\xff\0\x01t\0";
        ids.lower(&mut subscribe);
        assert_eq!(subscribe[2..4], [0, 2]);
        let mut pubrec = [0, 1];
        ids.raise(PacketType::PubRec, &mut pubrec);
        assert_eq!(pubrec, [0x12, 0x34]);
        ids.raise(PacketType::PubComp, &mut [0, 1]);
        let mut again = *b"\x32\x05\0\x01t\x12\x35";
        ids.lower(&mut again);
        assert_eq!(again[5..], [0, 1]);
    }
}
