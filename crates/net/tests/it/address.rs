//! How addresses are written.

use whimbrel_net::{Address, AddressError};

#[test]
fn every_way_to_write_an_address() {
    let check = |text: &str, host: &str, port: u16, shown: &str| {
        let address: Address = text.parse().expect(text);
        assert_eq!((address.host(), address.port()), (host, port), "{text}");
        assert_eq!(address.to_string(), shown);
        assert_eq!(shown.parse(), Ok(address));
    };
    check("broker", "broker", 1883, "broker:1883");
    check("broker.example:1", "broker.example", 1, "broker.example:1");
    check("127.0.0.1:65535", "127.0.0.1", 65535, "127.0.0.1:65535");
    check("::1", "::1", 1883, "[::1]:1883");
    check("[::1]", "::1", 1883, "[::1]:1883");
    check("[2001:db8::7]:8000", "2001:db8::7", 8000, "[2001:db8::7]:8000");
    check("[fe80::1%eth0]:1884", "fe80::1%eth0", 1884, "[fe80::1%eth0]:1884");
    check("mqtt://broker", "broker", 1883, "broker:1883");
    check("mqtt://broker:1884/", "broker", 1884, "broker:1884");
    check("tcp://[::1]:1884", "::1", 1884, "[::1]:1884");
    check("mqtts://broker", "broker", 8883, "mqtts://broker:8883");
    check("SSL://[::1]:9/", "::1", 9, "mqtts://[::1]:9");
    check("ws://broker", "broker", 80, "ws://broker:80/mqtt");
    check("ws://broker/", "broker", 80, "ws://broker:80/");
    check("wss://[::1]:9001/a/b?c=d", "::1", 9001, "wss://[::1]:9001/a/b?c=d");
    check("unix", "unix", 1883, "mqtt://unix:1883");
    check("quic://broker", "broker", 14_567, "quic://broker:14567");
    check("unix:/run/broker.sock", "", 0, "unix:/run/broker.sock");
    check("unix:///run/broker.sock", "", 0, "unix:/run/broker.sock");
    check("unix:////run/b.sock", "", 0, "unix:////run/b.sock");
    check("bücher.example", "bücher.example", 1883, "bücher.example:1883");
}

#[test]
fn what_is_no_address_says_what_to_write() {
    let check = |text: &str, part: &str| {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("", "names no host");
    check(":1883", "names no host");
    check("mqtt://", "names no host");
    check("broker:", "no port");
    check("broker:0", "from 1 to 65535");
    check("broker:65536", "`65536`");
    check("broker:+80", "no port");
    check("broker:mqtt", "no port");
    check("bro:ker:1883", "colons");
    check("broker::1883", "colons");
    check("[::1", "brackets");
    check("[::1]1883", "brackets");
    check("[broker]:1883", "brackets");
    check("http://broker", "quic://");
    check("mqtt://broker/topic", "no host name");
    check("user@broker", "no host name");
    check("unix:", "names no socket");
    check(&format!("unix:/{}", "x".repeat(100)), "names no socket");
    check("ws://broker/a b", "is no path");
    check("ws://broker/a#b", "is no path");
    check("a b", "no host name");
    check(&"x".repeat(254), "no host name");
    assert_eq!("".parse::<Address>(), Err(AddressError::HostMissing(String::new())));
}
