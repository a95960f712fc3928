//! Which addresses an HTTP request may go to: public ones, and the private ones that the operator lists. Pure.
//!
//! A tool's host may resolve to whatever its name server says (DNS rebinding), so addresses are judged after they are resolved, as
//! Smokescreen does, and not the names before.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network such as `10.1.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Bits that count.
    prefix: u8,
}

/// No network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an address or a network such as 127.0.0.1 or 10.1.0.0/16")
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().map_err(|_| NetworkError)?,
        };
        if prefix > most {
            return Err(NetworkError);
        }
        Ok(Network { address, prefix })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let same = |own: u128, other: u128, width: u32| {
            let drop = width - u32::from(self.prefix);
            own.checked_shr(drop) == other.checked_shr(drop)
        };
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// Whether a request may go there.
pub fn is_allowed(address: IpAddr, listed: &[Network]) -> bool {
    let plain = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        four => four,
    };
    is_public(plain) || listed.iter().any(|network| network.contains(plain))
}

// The special-purpose registries of RFC 6890, as far as nobody publishes a service there.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            !(four.is_private()
                || four.is_loopback()
                || four.is_link_local()
                || four.is_multicast()
                || four == Ipv4Addr::BROADCAST
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19))
                || four.is_documentation())
        }
        IpAddr::V6(six) => {
            let first = six.segments()[0];
            !(six.is_loopback()
                || six.is_unspecified()
                || six.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || embedded(six).is_some_and(|four| !is_public(IpAddr::V4(four))))
        }
    }
}

// The IPv4 address that a translator would send it to (NAT64, 6to4).
fn embedded(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = six.segments();
    let four = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (s[0], s[1]) {
        (0x64, 0xff9b) => Some(four(s[6], s[7])),
        (0x2002, _) => Some(four(s[1], s[2])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_unless_listed() {
        let listed = ["10.1.0.0/16", "127.0.0.1", "fd00::/8"].map(|text| text.parse().unwrap());
        let allowed = |text: &str| is_allowed(text.parse().unwrap(), &listed);
        for address in [
            "8.8.8.8",
            "130.199.1.2",
            "2001:4860::1",
            "10.1.2.3",
            "127.0.0.1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "100.128.0.1",
        ] {
            assert!(allowed(address), "{address}");
        }
        for address in [
            "10.2.0.1",
            "127.0.0.2",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.2.0.1",
            "64:ff9b::a02:1",
            "2002:c0a8:101::1",
            "240.0.0.1",
            "198.18.0.1",
        ] {
            assert!(!allowed(address), "{address}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(is_allowed("192.168.1.1".parse().unwrap(), &[all]));
        for bad in ["x", "10.0.0.0/33", "10.0.0.0/x", ""] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }
}
