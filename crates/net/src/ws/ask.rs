//! The dialling side's request to become a WebSocket, and the check of its answer. Not their way over the network.

use base64ct::{Base64, Encoding};

use super::{head::Head, rules::accept_of};

/// The sub-protocol that is offered.
const PROTOCOL: &str = "mqtt";

/// Characters of the server's own words that an error shows.
const WORDS_SHOWN: usize = 200;

/// A request, and what its answer has to be.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: String,
    pub(super) request: String,
}

/// Why an answer opens no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the server answered `{0}`; is it a WebSocket listener, and is the path right?")]
    Status(String),
    #[error("the server answered `{status}`: {why}")]
    Refused { status: String, why: String },
    #[error("what came is no answer to a request for a WebSocket; is a WebSocket listener there?")]
    Malformed,
    #[error("the server's answer is to another question (Sec-WebSocket-Accept)")]
    Accept,
    #[error("the server does not agree on the sub-protocol mqtt")]
    Protocol,
    #[error("the server wants an extension that was not offered")]
    Extension,
}

impl Ask {
    /// The request for a path of a host. `key` has to be one that nobody can foresee.
    pub(super) fn new(host: &str, path: &str, key: [u8; 16]) -> Ask {
        let key = Base64::encode_string(&key);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n" // [MQTT-6.0.0-3]
        );
        Ask { key, request }
    }

    /// Judges the head of an answer; `behind` is what has come of its body, for the reason of a refusal.
    pub(super) fn judge(&self, head: &[u8], behind: &[u8]) -> Result<(), NoAnswer> {
        let head = Head::read(head).map_err(|_| NoAnswer::Malformed)?;
        let status = head.first_line.strip_prefix("HTTP/1.1 ").ok_or(NoAnswer::Malformed)?;
        if !status.starts_with("101 ") && status != "101" {
            let status = status.to_owned();
            let line =
                String::from_utf8_lossy(behind.split(|byte| *byte == b'\n').next().unwrap_or_default());
            let plain =
                head.one("Content-Type").ok().flatten().is_some_and(|kind| kind.starts_with("text/plain"));
            let shown = |character: &char| !character.is_control();
            let why: String = line.chars().filter(shown).take(WORDS_SHOWN).collect();
            return Err(match plain && !why.is_empty() {
                true => NoAnswer::Refused { status, why },
                false => NoAnswer::Status(status),
            });
        }
        if !head.lists("Upgrade", "websocket") || !head.lists("Connection", "upgrade") {
            return Err(NoAnswer::Malformed);
        }
        if head.one("Sec-WebSocket-Accept") != Ok(Some(accept_of(&self.key).as_str())) {
            return Err(NoAnswer::Accept);
        }
        if head.one("Sec-WebSocket-Protocol") != Ok(Some(PROTOCOL)) {
            return Err(NoAnswer::Protocol);
        }
        if head.list("Sec-WebSocket-Extensions").next().is_some() {
            return Err(NoAnswer::Extension);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        Networks,
        ws::{Origins, UpgradeRules},
    };

    fn answer(request: &str) -> String {
        let rules = UpgradeRules {
            path: "/mqtt".to_owned(),
            origins: Origins::SameHost,
            head_bytes_max: 8_192,
            proxies: Networks::default(),
        };
        let peer: Option<IpAddr> = None;
        let answered = rules.judge(request.as_bytes(), peer);
        String::from_utf8(answered.map_or_else(|refused| refused.response(), |granted| granted.response))
            .unwrap()
    }

    #[test]
    fn a_request_is_granted_by_our_own_server() {
        let ask = Ask::new("h:9001", "/mqtt", [7; 16]);
        assert_eq!(ask.judge(answer(&ask.request).as_bytes(), b""), Ok(()));
    }

    #[test]
    fn an_answer_that_is_none_is_told_with_the_reason() {
        let ask = Ask::new("h", "/mqtt", [7; 16]);
        let good = answer(&ask.request);
        let check = |answer: &str, expect: NoAnswer| {
            let (head, body) = answer.split_at(answer.find("\r\n\r\n").unwrap() + 4);
            assert_eq!(ask.judge(head.as_bytes(), body.as_bytes()), Err(expect), "{answer}");
        };
        check(&answer(&Ask::new("h", "/mqtt", [8; 16]).request), NoAnswer::Accept);
        check(&good.replace("Sec-WebSocket-Protocol: mqtt\r\n", ""), NoAnswer::Protocol);
        check(&good.replace("Protocol: mqtt\r\n", "Protocol: chat\r\n"), NoAnswer::Protocol);
        let extension = "Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        check(&good.replace("Protocol: mqtt\r\n", extension), NoAnswer::Extension);
        check(&good.replace("Upgrade: websocket\r\n", ""), NoAnswer::Malformed);
        check("SSH-2.0-Server\r\n\r\n", NoAnswer::Malformed);
        check("HTTP/1.1 200 OK\r\n\r\n", NoAnswer::Status("200 OK".to_owned()));
        let why = "there is nothing at this path; MQTT is at /mqtt".to_owned();
        let refused = NoAnswer::Refused { status: "404 Not Found".to_owned(), why };
        check(&answer(&Ask::new("h", "/", [7; 16]).request), refused);
    }
}
