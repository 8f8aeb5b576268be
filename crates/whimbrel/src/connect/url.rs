//! The URL of -L: server, user and topic in one text.

use std::str::FromStr;

use whimbrel_client::Address;

/// What stands before `://`.
const SCHEMES: [&str; 5] = ["mqtt", "mqtts", "ws", "wss", "quic"];

/// What stands before the path of a Unix socket, which is all that there is.
const UNIX: &str = "unix:";

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) address: Address,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) topic: Option<String>,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Url, String> {
        if text.starts_with(UNIX) {
            let address = text.parse().map_err(|error: whimbrel_client::AddressError| error.to_string())?;
            return Ok(Url { address, user: None, password: None, topic: None });
        }
        let Some((word, rest)) = text.split_once("://") else {
            return Err("write mqtt://[USER[:PASSWORD]@]HOST[:PORT][/TOPIC]".to_owned());
        };
        if !SCHEMES.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            return Err(format!(
                "`{word}://` cannot be used: there are {}:// and {UNIX}",
                SCHEMES.join("://, ")
            ));
        }
        let (authority, topic) = match rest.split_once('/') {
            Some((authority, topic)) => (authority, Some(topic)),
            None => (rest, None),
        };
        // A password may hold an `@` that was not written as %40, a host cannot.
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (user, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
            None => (None, None),
            Some(Err(user)) => (Some(user), None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
        };
        let user = match user.map(|user| String::from_utf8(decoded(user))) {
            Some(Err(_)) => return Err("the user name is no UTF-8".to_owned()),
            Some(Ok(user)) => Some(user),
            None => None,
        };
        Ok(Url {
            address: format!("{word}://{address}")
                .parse()
                .map_err(|error: whimbrel_client::AddressError| error.to_string())?,
            user,
            password: password.map(decoded),
            topic: topic.filter(|topic| !topic.is_empty()).map(str::to_owned),
        })
    }
}

/// The bytes of a part of a URL: `%` and two hexadecimal digits are one byte.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk::<2>().filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_url() {
        let check =
            |text: &str, address: &str, user: Option<&str>, password: Option<&str>, topic: Option<&str>| {
                let url: Url = text.parse().expect(text);
                assert_eq!(url.address.to_string(), address, "{text}");
                assert_eq!(url.user.as_deref(), user, "{text}");
                assert_eq!(url.password, password.map(|password| password.as_bytes().to_vec()), "{text}");
                assert_eq!(url.topic.as_deref(), topic, "{text}");
            };
        check("mqtt://h", "h:1883", None, None, None);
        check("mqtt://h/", "h:1883", None, None, None);
        check("MQTT://h:1/a/b", "h:1", None, None, Some("a/b"));
        check("mqtt://h//a", "h:1883", None, None, Some("/a"));
        check("mqtt://u@h/a", "h:1883", Some("u"), None, Some("a"));
        check("mqtt://u:p@[::1]:9/a", "[::1]:9", Some("u"), Some("p"), Some("a"));
        check("mqtt://u%40x:p%3a%2F%@h/a%20b", "h:1883", Some("u@x"), Some("p:/%"), Some("a%20b"));
        check("mqtts://h/a", "mqtts://h:8883", None, None, Some("a"));
        check("mqtts://u:p@[::1]:9/a", "mqtts://[::1]:9", Some("u"), Some("p"), Some("a"));
        check("ws://h/a/b", "ws://h:80/mqtt", None, None, Some("a/b"));
        check("wss://u@h:9001/", "wss://h:9001/mqtt", Some("u"), None, None);
        check("quic://h/a/b", "quic://h:14567", None, None, Some("a/b"));
        check("unix:/run/broker.sock", "unix:/run/broker.sock", None, None, None);
        check("mqtt://u:a@b@h", "h:1883", Some("u"), Some("a@b"), None);
        check("mqtt://u:@h", "h:1883", Some("u"), Some(""), None);
    }

    #[test]
    fn what_is_no_url_for_this_program() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<Url>().expect_err(text);
            assert!(error.contains(part), "{error}");
        };
        check("localhost/a", "write mqtt://");
        check("http://h/a", "there are mqtt://, mqtts://, ws://, wss://, quic://");
        check("mqtt:///a", "names no host");
        check("mqtt://h:x/a", "no port");
    }
}
