//! Whether a request becomes a WebSocket: what a listener asks of it, and the answer in bytes. Not its arrival.

use std::net::{IpAddr, Ipv6Addr};

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

use super::head::Head;
use crate::Networks;

/// What RFC 6455 has every server append to a client's key.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The sub-protocols that are spoken, the best first.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What a listener asks of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRules {
    /// The one path that is served.
    pub path: String,
    /// The pages that may connect.
    pub origins: Origins,
    /// Bytes of the head of a request, at most.
    pub head_bytes_max: usize,
    /// Who is believed when it says for whom it forwards (`X-Forwarded-For`).
    pub proxies: Networks,
}

/// The pages of browsers that may connect, by their origin: scheme, host and port of the page. Programs that are no
/// browsers name no origin and are not kept out by this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page.
    Any,
    /// Pages that came from the host that is connected to, whatever the port, where that is an IP address or `localhost`.
    /// What any other name leads to is for its owner to say, and a page's owner can have it lead here.
    SameHost,
    /// These.
    Listed(Vec<String>),
}

impl Origins {
    fn admit(&self, origin: &str, host: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::SameHost => {
                let Some((scheme, page)) = origin.split_once("://") else { return false };
                let is_page = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
                let (page, host) = (without_port(page), without_port(host));
                is_page && leads_here_alone(host) && page.eq_ignore_ascii_case(host)
            }
            Origins::Listed(origins) => origins.iter().any(|known| known.eq_ignore_ascii_case(origin)),
        }
    }
}

/// A host of `host:port`; colons within the brackets of an IPv6 address are its own.
fn without_port(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    }
}

/// The host of a target that is a whole URL, and its path with what follows.
fn in_parts(target: &str) -> (Option<&str>, &str) {
    let known =
        |scheme: &str| ["http", "https", "ws", "wss"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
    match target.split_once("://").filter(|(scheme, _)| known(scheme)) {
        None => (None, target),
        Some((_, rest)) => {
            let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            (Some(host), path)
        }
    }
}

/// Whether nobody can have this host lead elsewhere than where it says.
fn leads_here_alone(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        // Some programs leave the brackets out.
        None => host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost"),
    }
}

/// A request that becomes a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// The whole response.
    pub(super) response: Vec<u8>,
    /// The client, where the peer is a proxy that is believed.
    pub(super) client: Option<IpAddr>,
}

/// A request that does not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    status: &'static str,
    /// More fields of the response.
    fields: &'static str,
    pub(super) why: String,
}

impl Refused {
    fn new(status: &'static str, why: impl Into<String>) -> Refused {
        Refused { status, fields: "", why: why.into() }
    }

    /// A request that is none by the letter.
    pub(super) fn malformed(why: impl Into<String>) -> Refused {
        Refused::new("400 Bad Request", why)
    }

    /// A head beyond the limit.
    pub(super) fn too_large(bytes_max: usize) -> Refused {
        let why = format!("the head of the request has more than {bytes_max} bytes");
        Refused::new("431 Request Header Fields Too Large", why)
    }

    /// The whole response.
    pub(super) fn response(&self) -> Vec<u8> {
        let Refused { status, fields, why } = self;
        let text = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{fields}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{why}\n",
            why.len() + 1
        );
        text.into_bytes()
    }
}

