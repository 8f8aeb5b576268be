//! Listening over loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use socket2::{Domain, SockAddr, Socket, Type};
use whimbrel_net::{BACKLOG, IpVersions, UnixListenError, listen, listen_unix};

#[test]
fn a_listener_does_not_block() {
    let listener = listen("127.0.0.1:0".parse().unwrap(), IpVersions::Six, BACKLOG).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn an_ipv6_listener_takes_ipv4_by_choice() {
    for (versions, takes) in [(IpVersions::Both, true), (IpVersions::Six, false)] {
        let listener = listen("[::]:0".parse().unwrap(), versions, BACKLOG).unwrap();
        let port = listener.local_addr().unwrap().port();
        let four = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        assert_eq!(four.is_ok(), takes, "{versions:?}");
    }
}

#[test]
fn a_port_that_is_taken_says_what_to_do() {
    let first = listen("127.0.0.1:0".parse().unwrap(), IpVersions::Six, BACKLOG).unwrap();
    let address = first.local_addr().unwrap();
    let error = listen(address, IpVersions::Six, BACKLOG).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
    assert!(text.contains("take another port"), "{text}");
}

#[test]
fn a_unix_socket_at_which_nobody_accepts_just_now_is_taken_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let address = SockAddr::unix(&path).unwrap();
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    busy.bind(&address).unwrap();
    busy.listen(0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let next = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        next.set_nonblocking(true).unwrap();
        if next.connect(&address).is_err() {
            break; // The queue is full.
        }
        waiting.push(next);
    }
    assert!(matches!(listen_unix(&path, 0o660), Err(UnixListenError::Taken(_))));
    drop((busy, waiting));
    assert!(listen_unix(&path, 0o660).is_ok(), "nobody listens there any more");
}
