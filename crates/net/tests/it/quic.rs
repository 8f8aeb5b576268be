//! QUIC between the two sides of this crate: the stream, its end, who is refused, and a client that changes its address.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};
use whimbrel_net::{
    Address, Dialler, IpVersions, Scheme, Stream, listen_udp,
    quic::{QuicListener, RECEIVE_BUFFER_BYTES},
    tls::{Acceptor, AcceptorSettings, ClientCa, ClientCertificates, Connector, ConnectorSettings},
};

use super::tls::{LONG, Site, acceptor};

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A listener, and what has become of each that came to it.
async fn listen(
    settings: AcceptorSettings,
) -> (SocketAddr, mpsc::UnboundedReceiver<Result<Stream, io::Error>>) {
    let acceptor = Arc::new(Acceptor::open(settings).unwrap());
    let socket = listen_udp(loopback(), IpVersions::Both, RECEIVE_BUFFER_BYTES).unwrap();
    let at = socket.local_addr().unwrap();
    let listener = QuicListener::new(socket, &acceptor).unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(arrival) = listener.accept(false).await {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move { sender.send(arrival.accept(&acceptor).await) });
        }
    });
    (at, receiver)
}

async fn dial(settings: &ConnectorSettings, at: SocketAddr) -> Result<Stream, String> {
    let settings = ConnectorSettings { alpn: vec![b"test".to_vec()], ..settings.clone() };
    dial_as(&settings, at).await
}

async fn dial_as(settings: &ConnectorSettings, at: SocketAddr) -> Result<Stream, String> {
    let mut dialler = Dialler::new(Some(Connector::new(settings).unwrap()));
    let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Quic);
    let dialled = timeout(LONG, dialler.dial(&address, LONG)).await.expect("an answer in time");
    let mut stream = dialled.map_err(|error| error.to_string())?;
    // The other end learns of the stream by what comes in it.
    stream.write_all(b"hello").await.map_err(|error| error.to_string())?;
    Ok(stream)
}

async fn read(stream: &mut Stream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(LONG, stream.read_exact(&mut bytes)).await.expect("bytes in time").unwrap();
    bytes
}

