//! One sequence over TCP: sends, waits for events with deadlines, and says the first thing that is not as expected. Not
//! whether that is right.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::packet::{essence, name, split};
use super::sequence::{Sequence, Step};

/// How long a broker may take for an answer, or for an end.
const DEADLINE: Duration = Duration::from_secs(2);

const PINGREQ: &[u8] = &[0xc0, 0];
const PINGRESP: &[u8] = &[0xd0, 0];

/// One connection.
struct Client {
    stream: TcpStream,
    level: u8,
    input: Vec<u8>,
}

/// What came.
enum Came {
    Packet(Vec<u8>),
    End,
    Nothing,
}

/// Runs a sequence; what differs is said in a few words that are the same for the same difference.
pub(super) fn run(sequence: &Sequence, address: SocketAddr) -> Result<(), String> {
    let mut client = Client::open(address, sequence.level)?;
    if sequence.connects {
        client.connect(&sequence.name)?;
    }
    // What is expected without a step between may come in any order: no statement orders what goes to a client for
    // what it sent, and what goes to it for what others did.
    let mut expected: Vec<&[u8]> = Vec::new();
    for step in &sequence.steps {
        if let Step::Expect(bytes) = step {
            let mut rest = bytes.as_slice();
            while let Some((packet, after)) = split(rest) {
                expected.push(packet);
                rest = after;
            }
            continue;
        }
        client.expect(&mut expected)?;
        match step {
            Step::Send(bytes) => client.send(bytes),
            Step::Publish { topic, payload, qos, retain } => publish(address, topic, payload, *qos, *retain)?,
            Step::Expect(_) => {}
        }
    }
    client.expect(&mut expected)?;
    if sequence.is_ended {
        return match client.next() {
            Came::End => Ok(()),
            Came::Nothing => Err("stays connected instead of closed".to_owned()),
            Came::Packet(packet) => Err(format!("{} instead of closed", client.then(&packet))),
        };
    }
    client.send(PINGREQ);
    client.expect(&mut vec![PINGRESP])
}

impl Client {
    fn open(address: SocketAddr, level: u8) -> Result<Client, String> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .map_err(|error| format!("no connection: {error}"))?;
        let timed = stream.set_read_timeout(Some(DEADLINE)).and_then(|()| stream.set_nodelay(true));
        timed.map_err(|error| format!("no connection: {error}"))?;
        Ok(Client { stream, level, input: Vec::new() })
    }

    fn connect(&mut self, client_id: &str) -> Result<(), String> {
        let protocol: &[u8] = if self.level == 3 { b"\0\x06MQIsdp" } else { b"\0\x04MQTT" };
        let properties: &[u8] = if self.level == 5 { &[3, 0x21, 0, 20] } else { &[] };
        let mut body = [protocol, &[self.level, 2, 0, 60], properties].concat();
        // 3.1 recommends identifiers of at most 23 characters.
        let client_id = if self.level == 3 { "sequence" } else { client_id };
        put_string(client_id, &mut body);
        self.send(&packet(0x10, &body));
        let accepted: &[u8] = if self.level == 5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
        self.expect(&mut vec![accepted])
    }

    /// What a broker that has closed would not take is not missed: the next wait says what happened.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Waits until all of these have come, and takes them out.
    fn expect(&mut self, expected: &mut Vec<&[u8]>) -> Result<(), String> {
        while let Some(first) = expected.first() {
            let wanted = name(first, self.level);
            let packet = match self.next() {
                Came::Packet(packet) => packet,
                Came::End => return Err(format!("closed instead of {wanted}")),
                Came::Nothing => return Err(format!("nothing instead of {wanted}")),
            };
            let said = essence(&packet, self.level);
            match expected.iter().position(|one| essence(one, self.level) == said) {
                Some(place) => _ = expected.remove(place),
                None if name(&packet, self.level) == wanted => return Err(format!("another {wanted}")),
                None => return Err(format!("{} instead of {wanted}", self.then(&packet))),
            }
        }
        Ok(())
    }

    /// A packet, and what becomes of the connection after it.
    fn then(&mut self, packet: &[u8]) -> String {
        let name = name(packet, self.level);
        match self.next() {
            Came::End => format!("{name} and closed"),
            Came::Packet(_) | Came::Nothing => name,
        }
    }

    fn next(&mut self) -> Came {
        let mut buffer = [0; 4_096];
        loop {
            if let Some((packet, rest)) = split(&self.input) {
                let (packet, rest) = (packet.to_vec(), rest.to_vec());
                self.input = rest;
                return Came::Packet(packet);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Came::End,
                Ok(len) => self.input.extend_from_slice(buffer.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Came::Nothing;
                }
                Err(_) => return Came::End,
            }
        }
    }
}

/// A client of 3.1.1 that comes, publishes and goes.
fn publish(address: SocketAddr, topic: &str, payload: &str, qos: u8, retain: bool) -> Result<(), String> {
    let mut client = Client::open(address, 4)?;
    client.connect("helper")?;
    let mut body = Vec::new();
    put_string(topic, &mut body);
    if qos > 0 {
        body.extend_from_slice(&[0, 1]);
    }
    body.extend_from_slice(payload.as_bytes());
    client.send(&packet(0x30 | qos << 1 | u8::from(retain), &body));
    match qos {
        // The answer to the ping says that the broker has read what came before.
        0 => {
            client.send(PINGREQ);
            client.expect(&mut vec![PINGRESP])
        }
        1 => client.expect(&mut vec![&[0x40, 2, 0, 1]]),
        _ => {
            client.expect(&mut vec![&[0x50, 2, 0, 1]])?;
            client.send(&[0x62, 2, 0, 1]);
            client.expect(&mut vec![&[0x70, 2, 0, 1]])
        }
    }
}

/// A packet of fewer than 16,384 bytes.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let [low, high, ..] = body.len().to_le_bytes();
    let long = [low | 0x80, high << 1 | low >> 7];
    let length: &[u8] = if body.len() < 128 { &[low] } else { &long };
    [&[first], length, body].concat()
}

fn put_string(text: &str, body: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&len.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_tells_its_length() {
        assert_eq!(packet(0xc0, &[]), [0xc0, 0]);
        for len in [1, 127, 128, 255, 256, 16_383] {
            let bytes = packet(0x30, &vec![7; len]);
            assert_eq!(
                split(&bytes).map(|(packet, rest)| (packet.len(), rest.len())),
                Some((bytes.len(), 0))
            );
        }
    }
}
