//! The client over WebSocket: what it asks for, and that its packets go in frames.

use tokio::{io::AsyncReadExt, net::TcpListener};
use whimbrel_client::{Client, Options, Version};
use whimbrel_net::{
    Networks, Stream,
    ws::{Origins, UpgradeRules, accept},
};

use super::server::soon;

/// Lets a client of this version dial, looks at its request, and takes its CONNECT from a frame.
async fn dial(version: Version) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("ws://{}/broker", listener.local_addr().unwrap()).parse().unwrap();
    let client_id = "c".to_owned();
    let options = Options { version, client_id, reconnect: None, ..Options::new(address) };
    let connecting = tokio::spawn(Client::connect(options));
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut head = [0; 2_048];
    let request = loop {
        let length = soon(stream.peek(&mut head)).await.unwrap();
        if head[..length].ends_with(b"\r\n\r\n") {
            break String::from_utf8(head[..length].to_vec()).unwrap();
        }
    };
    assert!(request.starts_with("GET /broker HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{request}");
    let rules = UpgradeRules {
        path: "/broker".to_owned(),
        origins: Origins::SameHost,
        head_bytes_max: 8_192,
        proxies: Networks::default(),
    };
    let mut stream = soon(accept(Stream::Tcp(stream), &rules, None)).await.unwrap().stream;
    assert_eq!(soon(stream.read_u8()).await.unwrap() >> 4, 1, "CONNECT");
    drop(stream);
    soon(connecting).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn v5_6_0_0_3_the_client_offers_the_sub_protocol_mqtt() {
    dial(Version::V5).await;
}

#[tokio::test]
async fn v311_6_0_0_3_the_client_offers_the_sub_protocol_mqtt() {
    dial(Version::V311).await;
    dial(Version::V31).await;
}
