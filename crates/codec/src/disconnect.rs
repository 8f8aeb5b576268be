//! DISCONNECT: the last packet of a connection. Not what it does to the session or the will.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketType, Peer, ReasonCode, Sink, Version};

/// DISCONNECT: disconnect notification.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; before 5.0 always a normal disconnection, told by an empty packet.
    pub reason: ReasonCode,
    /// Session Expiry Interval in seconds; from a client only.
    pub session_expiry_secs: Option<u32>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// Server Reference.
    pub server_reference: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

impl<'a> Disconnect<'a> {
    /// Reads a frame of this type.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Disconnect<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        let mut disconnect = Disconnect::default();
        if version.has_properties() && !body.is_empty() {
            disconnect.reason = ReasonCode::read(body.u8()?, PacketType::Disconnect, from)?;
            if !body.is_empty() {
                disconnect.read_properties(body.block()?, from)?;
            }
        }
        body.end()?;
        Ok(disconnect)
    }

    fn read_properties(&mut self, block: Reader<'a>, from: Peer) -> Result<(), Malformed> {
        let Disconnect { session_expiry_secs, reason_string, server_reference, .. } = self;
        self.user_properties = read_block(block, |property| {
            let id = property.id();
            match property {
                // [MQTT-3.14.2-2]
                Property::SessionExpiryInterval(_) if from == Peer::Server => {
                    Err(Malformed::SessionExpiryFromServer)
                }
                Property::SessionExpiryInterval(secs) => once(session_expiry_secs, secs, id),
                Property::ReasonString(string) => once(reason_string, string, id),
                Property::ServerReference(string) => once(server_reference, string, id),
                other => other.refuse(),
            }
        })?;
        Ok(())
    }

    /// The size of the whole packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        frame_len(self, version)
    }

    /// Writes the whole packet. What can be left out is; before 5.0 that is everything.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::Disconnect, self, version, out);
    }
}

impl Body for Disconnect<'_> {
    fn put_body(&self, version: Version, out: &mut impl Sink) {
        if !version.has_properties() {
            return;
        }
        let has_properties = self.block_len() > 0;
        if has_properties || self.reason != ReasonCode::NORMAL_DISCONNECTION {
            out.put_u8(self.reason as u8);
        }
        if has_properties {
            self.put_counted(out);
        }
    }
}

impl Block for Disconnect<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.session_expiry_secs, Property::SessionExpiryInterval, out);
        put_if(self.reason_string, Property::ReasonString, out);
        put_if(self.server_reference, Property::ServerReference, out);
        self.user_properties.put_block(out);
    }
}
