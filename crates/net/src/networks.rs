//! Networks of IP addresses, as a person writes them: an address, or an address and the length of its prefix.

use std::{fmt, net::IpAddr, str::FromStr};

/// The addresses that begin with the same bits.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Several networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// The text is no network.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no IP address or network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")]
pub struct NotANetwork;

impl Network {
    /// Whether the address is one of it. An IPv4 address that IPv6 has wrapped counts as what it is.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let unlike = u128::from(ours.to_bits() ^ other.to_bits()) << 96;
                self.covers(unlike)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => self.covers(ours.to_bits() ^ other.to_bits()),
            _ => false,
        }
    }

    /// A network of IPv4 that IPv6 has wrapped is the one of IPv4, as its addresses are.
    fn canonical(self) -> Network {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => Network { address, prefix },
            _ => self,
        }
    }

    /// Whether bits that differ, from the highest on, are all behind the prefix.
    fn covers(self, unlike: u128) -> bool {
        u32::from(self.prefix) <= unlike.leading_zeros()
    }
}

impl Networks {
    /// Whether the address is in any of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Networks(networks.into_iter().collect())
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) => {
                // A sign is no digit, though Rust takes one.
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                digits.parse().ok().filter(|prefix| is_number && *prefix <= bits).ok_or(NotANetwork)?
            }
        };
        let network = Network { address, prefix };
        // Bits behind the prefix are a slip of the pen that would otherwise go unseen.
        let behind = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let clean = behind.checked_shl(u32::from(prefix)).unwrap_or(0) == 0;
        if clean { Ok(network.canonical()) } else { Err(NotANetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        self.address.fmt(out)?;
        if self.prefix < whole { write!(out, "/{}", self.prefix) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_a_network_has() {
        let check = |network: &str, address: &str, expect: bool| {
            let found = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expect, "{address} in {network}");
        };
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("0.0.0.0/0", "255.1.1.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::", false);
        check("::1", "::1", true);
        check("::/0", "2001:db8::1", true);
        check("::ffff:10.0.0.0/104", "10.255.1.2", true);
        check("::ffff:10.0.0.0/104", "::ffff:10.255.1.2", true);
        check("::ffff:10.0.0.0/104", "11.0.0.0", false);
        check("::ffff:192.0.2.7", "192.0.2.7", true);
        check("::ffff:0:0/96", "2001:db8::1", false);
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "localhost",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "1.2.3",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        for text in ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
