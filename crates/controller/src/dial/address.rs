//! Which addresses the operator never connects to. Pure.
//!
//! The author of an EndpointSlice chooses its addresses, and the operator connects from inside its own network. So an
//! address is normalised and compared with everything that only the operator or its node can reach.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The addresses that depend on the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// The addresses of the API server, normalised.
    pub(crate) api_server: BTreeSet<IpAddr>,
    /// The addresses of the operator's own Pod, normalised.
    pub(crate) own: BTreeSet<IpAddr>,
}

/// Why the operator must not connect to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    /// The text is not an address in the spelling of the API server.
    Malformed,
    Unspecified,
    Loopback,
    LinkLocal,
    /// The address of a service that returns the metadata or the credentials of a machine.
    Metadata,
    Multicast,
    /// The address is reserved, or leads through a tunnel to an address that the operator cannot determine.
    Special,
    ApiServer,
    Own,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not a valid IP address",
            Self::Unspecified => "it is the unspecified address",
            Self::Loopback => "it is a loopback address",
            Self::LinkLocal => "it is a link-local address",
            Self::Metadata => "it is an address of a metadata service",
            Self::Multicast => "it is a multicast address",
            Self::Special => "it is a reserved address",
            Self::ApiServer => "it is an address of the API server",
            Self::Own => "it is an address of the operator",
        })
    }
}

/// Metadata services at addresses that are not link-local.
const METADATA: [IpAddr; 7] = [
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure's host agent.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle Cloud's old address.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Google Cloud. AWS has a prefix.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Oracle Cloud.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    // Scaleway.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    // Akamai (Linode).
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)),
];

/// Parses an address. The result for an IPv4-mapped address is the IPv4 address, because the kernel connects to that.
/// Other spellings of IPv4 addresses, such as `0251.0376.0251.0376` and `2852039166`, are malformed, and so is an
/// address with a zone.
pub(crate) fn parse(text: &str) -> Result<IpAddr, Refused> {
    text.parse().map(|address: IpAddr| address.to_canonical()).map_err(|_| Refused::Malformed)
}

/// The IPv4 address inside an IPv6 address: mapped, compatible, NAT64 or 6to4. Every other address stays as it is.
pub(crate) fn normalised(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [s0, s1, s2, s3, s4, s5, s6, s7] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [s0, s1, s2, s3, s4, s5] {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0] if s6 == 0 && s7 <= 1 => address,
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] | [0, 0, 0, 0, 0xffff, 0] => embedded(s6, s7),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