impl UpgradeRules {
    /// Judges a request by its head.
    pub(super) fn judge(&self, head: &[u8], peer: Option<IpAddr>) -> Result<Granted, Refused> {
        let head = Head::read(head).map_err(|fault| Refused::malformed(fault.in_words()))?;
        let authority = self.judge_first_line(head.first_line)?;
        let once = |name: &str| {
            head.one(name).map_err(|()| Refused::malformed(format!("{name} stands there more than once")))
        };
        let Some(host) = once("Host")? else { return Err(Refused::malformed("there is no Host")) };
        if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
            return Err(Refused::malformed("the request is for another host than Host says"));
        }
        // A request to become a WebSocket has no body. Where one is announced, whoever stands in front may see another
        // request in what we would take for frames.
        if head.all("Transfer-Encoding").next().is_some()
            || once("Content-Length")?.is_some_and(|length| length != "0")
        {
            return Err(Refused::malformed("a request for a WebSocket has no body"));
        }
        if !head.lists("Upgrade", "websocket") || !head.lists("Connection", "upgrade") {
            let fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
            let why = "MQTT is spoken here, over WebSocket: this is no page to look at";
            return Err(Refused { fields, ..Refused::new("426 Upgrade Required", why) });
        }
        if once("Sec-WebSocket-Version")? != Some("13") {
            let fields = "Sec-WebSocket-Version: 13\r\n";
            return Err(Refused {
                fields,
                ..Refused::new("426 Upgrade Required", "Sec-WebSocket-Version is not 13")
            });
        }
        let key = once("Sec-WebSocket-Key")?.unwrap_or_default();
        if Base64::decode_vec(key).ok().is_none_or(|key| key.len() != 16) {
            return Err(Refused::malformed("Sec-WebSocket-Key is not 16 bytes in Base64"));
        }
        if let Some(origin) = once("Origin")?
            && !self.origins.admit(origin, host)
        {
            let why = format!("pages of {origin} may not connect here (origins)");
            return Err(Refused::new("403 Forbidden", why));
        }
        let offered = |protocol: &&&str| head.list("Sec-WebSocket-Protocol").any(|word| word == **protocol);
        let Some(protocol) = PROTOCOLS.iter().find(offered) else {
            return Err(Refused::malformed("the sub-protocol mqtt is not offered (Sec-WebSocket-Protocol)"));
        };
        // Extensions that are offered are not answered, and so not in use: nothing is ever compressed.
        let accept = accept_of(key);
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n" // [MQTT-6.0.0-4]
        );
        Ok(Granted { response: response.into_bytes(), client: self.client(&head, peer) })
    }

    /// The host that the target names, where it is a whole URL (RFC 9112, 3.2.2).
    fn judge_first_line<'a>(&self, line: &'a str) -> Result<Option<&'a str>, Refused> {
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refused::malformed("the first line is no request"));
        };
        if version != "HTTP/1.1" {
            return Err(Refused::new("505 HTTP Version Not Supported", "the version is not HTTP/1.1"));
        }
        if method != "GET" {
            let why = "a WebSocket begins with GET";
            return Err(Refused { fields: "Allow: GET\r\n", ..Refused::new("405 Method Not Allowed", why) });
        }
        let (authority, path) = in_parts(target);
        if path.split('?').next() != Some(self.path.as_str()) {
            let why = format!("there is nothing at this path; MQTT is at {}", self.path);
            return Err(Refused::new("404 Not Found", why));
        }
        Ok(authority)
    }

    /// For whom a proxy that is believed has forwarded: each appends the peer that it saw, so the first from the end that
    /// is no such proxy is the client. What stands before it anybody may have written.
    fn client(&self, head: &Head<'_>, peer: Option<IpAddr>) -> Option<IpAddr> {
        if !self.proxies.contain(peer?) {
            return None;
        }
        let mut found = None;
        let hops: Vec<&str> = head.list("X-Forwarded-For").collect();
        for hop in hops.into_iter().rev() {
            let Ok(address) = hop.trim_matches(['[', ']']).parse::<IpAddr>() else { break };
            found = Some(address);
            if !self.proxies.contain(address) {
                break;
            }
        }
        found
    }
}