#[tokio::test]
async fn what_is_written_before_the_end_arrives_and_then_the_end() {
    let site = Site::new();
    let (at, mut came) = listen(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let mut client = dial(&site.settings(), at).await.unwrap();
    let mut server = came.recv().await.unwrap().unwrap();
    assert_eq!(read(&mut server, 5).await, b"hello");
    // More than the window of either side holds.
    let much = vec![b'x'; 1 << 20];
    let sent = much.clone();
    let sending = tokio::spawn(async move {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        client.shutdown().await.expect("once more is no mistake");
        drop(client);
    });
    let mut heard = Vec::new();
    timeout(LONG, server.read_to_end(&mut heard)).await.expect("an end in time").unwrap();
    assert!(heard == much, "{} bytes of {}", heard.len(), much.len());
    timeout(LONG, sending).await.expect("an end in time").unwrap();
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_for_the_other_end_too() {
    let site = Site::new();
    let (at, mut came) = listen(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let client = dial(&site.settings(), at).await.unwrap();
    let mut server = came.recv().await.unwrap().unwrap();
    drop(client);
    let mut heard = Vec::new();
    timeout(LONG, server.read_to_end(&mut heard)).await.expect("an end in time").unwrap();
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_with_which_certificate() {
    let site = Site::new();
    let (at, mut came) = listen(acceptor(vec![site.issue("server", &["elsewhere"])])).await;
    let refused = dial(&site.settings(), at).await.unwrap_err();
    assert!(refused.contains("the server's certificate (CN=server) is for elsewhere"), "{refused}");
    assert!(refused.contains("not for `localhost`"), "{refused}");
    let heard = came.recv().await.unwrap().unwrap_err().to_string();
    assert!(heard.contains("does not accept our certificate"), "{heard}");
    let stranger = Site::new();
    let refused = dial(&stranger.settings(), at).await.unwrap_err();
    // Both CAs have the same name.
    assert!(refused.contains("has a wrong signature: it was changed, or its CA has a new key"), "{refused}");
}

#[tokio::test]
async fn who_wants_another_protocol_is_refused() {
    let site = Site::new();
    let (at, _came) = listen(acceptor(vec![site.issue("server", &["localhost"])])).await;
    for alpn in [vec![b"other".to_vec()], Vec::new()] {
        let settings = ConnectorSettings { alpn, ..site.settings() };
        let refused = dial_as(&settings, at).await.unwrap_err();
        assert!(refused.contains("ALPN"), "{refused}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let site = Site::new();
    let ca = ClientCa { ca: site.path("ca.pem"), revoked: None };
    let clients = ClientCertificates::Required(ca);
    let settings = acceptor(vec![site.issue("server", &["localhost"])]);
    let (at, mut came) = listen(AcceptorSettings { clients, ..settings }).await;
    // It has ended its own part before it hears of it.
    let words = match dial(&site.settings(), at).await {
        Err(words) => words,
        Ok(mut stream) => {
            let heard = timeout(LONG, stream.read(&mut [0; 8])).await.expect("an answer in time");
            heard.unwrap_err().to_string()
        }
    };
    assert!(words.contains("wants a client certificate"), "{words}");
    assert!(came.recv().await.unwrap().is_err());
    let own = site.issue("client", &["lamp"]);
    let (certificate, key) = (Some(own.certificate), Some(own.key));
    let _client = dial(&ConnectorSettings { certificate, key, ..site.settings() }, at).await.unwrap();
    let server = came.recv().await.unwrap().unwrap();
    assert!(server.peer_certificates().is_some_and(|shown| shown.len() == 1));
}

#[tokio::test]
async fn nobody_there_is_told_in_time() {
    let site = Site::new();
    let deaf = UdpSocket::bind(loopback()).unwrap();
    let settings = ConnectorSettings { alpn: vec![b"test".to_vec()], ..site.settings() };
    let mut dialler = Dialler::new(Some(Connector::new(&settings).unwrap()));
    let port = deaf.local_addr().unwrap().port();
    let address = Address::new("127.0.0.1", port).unwrap().over(Scheme::Quic);
    let refused = dialler.dial(&address, Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(refused.contains("is QUIC spoken there"), "{refused}");
}

#[tokio::test]
async fn whoever_comes_to_a_crowd_shows_first_that_its_address_is_its_own() {
    let site = Site::new();
    let settings = acceptor(vec![site.issue("server", &["localhost"])]);
    let acceptor = Acceptor::open(settings).unwrap();
    let socket = listen_udp(loopback(), IpVersions::Both, RECEIVE_BUFFER_BYTES).unwrap();
    let at = socket.local_addr().unwrap();
    let listener = QuicListener::new(socket, &acceptor).unwrap();
    let mut waiting = Vec::new();
    let mut diallers = Vec::new();
    for number in 0..70 {
        let settings = site.settings();
        diallers.push(tokio::spawn(async move { dial(&settings, at).await.map(drop) }));
        let arrival = timeout(LONG, listener.accept(false)).await.expect("somebody in time").unwrap();
        assert_eq!(arrival.is_proved(), number >= 64, "number {number}");
        waiting.push(arrival);
    }
    // The crowd goes: whoever comes next is believed again.
    waiting.clear();
    let settings = site.settings();
    diallers.push(tokio::spawn(async move { dial(&settings, at).await.map(drop) }));
    let arrival = timeout(LONG, listener.accept(false)).await.expect("somebody in time").unwrap();
    assert!(!arrival.is_proved());
    diallers.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Passes datagrams on between a client and a server; on a word it does so from another port, as a device does that has
/// gone from one network into another.
async fn relay(server: SocketAddr, mut moves: mpsc::UnboundedReceiver<()>) -> SocketAddr {
    let front = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
    let at = front.local_addr().unwrap();
    tokio::spawn(async move {
        let mut back = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
        let mut client = None;
        let (mut up, mut down) = (vec![0; 2_048], vec![0; 2_048]);
        loop {
            tokio::select! {
                Ok((count, from)) = front.recv_from(&mut up) => {
                    client = Some(from);
                    back.send_to(&up[..count], server).await.unwrap();
                }
                Ok((count, _)) = back.recv_from(&mut down) => {
                    if let Some(client) = client {
                        front.send_to(&down[..count], client).await.unwrap();
                    }
                }
                Some(()) = moves.recv() => back = tokio::net::UdpSocket::bind(loopback()).await.unwrap(),
            }
        }
    });
    at
}

#[tokio::test]
async fn a_client_that_changes_its_address_keeps_its_connection() {
    let site = Site::new();
    let (at, mut came) = listen(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let (go, moves) = mpsc::unbounded_channel();
    let at = relay(at, moves).await;
    let mut client = dial(&site.settings(), at).await.unwrap();
    let mut server = came.recv().await.unwrap().unwrap();
    assert_eq!(read(&mut server, 5).await, b"hello");
    let place = |stream: &Stream| match stream {
        Stream::Quic(stream) => stream.peer(),
        _ => panic!("no QUIC"),
    };
    let before = place(&server);
    go.send(()).unwrap();
    client.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut server, 5).await, b"again");
    server.write_all(b"heard").await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"heard");
    assert_ne!(place(&server), before);
}
