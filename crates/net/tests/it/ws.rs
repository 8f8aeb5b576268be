//! WebSocket on a real socket, our two sides with each other and each with bytes by hand.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use whimbrel_net::{
    Address, DialError, Dialler, Networks, Stream,
    ws::{Origins, UpgradeRules, accept},
};

const WITHIN: Duration = Duration::from_secs(20);

/// An upgrade by hand.
const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

fn rules() -> UpgradeRules {
    UpgradeRules {
        path: "/mqtt".to_owned(),
        origins: Origins::SameHost,
        head_bytes_max: 1_000,
        proxies: Networks::default(),
    }
}

/// Both ends of a WebSocket.
async fn pair() -> (Stream, Stream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address: Address = format!("ws://127.0.0.1:{port}").parse().unwrap();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept(Stream::Tcp(stream), &rules(), None).await.unwrap().stream
    };
    let mut dialler = Dialler::new(None);
    let (server, client) = tokio::join!(accepting, dialler.dial(&address, WITHIN));
    (server, client.unwrap())
}

/// Our server's end, and the other as bytes; the head of the answer has been read.
async fn by_hand() -> (Stream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let server = accept(Stream::Tcp(stream), &rules(), None).await.unwrap().stream;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    (server, client)
}

/// A frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn what_goes_in_at_one_end_comes_out_at_the_other_in_both_directions_at_once() {
    let (server, client) = pair().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let send = |stream: Stream| {
        let bytes = bytes.clone();
        async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let writing = async {
                let mut rest = bytes.as_slice();
                for size in [1, 125, 126, 65_535, 65_536, 70_000].into_iter().cycle() {
                    let (part, after) = rest.split_at(rest.len().min(size));
                    writer.write_all(part).await.unwrap();
                    rest = after;
                    if rest.is_empty() {
                        break;
                    }
                }
                writer.flush().await.unwrap();
            };
            let reading = async {
                let mut got = vec![0; bytes.len()];
                reader.read_exact(&mut got).await.unwrap();
                assert!(got == bytes);
            };
            tokio::join!(writing, reading);
        }
    };
    tokio::time::timeout(WITHIN, async { tokio::join!(send(server), send(client)) }).await.unwrap();
}

#[tokio::test]
async fn who_closes_says_so_and_hears_it() {
    let (mut server, mut client) = pair().await;
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"last");
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_ping_between_two_parts_is_answered_by_who_only_reads() {
    let (mut server, mut client) = by_hand().await;
    let bytes = [frame(0x02, b"he"), frame(0x89, b"there?"), frame(0x80, b"re")].concat();
    client.write_all(&bytes).await.unwrap();
    let mut got = [0; 4];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"here");
    let mut pong = [0; 8];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x06there?");
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_is_owed_one_answer() {
    let (mut server, mut client) = by_hand().await;
    let flood = tokio::spawn(async move {
        let pings = frame(0x89, &[7; 125]).repeat(1_000);
        for _ in 0..40 {
            client.write_all(&pings).await.unwrap();
        }
        client.write_all(&frame(0x82, b"end")).await.unwrap();
        client
    });
    let (mut got, mut server) = ([0; 3], tokio::io::BufReader::new(&mut server));
    tokio::time::timeout(WITHIN, server.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(&got, b"end", "5 MB of pings cost no more than their reading");
    drop(flood.await.unwrap());
}

#[tokio::test]
async fn frames_without_data_let_others_run_between_reads() {
    const FLOOD_BYTES: usize = 60 << 10;
    let cases = [
        (frame(0x8a, b""), &b""[..]),
        (frame(0x89, &[7; 125]), &b""[..]),
        (frame(0x02, b""), &[0x00, 0x80, 0, 0, 0, 0]),
    ];
    for (first, then) in cases {
        let (mut server, mut client) = by_hand().await;
        let (unit, last) = if then.is_empty() { (first.as_slice(), 0x82) } else { (then, 0x80) };
        let flood = [&first, unit.repeat(FLOOD_BYTES / unit.len()).as_slice(), &frame(last, b"end")].concat();
        client.write_all(&flood).await.unwrap();
        // The flood lies there whole, so that nothing but the limit ends a turn.
        server.tcp().unwrap().readable().await.unwrap();
        let (mut got, mut turns) = ([0; 1_024], 0);
        let count = {
            let mut reading = pin!(server.read(&mut got));
            let counted = poll_fn(|context| {
                turns += 1;
                reading.as_mut().poll(context)
            });
            tokio::time::timeout(WITHIN, counted).await.unwrap().unwrap()
        };
        assert_eq!(&got[..count], b"end");
        assert!(turns >= 15, "60 reads in {turns} turns ({:02x?})", &flood[..2]);
    }
}

#[tokio::test]
async fn each_end_comes_with_its_close_code() {
    let check = async |sent: &[u8], data: &[u8], expect: &[u8]| {
        let (mut server, mut client) = by_hand().await;
        client.write_all(sent).await.unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, data, "{sent:02x?}");
        server.shutdown().await.unwrap();
        let mut answer = vec![0; expect.len()];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, expect, "{sent:02x?}");
    };
    check(&frame(0x88, &[0x03, 0xe9, b'x']), b"", &[0x88, 2, 0x03, 0xe9]).await;
    check(&frame(0x88, b""), b"", &[0x88, 0]).await;
    check(&[frame(0x82, b"data"), frame(0x81, b"text")].concat(), b"data", &[0x88, 2, 0x03, 0xeb]).await;
    check(&[0x82, 0x01, b'x'], b"", &[0x88, 2, 0x03, 0xea]).await;
}

#[tokio::test]
async fn a_request_that_is_refused_is_answered_with_the_reason() {
    let check = async |request: &str, part: &str| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let reading = async {
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let rules = rules();
        let (refused, answer) = tokio::join!(accept(Stream::Tcp(stream), &rules, None), reading);
        assert!(refused.is_err() && answer.contains(part), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    };
    check(&REQUEST.replace("GET /mqtt", "GET /else"), "404 Not Found").await;
    check(&format!("{REQUEST}GET /admin HTTP/1.1\r\n\r\n"), "400 Bad Request").await;
    check(&REQUEST.replace("\r\n", "\n"), "400 Bad Request").await;
    check("GET /mqtt HTTP/1.1\n", "400 Bad Request").await;
    check(&format!("{REQUEST}\x02"), "follows the request").await;
    check(&REQUEST.replace("Host: h", "Host: h\r\nTransfer-Encoding: chunked"), "400 Bad Request").await;
    let long = format!("Host: h\r\nCookie: {}", "x".repeat(1_000));
    check(&REQUEST.replace("Host: h", &long), "431 Request Header").await;
    check(&"x".repeat(5_000), "431 Request Header").await;
}

#[tokio::test]
async fn a_server_that_is_none_is_told_as_such() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address: Address = format!("ws://{}/x", listener.local_addr().unwrap()).parse().unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 2_048];
        let count = stream.read(&mut asked).await.unwrap();
        assert!(asked[..count].starts_with(b"GET /x HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    };
    let mut dialler = Dialler::new(None);
    let (dialled, ()) = tokio::join!(dialler.dial(&address, WITHIN), answering);
    let error = dialled.unwrap_err();
    assert!(matches!(error, DialError::WebSocket { .. }), "{error:?}");
    assert!(error.to_string().contains("answered `200 OK`"), "{error}");
}
