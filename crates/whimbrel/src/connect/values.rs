//! The values of flags that are more than a number or a text.

use std::time::Duration;

use whimbrel_client::{QoS, Version};

/// A protocol version, in all ways in which people write it.
pub(super) fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "5" | "5.0" | "50" | "mqttv5" | "mqttv50" => Ok(Version::V5),
        "311" | "3.1.1" | "mqttv311" => Ok(Version::V311),
        "31" | "3.1" | "mqttv31" => Ok(Version::V31),
        _ => Err("there are the versions 5, 311 and 31".to_owned()),
    }
}

/// A quality of service.
pub(crate) fn parse_qos(text: &str) -> Result<QoS, String> {
    let bits = text.parse().ok().and_then(QoS::from_bits);
    bits.ok_or_else(|| "there are the qualities of service 0, 1 and 2".to_owned())
}

/// A session expiry interval in seconds; -1 and ∞ are for ever.
pub(super) fn parse_expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text.parse().map_err(|_| format!("write a number from 0 to {}, or -1 for ever", u32::MAX)),
    }
}

/// Seconds, not necessarily whole.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write a number of seconds, such as 2 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_people_write_them() {
        for (text, version) in
            [("5", Version::V5), ("mqttv5", Version::V5), ("311", Version::V311), ("mqttv31", Version::V31)]
        {
            assert_eq!(parse_version(text), Ok(version), "{text}");
        }
        assert!(parse_version("4").is_err());
    }

    #[test]
    fn intervals_and_qualities() {
        assert_eq!(parse_expiry("-1"), Ok(u32::MAX));
        assert_eq!(parse_expiry("∞"), Ok(u32::MAX));
        assert_eq!(parse_expiry("4294967295"), Ok(u32::MAX));
        assert_eq!(parse_expiry("0"), Ok(0));
        assert!(parse_expiry("-2").is_err() && parse_expiry("4294967296").is_err());
        assert_eq!(parse_qos("2"), Ok(QoS::ExactlyOnce));
        assert!(parse_qos("3").is_err() && parse_qos("-1").is_err());
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(parse_seconds("-1").is_err() && parse_seconds("soon").is_err());
    }
}
