//! The client's side of a WebSocket without a connection: bytes in, bytes out. Not who moves them.

use std::io;

use super::{
    ask::Ask,
    frame::{Decoder, End, Opcode, apply_mask, put_head},
    handshake::ANSWER_BYTES_MAX,
    head,
    mask::Masks,
};

/// A WebSocket whose bytes somebody else moves.
pub(crate) struct Wrap {
    state: State,
    masks: Masks,
    /// The payload of a Ping that has not been answered.
    ping: Option<Box<[u8]>>,
}

enum State {
    /// What is asked has not been sent.
    New(Ask),
    /// The head of the answer, as far as it has come.
    Asked(Ask, Vec<u8>),
    Open(Decoder),
    Over,
}

impl Wrap {
    pub(crate) fn new(host: &str, path: &str) -> io::Result<Wrap> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Wrap { state: State::New(Ask::new(host, path, key)), masks: Masks::default(), ping: None })
    }

    /// Puts what is to be sent now; `plain` is taken once the server has agreed.
    pub(crate) fn seal(&mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        if let State::New(ask) = &mut self.state {
            out.extend_from_slice(ask.request.as_bytes());
            let ask = Ask { key: std::mem::take(&mut ask.key), request: String::new() };
            self.state = State::Asked(ask, Vec::new());
        }
        if let State::Open(_) = self.state {
            if let Some(payload) = self.ping.take() {
                self.put(Opcode::Pong, &payload, out)?;
            }
            if !plain.is_empty() {
                self.put(Opcode::Binary, plain, out)?; // [MQTT-6.0.0-1]
                plain.clear();
            }
        }
        Ok(())
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.state {
            State::Open(_) => self.put(Opcode::Close, &[], out),
            _ => Ok(()),
        }
    }

    fn put(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mask = self.masks.next()?;
        put_head(out, opcode, payload.len() as u64, Some(mask));
        let from = out.len();
        out.extend_from_slice(payload);
        if let Some(payload) = out.get_mut(from..) {
            apply_mask(payload, mask, 0);
        }
        Ok(())
    }

    /// Takes what has come, and puts what was inside. Whether the server has closed.
    pub(crate) fn open(&mut self, mut bytes: Vec<u8>, plain: &mut Vec<u8>) -> io::Result<bool> {
        if let State::Asked(ask, head) = &mut self.state {
            head.append(&mut bytes);
            let Some(end) = head::length(head) else {
                let too_much = head.len() > ANSWER_BYTES_MAX;
                return if too_much { Err(refused("the head of the answer is too long")) } else { Ok(false) };
            };
            bytes = head.split_off(end);
            ask.judge(head, &bytes).map_err(refused)?;
            self.state = State::Open(Decoder::new(false));
        }
        let State::Open(decoder) = &mut self.state else { return Ok(true) };
        let decoded = decoder.decode(&mut bytes);
        plain.extend_from_slice(bytes.get(..decoded.data).unwrap_or_default());
        self.ping = decoded.ping.or(self.ping.take());
        match decoded.end {
            None => Ok(false),
            Some(End::Closed(_)) => {
                self.state = State::Over;
                Ok(true)
            }
            Some(End::Fault(code)) => {
                Err(refused(format!("the server breaks the rules of WebSocket ({})", code.0)))
            }
        }
    }
}

fn refused(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
