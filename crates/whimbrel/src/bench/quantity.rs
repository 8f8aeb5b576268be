//! Quantities on the command line: lengths of time, payload sizes, ranges of source addresses. Not their meaning.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use super::stamp::STAMP_BYTES;

/// The longest payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// `10s`, `1500ms`, `2m`, `1h`, or a number of seconds.
pub(super) fn length_of_time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("`{unit}` is none of us, ms, s, m and h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(length) if length <= Duration::from_secs(7 * 86_400) => Ok(length),
        _ => Err("more than a week".to_owned()),
    }
}

/// How long payloads are, in bytes: one length, or all from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PayloadSize {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl FromStr for PayloadSize {
    type Err = String;

    fn from_str(text: &str) -> Result<PayloadSize, String> {
        let number =
            |text: &str| text.parse::<usize>().map_err(|_| format!("`{text}` is not a number of bytes"));
        let (min, max) = match text.split_once('-') {
            Some((min, max)) => (number(min)?, number(max)?),
            None => (number(text)?, number(text)?),
        };
        if min < STAMP_BYTES {
            return Err(format!(
                "every message carries sender, number and time, which take {STAMP_BYTES} bytes"
            ));
        }
        if max > PAYLOAD_BYTES_MAX {
            return Err(format!("more than {PAYLOAD_BYTES_MAX} bytes"));
        }
        if min > max {
            Err("the first is greater than the last".to_owned())
        } else {
            Ok(PayloadSize { min, max })
        }
    }
}

impl std::fmt::Display for PayloadSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.min == self.max {
            true => write!(f, "{}", self.min),
            false => write!(f, "{}-{}", self.min, self.max),
        }
    }
}

/// Addresses from which to connect: one, or `127.0.0.2-9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources(pub(super) Vec<IpAddr>);

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Sources, String> {
        let mut addresses = Vec::new();
        for part in text.split(',') {
            let address =
                |text: &str| text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an IP address"));
            let Some((first, last)) = part.split_once('-') else {
                addresses.push(address(part)?);
                continue;
            };
            let IpAddr::V4(first) = address(first)? else {
                return Err("a range is one of IPv4 addresses".to_owned());
            };
            let last: u8 =
                last.parse().map_err(|_| format!("`{last}` is not the last byte of an address"))?;
            let [a, b, c, from] = first.octets();
            addresses.extend((from..=last).map(|d| IpAddr::V4(Ipv4Addr::new(a, b, c, d))));
        }
        if addresses.is_empty() { Err("no address".to_owned()) } else { Ok(Sources(addresses)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, millis) in
            [("10s", 10_000), ("1500ms", 1_500), ("0.5", 500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(length_of_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "10x", "-1s", "8000h", "1e9"] {
            assert!(length_of_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_payload_has_room_for_its_stamp() {
        assert_eq!("64".parse(), Ok(PayloadSize { min: 64, max: 64 }));
        assert_eq!("16-1000".parse(), Ok(PayloadSize { min: 16, max: 1_000 }));
        for text in ["", "15", "20-19", "16-99999999", "x", "16-"] {
            assert!(text.parse::<PayloadSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sources_are_addresses_and_ranges() {
        let sources: Sources = "127.0.0.1,127.0.0.8-10".parse().unwrap();
        let texts: Vec<String> = sources.0.iter().map(IpAddr::to_string).collect();
        assert_eq!(texts, ["127.0.0.1", "127.0.0.8", "127.0.0.9", "127.0.0.10"]);
        for text in ["", "localhost", "127.0.0.9-300", "127.0.0.9-8", "::1-3"] {
            assert!(text.parse::<Sources>().is_err(), "{text}");
        }
    }
}
