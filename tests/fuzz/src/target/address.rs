//! What a person writes for a place: addresses to dial, URLs of the tools, networks. No panic, and what is read is read
//! again from how it is told; the two readers of networks agree on who is in one.

use std::net::IpAddr;

use whimbrel_client::Address;

#[path = "../../../../crates/whimbrel/src/connect/url.rs"]
mod url;

/// The lines are what is read.
pub(super) fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.split('\n') {
        dialled(line);
        network(line, data);
    }
}

fn dialled(text: &str) {
    if let Ok(address) = text.parse::<Address>() {
        let told = address.to_string();
        let again = told.parse::<Address>();
        assert_eq!(again.as_ref(), Ok(&address), "{text:?} is told as {told:?}");
        let over = address.clone().over(whimbrel_client::Scheme::Ws);
        assert!(over.path().is_none_or(|path| path.starts_with('/')) || address.unix_path().is_some());
    }
    if let Ok(url) = text.parse::<url::Url>() {
        assert!(url.topic.is_none_or(|topic| !topic.is_empty()), "{text:?}");
        assert!(url.password.is_none() || url.user.is_some(), "{text:?}");
        assert!(url.address.unix_path().is_some() || !url.address.host().is_empty(), "{text:?}");
    }
}

fn network(text: &str, bits: &[u8]) {
    let (listener, rules) = (text.parse::<whimbrel_net::Network>(), text.parse::<whimbrel_access::Network>());
    assert_eq!(listener.is_ok(), rules.is_ok(), "{text:?}");
    let (Ok(listener), Ok(rules)) = (listener, rules) else { return };
    assert_eq!(listener.to_string().parse(), Ok(listener));
    assert_eq!(rules.to_string().parse(), Ok(rules));
    let first: Option<IpAddr> = text.split('/').next().and_then(|address| address.parse().ok());
    let drawn = bits.iter().rev().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    for address in [
        first.expect("a network begins with an address"),
        IpAddr::V4((drawn as u32).into()),
        IpAddr::V6(drawn.into()),
        IpAddr::V6(std::net::Ipv4Addr::from(drawn as u32).to_ipv6_mapped()),
    ] {
        assert_eq!(listener.contains(address), rules.contains(address), "{text} has {address}");
    }
    assert!(first.is_some_and(|first| listener.contains(first)), "{text}");
}
