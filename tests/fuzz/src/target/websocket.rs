//! WebSocket as a listener speaks it, over a real socket: frames against a reader of frames written for this alone, and
//! requests against one that reads them as leniently as any proxy might. Nothing panics, in pieces of any size the same.

use std::{
    cell::RefCell,
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown},
    os::unix::net::UnixStream,
};

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};
use whimbrel_net::{
    Networks, Stream,
    ws::{self, Origins, UpgradeRules},
};

/// The longest head that the rules of these targets take.
const HEAD_BYTES_MAX: usize = 2_048;

const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime"),
    );
}

fn rules(choice: u8) -> UpgradeRules {
    let origins = match choice & 3 {
        0 | 1 => Origins::SameHost,
        2 => Origins::Any,
        _ => Origins::Listed(vec!["https://app.example".to_owned(), "null".to_owned()]),
    };
    let proxies = ["127.0.0.1", "10.0.0.0/8"].iter().filter(|_| choice & 4 == 4);
    let proxies: Networks = proxies.map(|text| text.parse().expect("a network")).collect();
    UpgradeRules { path: "/mqtt".to_owned(), origins, head_bytes_max: HEAD_BYTES_MAX, proxies }
}

/// Both ends of a connection: the peer's, and the listener's.
fn pair() -> (UnixStream, UnixStream) {
    let (peer, listener) = UnixStream::pair().expect("two sockets");
    listener.set_nonblocking(true).expect("a socket that does not block");
    (peer, listener)
}

/// The size of the reads, and the frames of a client.
pub(super) fn frames(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let paper = Paper::of(bytes);
    for size in [usize::from(*size).max(1), 8_192] {
        let (mut peer, listener) = pair();
        peer.write_all(REQUEST).expect("room in the socket");
        let data = RUNTIME.with_borrow(|runtime| {
            runtime.block_on(async {
                let listener = tokio::net::UnixStream::from_std(listener).expect("a socket");
                let accepted = ws::accept(Stream::Unix(listener), &rules(0), None).await;
                let mut stream = accepted.expect("a request by the letter").stream;
                peer.write_all(bytes).expect("room in the socket");
                peer.shutdown(Shutdown::Write).expect("the end");
                let (mut data, mut part) = (Vec::new(), vec![0; size]);
                loop {
                    match stream.read(&mut part).await.expect("a read") {
                        0 => break,
                        count => data.extend_from_slice(&part[..count]),
                    }
                }
                stream.shutdown().await.expect("the end");
                data
            })
        });
        assert_eq!(data, paper.data, "in reads of {size} bytes");
        let mut heard = Vec::new();
        // What was not read when the listener went comes back as an error, behind all that it said.
        let _ = peer.read_to_end(&mut heard);
        let at = heard.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer") + 4;
        paper.judge(&heard[at..]);
    }
}

/// What frames say, by the letter of RFC 6455 and nothing else.
#[derive(Default)]
struct Paper {
    data: Vec<u8>,
    pings: Vec<Vec<u8>>,
    /// The code with which the listener closes, if it says one.
    code: Option<u16>,
}

impl Paper {
    fn of(bytes: &[u8]) -> Paper {
        let mut paper = Paper::default();
        let mut rest = bytes;
        let mut in_message = false;
        paper.code = loop {
            match paper.frame(&mut rest, &mut in_message) {
                None => break Some(1000),
                Some(Ok(())) => {}
                Some(Err(code)) => break code,
            }
        };
        paper
    }