impl Reserved {
    /// Whether the operator may connect to an address.
    ///
    /// Fails with the reason if it must not.
    pub(crate) fn check(&self, written: IpAddr) -> Result<(), Refused> {
        let address = normalised(written);
        if METADATA.contains(&address) {
            return Err(Refused::Metadata);
        }
        match address {
            IpAddr::V4(v4) => check_v4(v4)?,
            IpAddr::V6(v6) => check_v6(v6)?,
        }
        if self.api_server.contains(&address) {
            return Err(Refused::ApiServer);
        }
        if self.own.contains(&address) {
            return Err(Refused::Own);
        }
        // No Pod has an address of a translator or a tunnel. A packet to such an address reaches somebody else.
        if address == written.to_canonical() { Ok(()) } else { Err(Refused::Special) }
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), Refused> {
    let refused = match address.octets() {
        // Linux connects to itself at 0.0.0.0/8.
        [0, ..] => Refused::Unspecified,
        [127, ..] => Refused::Loopback,
        // 169.254.169.254 is the metadata service of most clouds.
        [169, 254, ..] => Refused::LinkLocal,
        [224..=239, ..] => Refused::Multicast,
        // Protocol assignments, 6to4 relays, and reserved addresses, including the broadcast address.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Refused::Special,
        _ => return Ok(()),
    };
    Err(refused)
}

fn check_v6(address: Ipv6Addr) -> Result<(), Refused> {
    let refused = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Refused::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Refused::Loopback,
        [0xfe80..=0xfebf, ..] => Refused::LinkLocal,
        [0xff00..=0xffff, ..] => Refused::Multicast,
        // AWS: the metadata of the machine, the credentials of Pods, and other services of the node.
        [0xfd00, 0xec2, ..] => Refused::Metadata,
        // Site-local, segment routing, protocol assignments including Teredo, NAT64 with a local prefix, ISATAP, and
        // discard-only addresses.
        [0xfec0..=0xfeff | 0x5f00, ..]
        | [0x2001, 0..=0x1ff, ..]
        | [0x64, 0xff9b, 1, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, _, _]
        | [0x100, 0, 0, 0, ..] => Refused::Special,
        _ => return Ok(()),
    };
    Err(refused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Option<Refused> {
        let reserved = Reserved {
            api_server: [parse("10.96.0.1").unwrap(), parse("fd00::1").unwrap()].into(),
            own: [parse("10.244.0.9").unwrap()].into(),
        };
        parse(text).and_then(|address| reserved.check(address)).err()
    }

    #[test]
    fn addresses_that_only_the_operator_or_its_node_can_reach_are_refused() {
        for (text, expected) in [
            ("0.0.0.0", Refused::Unspecified),
            ("0.1.2.3", Refused::Unspecified),
            ("::", Refused::Unspecified),
            ("127.0.0.1", Refused::Loopback),
            ("127.255.255.254", Refused::Loopback),
            ("::1", Refused::Loopback),
            ("169.254.169.254", Refused::LinkLocal),
            ("169.254.0.1", Refused::LinkLocal),
            ("fe80::1", Refused::LinkLocal),
            ("febf::1", Refused::LinkLocal),
            ("100.100.100.200", Refused::Metadata),
            ("168.63.129.16", Refused::Metadata),
            ("192.0.0.192", Refused::Metadata),
            ("fd00:ec2::254", Refused::Metadata),
            ("fd00:ec2::23", Refused::Metadata),
            ("fd00:ec2:1:2::3", Refused::Metadata),
            ("fd20:ce::254", Refused::Metadata),
            ("fd00:c1::a9fe:a9fe", Refused::Metadata),
            ("fd00:42::42", Refused::Metadata),
            ("fd00:a9fe:a9fe::1", Refused::Metadata),
            ("224.0.0.1", Refused::Multicast),
            ("239.255.255.255", Refused::Multicast),
            ("ff02::1", Refused::Multicast),
            ("255.255.255.255", Refused::Special),
            ("240.0.0.1", Refused::Special),
            ("192.0.0.8", Refused::Special),
            ("fec0::1", Refused::Special),
            ("2001::1", Refused::Special),
            ("2001:1::1", Refused::Special),
            ("2001:20::1", Refused::Special),
            ("5f00::1", Refused::Special),
            // These lead to addresses that are allowed themselves.
            ("2002:a01:203::1", Refused::Special),
            ("64:ff9b::10.1.2.3", Refused::Special),
            ("::10.1.2.3", Refused::Special),
            ("::ffff:0:10.1.2.3", Refused::Special),
            ("64:ff9b:1::a9fe:a9fe", Refused::Special),
            ("fd00::5efe:7f00:1", Refused::Special),
            ("10.96.0.1", Refused::ApiServer),
            ("fd00::1", Refused::ApiServer),
            ("10.244.0.9", Refused::Own),
        ] {
            assert_eq!(refused(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_address_is_found() {
        for (text, expected) in [
            ("::ffff:a9fe:a9fe", Refused::LinkLocal),
            ("::ffff:127.0.0.1", Refused::Loopback),
            ("0:0:0:0:0:ffff:7f00:0001", Refused::Loopback),
            ("::127.0.0.1", Refused::Loopback),
            ("::ffff:0:127.0.0.1", Refused::Loopback),
            ("64:ff9b::169.254.169.254", Refused::LinkLocal),
            ("64:ff9b::7f00:1", Refused::Loopback),
            ("2002:7f00:1::", Refused::Loopback),
            ("2002:a9fe:a9fe::1", Refused::LinkLocal),
            ("::ffff:10.96.0.1", Refused::ApiServer),
            ("64:ff9b::10.244.0.9", Refused::Own),
            ("::ffff:100.100.100.200", Refused::Metadata),
        ] {
            assert_eq!(refused(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_spellings_of_addresses_are_malformed() {
        for text in [
            "0251.0376.0251.0376",
            "2852039166",
            "0xa9fea9fe",
            "169.254.43518",
            "127.1",
            "127.000.000.001",
            "localhost",
            "localhost.",
            "metadata.google.internal",
            "[::ffff:a9fe:a9fe]",
            "fe80::1%eth0",
            " 10.0.0.1",
            "10.0.0.1\n",
            "10.0.0.1:80",
            "",
        ] {
            assert_eq!(refused(text), Some(Refused::Malformed), "{text:?}");
        }
    }

    #[test]
    fn the_addresses_of_pods_are_allowed() {
        for text in ["10.244.0.1", "192.168.1.5", "172.17.0.2", "100.64.0.7", "fd00:10:244::5", "2a00:1450::1"] {
            assert_eq!(refused(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_embedded_address_is_judged_like_the_address_itself(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let reserved = Reserved::default();
            let expected = reserved.check(IpAddr::V4(v4));
            prop_assert_eq!(reserved.check(IpAddr::V6(v4.to_ipv6_mapped())), expected);
            for v6 in [
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 0),
            ] {
                prop_assert_eq!(reserved.check(IpAddr::V6(v6)), expected.and(Err(Refused::Special)));
            }
        }

        #[test]
        fn no_address_that_std_calls_local_is_allowed(bits: u128) {
            let written = IpAddr::V6(Ipv6Addr::from(bits));
            let address = normalised(written);
            let local = address.is_loopback() || address.is_multicast() || address.is_unspecified();
            prop_assert!(!local || Reserved::default().check(written).is_err());
        }
    }
}
