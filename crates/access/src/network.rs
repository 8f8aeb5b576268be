//! A range of IP addresses, as `10.0.0.0/8`. Not where it comes from.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// It is not an address with a number of bits behind it.
    Malformed,
    /// Bits behind those that count are set.
    HostBits {
        /// What was probably meant.
        meant: Network,
    },
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address that was written as an IPv6 one is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => masked_v4(other, self.bits) == own,
            (IpAddr::V6(own), IpAddr::V6(other)) => masked_v6(other, self.bits) == own,
            _ => false,
        }
    }

    /// A range of IPv4 addresses that was written as one of IPv6 is the one of IPv4: the addresses are taken so, too.
    fn canonical(self) -> Network {
        match (self.address.to_canonical(), self.bits.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(bits)) if self.address.is_ipv6() => Network { address, bits },
            _ => self,
        }
    }

    /// Whether everything in the other one is in this one too.
    #[must_use]
    pub fn covers(&self, other: &Network) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }
}

fn masked_v4(address: Ipv4Addr, bits: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn masked_v6(address: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork::Malformed)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = match bits {
            None => most,
            Some(bits) => Some(bits)
                .filter(is_number)
                .and_then(|bits| bits.parse().ok())
                .ok_or(NotANetwork::Malformed)?,
        };
        if bits > most {
            return Err(NotANetwork::Malformed);
        }
        let first = match address {
            IpAddr::V4(address) => IpAddr::V4(masked_v4(address, bits)),
            IpAddr::V6(address) => IpAddr::V6(masked_v6(address, bits)),
        };
        let network = Network { address: first, bits }.canonical();
        if first == address { Ok(network) } else { Err(NotANetwork::HostBits { meant: network }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

impl fmt::Display for NotANetwork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => out.write_str(
                "this is not an address or a range of addresses, such as 10.0.0.0/8 or 2001:db8::/32",
            ),
            Self::HostBits { meant } => {
                write!(out, "bits are set behind those that count; write {meant}")
            }
        }
    }
}

impl std::error::Error for NotANetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_begins_with_its_bits() {
        let check = |network: &str, address: &str, inside: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "2001:db9::1", true);
        check("::ffff:10.0.0.0/104", "10.255.0.1", true);
        check("::ffff:10.0.0.0/104", "::ffff:10.255.0.1", true);
        check("::ffff:10.0.0.0/104", "11.0.0.1", false);
        check("::ffff:192.0.2.7", "192.0.2.7", true);
        check("::ffff:0:0/96", "192.0.2.7", true);
        check("::ffff:0:0/96", "2001:db8::1", false);
    }

    #[test]
    fn what_is_no_network_is_told_with_what_was_meant() {
        let check = |text: &str, told: &str| {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        };
        check("10.1.0.0/8", "write 10.0.0.0/8");
        check("2001:db8::1/64", "write 2001:db8::/64");
        check("::ffff:10.1.0.0/104", "write 10.0.0.0/8");
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "house", "10.0.0.0/8/9"] {
            check(text, "such as 10.0.0.0/8");
        }
    }

    #[test]
    fn a_wider_network_covers_a_narrower_one() {
        let check = |one: &str, other: &str, covers: bool| {
            let (one, other): (Network, Network) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.covers(&other), covers, "{one} {other}");
        };
        check("10.0.0.0/8", "10.2.0.0/16", true);
        check("10.2.0.0/16", "10.0.0.0/8", false);
        check("10.0.0.0/8", "10.0.0.0/8", true);
        check("0.0.0.0/0", "::/0", false);
        check("10.0.0.0/8", "::ffff:10.2.0.0/112", true);
    }
}