    /// One frame: nothing where its end has not come, an error with the code of the end.
    fn frame(&mut self, rest: &mut &[u8], in_message: &mut bool) -> Option<Result<(), Option<u16>>> {
        const FAULT: Option<Result<(), Option<u16>>> = Some(Err(Some(1002)));
        let (first, opcode) = (*rest.first()?, rest.first()? & 15);
        let (is_last, is_control) = (first & 0x80 != 0, opcode >= 8);
        let is_known = matches!(opcode, 0..=2 | 8..=10);
        if first & 0x70 != 0 || !is_known || (is_control && !is_last) {
            return FAULT;
        }
        if !is_control && *in_message != (opcode == 0) {
            return FAULT;
        }
        if opcode == 1 {
            return Some(Err(Some(1003)));
        }
        let (is_masked, short) = (rest.get(1)? & 0x80 != 0, rest.get(1)? & 0x7f);
        if !is_masked || (is_control && short > 125) {
            return FAULT;
        }
        let (mask_at, length) = match short {
            126 => (4, u64::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let mask = rest.get(mask_at..mask_at + 4)?;
        let least = [0, 126, 65_536][usize::from(short.saturating_sub(125))];
        if length < least || length > i64::MAX as u64 {
            return FAULT;
        }
        let payload = &rest[mask_at + 4..];
        let there = usize::try_from(length).unwrap_or(usize::MAX).min(payload.len());
        let is_whole = there as u64 == length;
        let plain: Vec<u8> =
            payload[..there].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        *rest = &payload[there..];
        if !is_control {
            self.data.extend(plain);
            *in_message = !is_last;
            return is_whole.then_some(Ok(()));
        }
        if !is_whole {
            return None;
        }
        match opcode {
            8 => return Some(Err(close(&plain))),
            9 => self.pings.push(plain),
            _ => {}
        }
        Some(Ok(()))
    }

    /// What the listener has sent: an answer to the last Ping and to no other than were sent, in their order, and Close.
    fn judge(&self, mut heard: &[u8]) {
        let (mut pongs, mut end) = (Vec::new(), None);
        while let [first, length, rest @ ..] = heard {
            assert!(end.is_none(), "something behind Close: {heard:02x?}");
            assert!(*length <= 125, "a control frame: {heard:02x?}");
            let (payload, behind) = rest.split_at(usize::from(*length));
            match first {
                0x8a => pongs.push(payload.to_vec()),
                0x88 => end = Some(payload.to_vec()),
                _ => panic!("nothing else is said: {heard:02x?}"),
            }
            heard = behind;
        }
        let code = self.code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
        assert_eq!(end, Some(code));
        assert_eq!(pongs.last(), self.pings.last());
        let mut pings = self.pings.iter();
        assert!(pongs.iter().all(|pong| pings.any(|ping| ping == pong)), "{pongs:?} to {:?}", self.pings);
    }
}

/// The code with which a Close is answered.
fn close(payload: &[u8]) -> Option<u16> {
    match payload {
        [] => None,
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            match code {
                1000..=1003 | 1007..=1014 | 3000..=4999 if str::from_utf8(reason).is_ok() => Some(code),
                1000..=1003 | 1007..=1014 | 3000..=4999 => Some(1007),
                _ => Some(1002),
            }
        }
        [_] => Some(1002),
    }
}

/// Rules, and what a client sends before it knows whether it is heard.
pub(super) fn request(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let proxy: IpAddr = [127, 0, 0, 1].into();
    let (mut peer, listener) = pair();
    peer.write_all(bytes).expect("room in the socket");
    peer.shutdown(Shutdown::Write).expect("the end");
    let accepted = RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let listener = tokio::net::UnixStream::from_std(listener).expect("a socket");
            ws::accept(Stream::Unix(listener), &rules(*choice), Some(proxy)).await
        })
    });
    let client = accepted.as_ref().ok().and_then(|accepted| accepted.client);
    let is_granted = accepted.is_ok();
    drop(accepted);
    let mut heard = Vec::new();
    let _ = peer.read_to_end(&mut heard);
    let heard = String::from_utf8(heard).expect("an answer is text");
    if !is_granted {
        refused(&heard);
        return;
    }
    assert!(client.is_none() || choice & 4 == 4, "{client:?} was named by whom nobody believes");
    granted(bytes, &heard);
}

/// Nothing, where the request did not come whole; else one answer, whole, after which the connection ends.
fn refused(heard: &str) {
    if heard.is_empty() {
        return;
    }
    let (head, body) = heard.split_once("\r\n\r\n").expect("a head");
    let status = head.strip_prefix("HTTP/1.1 ").expect("a status");
    assert!(status.starts_with('4') || status.starts_with("505 "), "{heard}");
    assert!(head.contains("\r\nConnection: close\r\n"), "{heard}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    assert_eq!(length.parse(), Ok(body.len()), "{heard}");
}

/// Whoever reads the request by looser rules finds in it the same one request, and nothing behind it.
fn granted(bytes: &[u8], heard: &str) {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("the end of a head") + 4;
    assert_eq!(end, bytes.len(), "bytes behind: {}", bytes.escape_ascii());
    assert!(end <= HEAD_BYTES_MAX);
    let head = str::from_utf8(&bytes[..end]).expect("a head is text");
    let fields = loosely(head);
    let all = |name: &str| {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(all("transfer-encoding"), [""; 0], "{head}");
    assert!(matches!(all("content-length")[..], [] | ["0"]), "{head}");
    assert_eq!(all("host").len(), 1, "{head}");
    assert!(all("upgrade").join(",").to_lowercase().contains("websocket"), "{head}");
    assert!(all("connection").join(",").to_lowercase().contains("upgrade"), "{head}");
    assert_eq!(all("sec-websocket-version"), ["13"], "{head}");
    let [key] = all("sec-websocket-key")[..] else { panic!("one key: {head}") };
    let sum = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let protocols = all("sec-websocket-protocol").join(",");
    let protocol =
        ["mqtt", "mqttv3.1"].into_iter().find(|known| protocols.split(',').any(|one| one.trim() == *known));
    let protocol = protocol.expect("one that is spoken");
    let expect = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n",
        Base64::encode_string(&sum)
    );
    assert_eq!(heard, expect, "{head}");
}

/// The fields of a head for a reader that takes either half of a line end for one, spaces where none belong, and lines that
/// go on in the next.
fn loosely(head: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split(['\r', '\n']).skip(1).filter(|line| !line.is_empty()) {
        let goes_on = line.starts_with([' ', '\t']);
        match (fields.last_mut(), line.split_once(':')) {
            (Some((_, value)), _) if goes_on => value.push_str(line),
            (_, Some((name, value))) => fields.push((name.trim().to_lowercase(), value.trim().to_owned())),
            (_, None) => fields.push((line.trim().to_lowercase(), String::new())),
        }
    }
    fields
}
