//! Dialling over loopback.

use std::{io, net::SocketAddr, time::Duration};

use whimbrel_net::{Address, BACKLOG, DialError, IpVersions, dial, listen};

const LONG: Duration = Duration::from_secs(20);

fn listening(at: &str) -> (std::net::TcpListener, SocketAddr) {
    let listener = listen(at.parse().unwrap(), IpVersions::Six, BACKLOG).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_connection_sends_small_writes_at_once() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let (_listener, address) = listening(at);
        let stream = dial(&address.to_string().parse().unwrap(), LONG).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(stream.peer_addr().unwrap(), address);
    }
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` is one or two addresses; only one of them listens.
    let (_listener, address) = listening("127.0.0.1:0");
    let localhost = Address::new("localhost", address.port()).unwrap();
    let stream = dial(&localhost, LONG).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
}

#[tokio::test]
async fn a_refused_connection_says_where_and_what_to_do() {
    let (listener, address) = listening("127.0.0.1:0");
    drop(listener);
    let error = dial(&address.to_string().parse().unwrap(), LONG).await.unwrap_err();
    let DialError::Connect { tried, source, .. } = &error else { panic!("{error}") };
    assert_eq!(tried, &[address]);
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let text = error.to_string();
    assert!(text.contains(&format!("cannot connect to {address}")), "{text}");
    assert!(text.contains("is a server listening there?"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_does_not_answer_uses_its_share_of_the_time_only() {
    // A queue of one that is full: the system leaves further connections without an answer.
    let full = listen("127.0.0.1:0".parse().unwrap(), IpVersions::Six, 0).unwrap();
    let address = full.local_addr().unwrap();
    let _first = std::net::TcpStream::connect(address).unwrap();
    let started = tokio::time::Instant::now();
    let error = dial(&address.to_string().parse().unwrap(), LONG).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), LONG.as_secs());
    assert_eq!(error.io().map(io::Error::kind), Some(io::ErrorKind::TimedOut));
    assert!(error.to_string().contains("no answer in time; is the host up"), "{error}");
}
