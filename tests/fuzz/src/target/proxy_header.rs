//! The header of the PROXY protocol: no panic, not a byte behind it is taken, in pieces of any size the same, its length is
//! bounded, and a client that it names is the one that another writer's header of it names.

use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, ReadBuf};
use whimbrel_net::{Proxied, read_proxied};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes that come in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (piece, rest) = self.rest.split_at(self.piece.min(buffer.remaining()).min(self.rest.len()));
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// The size of the pieces, and what comes on the connection.
pub(super) fn proxy_header(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let (read, taken) = read(bytes, usize::MAX);
    assert_eq!(self::read(bytes, usize::from(*piece).max(1)), (read.clone(), taken));
    let is_binary = bytes.starts_with(SIGNATURE);
    assert!(taken <= if is_binary { 16 + 4_096 } else { 107 }, "{taken} bytes were taken");
    match read {
        Ok(None) => assert!(bytes.is_empty()),
        Ok(Some(proxied)) => {
            let header = &bytes[..taken];
            let expect = if is_binary {
                16 + usize::from(header[14]) * 256 + usize::from(header[15])
            } else {
                header.windows(2).position(|pair| pair == b"\r\n").expect("a line that ends") + 2
            };
            assert_eq!(taken, expect, "{}", header.escape_ascii());
            // What follows changes nothing, and nothing is needed of it.
            assert_eq!(self::read(header, 1), (Ok(Some(proxied.clone())), taken));
            again(&proxied);
        }
        Err(_) => {}
    }
}

/// What came of it, and how many bytes were taken.
fn read(bytes: &[u8], piece: usize) -> (Result<Option<Proxied>, String>, usize) {
    let mut pieces = Pieces { rest: bytes, piece };
    let polled = pin!(read_proxied(&mut pieces)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(read) = polled else { panic!("it waits for bytes that are there") };
    (read.map_err(|error| error.to_string()), bytes.len() - pieces.rest.len())
}

/// The same client in a header of our own.
fn again(proxied: &Proxied) {
    let Some(client) = proxied.client else { return };
    let (family, local) = if client.is_ipv4() { ("TCP4", "127.0.0.1") } else { ("TCP6", "::1") };
    let line = format!("PROXY {family} {} {local} {} 1883\r\n", client.ip(), client.port());
    let plain = Proxied { client: Some(client), common_name: None };
    assert_eq!(read(line.as_bytes(), 1).0, Ok(Some(plain.clone())), "{line}");
    let body = match client.ip() {
        IpAddr::V4(address) => [&address.octets()[..], &[0; 4]].concat(),
        IpAddr::V6(address) => [&address.octets()[..], &[0; 16]].concat(),
    };
    let body = [&body, &client.port().to_be_bytes()[..], &[0; 2]].concat();
    let family = if client.is_ipv4() { 0x11 } else { 0x21 };
    let header = [SIGNATURE, &[0x21, family, 0, body.len() as u8][..], &body].concat();
    assert_eq!(read(&header, 5).0, Ok(Some(plain)), "{client}");
}