/// What a server answers to a key.
pub(super) fn accept_of(key: &str) -> String {
    Base64::encode_string(&Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn rules() -> UpgradeRules {
        UpgradeRules {
            path: "/mqtt".to_owned(),
            origins: Origins::SameHost,
            head_bytes_max: 8_192,
            proxies: Networks::default(),
        }
    }

    fn request(change: impl FnOnce(&mut Vec<String>)) -> String {
        let mut lines: Vec<String> = [
            "GET /mqtt HTTP/1.1",
            "Host: broker.example:9001",
            "Upgrade: WebSocket",
            "Connection: keep-alive, Upgrade",
            "Sec-WebSocket-Version: 13",
            &format!("Sec-WebSocket-Key: {KEY}"),
            "Sec-WebSocket-Protocol: mqtt",
        ]
        .map(str::to_owned)
        .into();
        change(&mut lines);
        lines.join("\r\n") + "\r\n\r\n"
    }

    /// The status of the answer, and where it is a refusal its reason.
    fn judged(rules: &UpgradeRules, request: &str) -> (String, String) {
        match rules.judge(request.as_bytes(), None) {
            Ok(granted) => (String::from_utf8(granted.response).unwrap(), String::new()),
            Err(refused) => (refused.status.to_owned(), refused.why),
        }
    }

    #[test]
    fn v5_6_0_0_4_the_sub_protocol_that_is_returned_is_mqtt() {
        let (response, _) = judged(&rules(), &request(|_| {}));
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        assert!(response.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{response}");
        // The example of RFC 6455, 1.3.
        assert!(
            response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{response}"
        );
        let offer = |list: &str| request(|lines| lines[6] = format!("Sec-WebSocket-Protocol: {list}"));
        let (response, _) = judged(&rules(), &offer("chat, mqttv3.1, mqtt"));
        assert!(response.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{response}");
        let (response, _) = judged(&rules(), &offer("mqttv3.1"));
        assert!(response.contains("\r\nSec-WebSocket-Protocol: mqttv3.1\r\n"), "{response}");
    }

    #[test]
    fn what_is_offered_besides_is_never_accepted() {
        let offered = request(|lines| {
            lines.push("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits".to_owned());
        });
        let (response, _) = judged(&rules(), &offered);
        assert!(response.starts_with("HTTP/1.1 101 ") && !response.contains("Extensions"), "{response}");
    }

    #[test]
    fn who_is_refused_hears_the_status_and_the_reason() {
        let check = |change: &dyn Fn(&mut Vec<String>), status: &str, part: &str| {
            let request = request(|lines| change(lines));
            let (found, why) = judged(&rules(), &request);
            assert!(found.starts_with(status) && why.contains(part), "{request}{found} {why}");
        };
        let line =
            |at: usize, text: &'static str| move |lines: &mut Vec<String>| text.clone_into(&mut lines[at]);
        let more = |text: &'static str| move |lines: &mut Vec<String>| lines.push(text.to_owned());
        let less = |at: usize| move |lines: &mut Vec<String>| drop(lines.remove(at));
        check(&line(0, "POST /mqtt HTTP/1.1"), "405", "GET");
        check(&line(0, "GET /mqtt HTTP/1.0"), "505", "1.1");
        check(&line(0, "GET /mqtt"), "400", "first line");
        check(&line(0, "GET /mqtt HTTP/1.1 HTTP/1.1"), "400", "first line");
        check(&line(0, "GET /other HTTP/1.1"), "404", "/mqtt");
        check(&line(0, "GET http://broker.example:9001/other HTTP/1.1"), "404", "/mqtt");
        check(&line(0, "GET http://broker.example:9001 HTTP/1.1"), "404", "/mqtt");
        check(&line(0, "GET http://broker.example/mqtt HTTP/1.1"), "400", "another host");
        check(&line(0, "GET http://a@broker.example:9001/mqtt HTTP/1.1"), "400", "another host");
        check(&line(0, "GET gopher://broker.example:9001/mqtt HTTP/1.1"), "404", "/mqtt");
        check(&line(0, "GET /mqtt/../secret HTTP/1.1"), "404", "/mqtt");
        check(&less(1), "400", "Host");
        check(&more("Host: another"), "400", "Host");
        check(&less(2), "426", "MQTT is spoken here");
        check(&less(3), "426", "MQTT is spoken here");
        check(&less(4), "426", "13");
        check(&line(4, "Sec-WebSocket-Version: 8"), "426", "13");
        check(&line(5, "Sec-WebSocket-Key: c2hvcnQ="), "400", "Key");
        check(&less(5), "400", "Key");
        check(&more("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "400", "more than once");
        check(&less(6), "400", "mqtt is not offered");
        check(&line(6, "Sec-WebSocket-Protocol: MQTT"), "400", "mqtt is not offered");
    }

    #[test]
    fn a_target_may_be_a_whole_url_of_this_host() {
        for target in ["http://broker.example:9001/mqtt", "WSS://Broker.Example:9001/mqtt?page=http://x"] {
            let (response, why) =
                judged(&rules(), &request(|lines| lines[0] = format!("GET {target} HTTP/1.1")));
            assert!(response.starts_with("HTTP/1.1 101 "), "{target}: {response} {why}");
        }
    }

    #[test]
    fn a_request_that_announces_a_body_is_refused() {
        let check = |line: &str| {
            let (status, why) = judged(&rules(), &request(|lines| lines.push(line.to_owned())));
            assert!(status.starts_with("400"), "{line}: {status} {why}");
        };
        check("Content-Length: 5");
        check("Content-Length: 0\r\nContent-Length: 5");
        check("Content-Length: 00");
        check("Content-Length: +0");
        check("Transfer-Encoding: chunked");
        check("Transfer-Encoding: identity");
        check("Transfer-Encoding : chunked");
        let (response, _) = judged(&rules(), &request(|lines| lines.push("Content-Length: 0".to_owned())));
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    }

    #[test]
    fn a_page_connects_where_its_origin_is_allowed() {
        let check_at = |host: &str, origins: &Origins, origin: &str, admitted: bool| {
            let rules = UpgradeRules { origins: origins.clone(), ..rules() };
            let request = request(|lines| {
                lines[1] = format!("Host: {host}");
                lines.push(format!("Origin: {origin}"));
            });
            let (answer, why) = judged(&rules, &request);
            let expect = if admitted { "HTTP/1.1 101" } else { "403" };
            assert!(answer.starts_with(expect), "{host} {origins:?} {origin}: {answer} {why}");
        };
        let same = |host: &str, origin: &str, admitted: bool| {
            check_at(host, &Origins::SameHost, origin, admitted);
        };
        same("localhost:9001", "http://localhost", true);
        same("localhost", "https://Localhost:8443", true);
        same("127.0.0.1:9001", "http://127.0.0.1:8000", true);
        same("[::1]:9001", "http://[::1]:8000", true);
        same("::1:9001", "http://::1:9001", true);
        same("[2001:DB8::7]", "https://[2001:db8::7]", true);
        same("localhost:9001", "http://127.0.0.1", false);
        same("localhost", "http://evil.example", false);
        same("localhost", "http://localhost.evil.example", false);
        // Whose the name is decides where it leads, and may have it lead here once the page is shown.
        same("evil.example:9001", "http://evil.example:9001", false);
        same("localhost.evil.example", "http://localhost.evil.example", false);
        same("1.2.3.4.evil.example", "http://1.2.3.4.evil.example", false);
        for origin in ["null", "file://", "localhost", "://localhost", "file://localhost", ""] {
            same("localhost", origin, false);
            same(origin, origin, false);
        }
        same("", "http://", false);
        same("[]", "http://[]", false);
        let check = |origins: &Origins, origin: &str, admitted: bool| {
            check_at("broker.example", origins, origin, admitted);
        };
        let named = Origins::Listed(vec!["https://broker.example".to_owned()]);
        check(&named, "https://broker.example", true);
        let listed = Origins::Listed(vec!["https://app.example".to_owned(), "null".to_owned()]);
        check(&listed, "https://app.example", true);
        check(&listed, "null", true);
        check(&listed, "http://app.example", false);
        check(&listed, "https://app.example:444", false);
        check(&listed, "http://broker.example", false);
        check(&Origins::Any, "http://evil.example", true);
    }

    #[test]
    fn only_a_proxy_that_is_trusted_says_who_the_client_is() {
        let rules = UpgradeRules {
            proxies: ["127.0.0.1", "10.0.0.0/8"].iter().map(|text| text.parse().unwrap()).collect(),
            ..rules()
        };
        let check = |peer: &str, field: &str, expect: Option<&str>| {
            let request = request(|lines| lines.push(field.to_owned()));
            let granted = rules.judge(request.as_bytes(), Some(peer.parse().unwrap())).unwrap();
            assert_eq!(granted.client, expect.map(|client| client.parse().unwrap()), "{peer} {field}");
        };
        check("127.0.0.1", "X-Forwarded-For: 192.0.2.7", Some("192.0.2.7"));
        check("::ffff:127.0.0.1", "X-Forwarded-For: 2001:db8::7", Some("2001:db8::7"));
        check("127.0.0.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1", Some("192.0.2.7"));
        check("127.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7", Some("192.0.2.7"));
        check("127.0.0.1", "X-Forwarded-For: 6.6.6.6, nonsense", None);
        check("127.0.0.1", "X-Forwarded-For: 10.1.1.1", Some("10.1.1.1"));
        check("127.0.0.1", "X-Real-IP: 6.6.6.6", None);
        check("192.0.2.1", "X-Forwarded-For: 6.6.6.6", None);
    }
}
