//! AUTH: one step of an extended authentication. Not the methods.

use crate::body::{Block, Body, frame_len, put_frame};
use crate::properties::{Property, UserProperties, once, put_if, read_block};
use crate::reader::Reader;
use crate::{Frame, Malformed, PacketType, Peer, ReasonCode, Sink, Version};

/// AUTH: authentication exchange; 5.0 only.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, continue, or re-authenticate.
    pub reason: ReasonCode,
    /// Authentication Method. Absent only from the packet that says nothing but success.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data.
    pub authentication_data: Option<&'a [u8]>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user_properties: UserProperties<'a>,
}

impl<'a> Auth<'a> {
    /// Reads a frame of this type.
    ///
    /// # Errors
    ///
    /// Whatever in the frame violates the specification.
    pub fn decode(frame: Frame<'a>, version: Version, from: Peer) -> Result<Auth<'a>, Malformed> {
        frame.check(version, from)?;
        let mut body = Reader::new(frame.body);
        // Section 3.15.2.1 lets a remaining length of 0 stand for success without properties.
        let code = if body.is_empty() { ReasonCode::Success as u8 } else { body.u8()? };
        let mut auth = Auth { reason: ReasonCode::read(code, PacketType::Auth, from)?, ..Auth::default() };
        if frame.body.is_empty() {
            return Ok(auth);
        }
        if !body.is_empty() {
            auth.read_properties(body.block()?)?;
        }
        body.end()?;
        if auth.authentication_method.is_none() {
            return Err(Malformed::AuthenticationMethodMissing(PacketType::Auth));
        }
        Ok(auth)
    }

    fn read_properties(&mut self, block: Reader<'a>) -> Result<(), Malformed> {
        let Auth { authentication_method, authentication_data, reason_string, .. } = self;
        self.user_properties = read_block(block, |property| {
            let id = property.id();
            match property {
                Property::AuthenticationMethod(method) => once(authentication_method, method, id),
                Property::AuthenticationData(data) => once(authentication_data, data, id),
                Property::ReasonString(string) => once(reason_string, string, id),
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

    /// Writes the whole packet. Success without properties is a packet without a body.
    pub fn encode(&self, version: Version, out: &mut impl Sink) {
        put_frame(PacketType::Auth, self, version, out);
    }
}

impl Body for Auth<'_> {
    fn put_body(&self, _version: Version, out: &mut impl Sink) {
        if self.reason == ReasonCode::Success && self.block_len() == 0 {
            return;
        }
        out.put_u8(self.reason as u8);
        self.put_counted(out);
    }
}

impl Block for Auth<'_> {
    fn put_block(&self, out: &mut impl Sink) {
        put_if(self.authentication_method, Property::AuthenticationMethod, out);
        put_if(self.authentication_data, Property::AuthenticationData, out);
        put_if(self.reason_string, Property::ReasonString, out);
        self.user_properties.put_block(out);
    }
}
