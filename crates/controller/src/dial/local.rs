//! The addresses of the operator's own Pod and of the API server.

use std::{
    collections::BTreeSet,
    env, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use axum::http::Uri;
use tokio::{net::lookup_host, time::timeout};

use super::address::{normalised, parse};

/// How long the lookup of the API server's name may take.
const LOOKUP: Duration = Duration::from_secs(2);

/// The addresses of this machine's interfaces, as Linux lists them. In a Pod these are the addresses of the Pod.
pub(crate) fn own_addresses() -> BTreeSet<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    v4_addresses(&read("/proc/net/fib_trie")).into_iter().chain(v6_addresses(&read("/proc/net/if_inet6"))).collect()
}

/// The local addresses of a routing table. Each stands in a line before `/32 host LOCAL`.
fn v4_addresses(fib_trie: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// The addresses of `if_inet6`, which begins each line with 32 hex digits.
fn v6_addresses(if_inet6: &str) -> BTreeSet<IpAddr> {
    let addresses = if_inet6.lines().filter_map(|line| line.split_whitespace().next());
    let bits = addresses.filter(|digits| digits.len() == 32).filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(|bits| normalised(IpAddr::V6(Ipv6Addr::from(bits)))).collect()
}

/// The addresses by which this process reaches the API server: those of the client's URL and of the environment.
///
/// Fails with the name that cannot be resolved. Without all addresses, nobody knows what must not be called.
pub(crate) async fn api_server_addresses(url: &str) -> Result<BTreeSet<IpAddr>, String> {
    let of_environment =
        env::var("KUBERNETES_SERVICE_HOST").ok().filter(|host| !host.is_empty()).map(|host| (host, 443));
    let of_url = authority(url).ok_or_else(|| url.to_owned())?;
    let mut found = BTreeSet::new();
    for place in of_environment.into_iter().chain([of_url]) {
        found.extend(addresses_of(place).await?);
    }
    Ok(found)
}

/// The addresses of a host, normalised. The environment and the URL can contain a name.
async fn addresses_of((host, port): (String, u16)) -> Result<BTreeSet<IpAddr>, String> {
    if let Ok(address) = parse(&host) {
        return Ok([address].into());
    }
    let resolved = timeout(LOOKUP, lookup_host((host.as_str(), port))).await;
    let addresses: BTreeSet<IpAddr> =
        resolved.ok().and_then(Result::ok).into_iter().flatten().map(|address| normalised(address.ip())).collect();
    if addresses.is_empty() { Err(host) } else { Ok(addresses) }
}

/// Host and port of a URL.
fn authority(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    Some((host, uri.port_u16().unwrap_or(443)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_read_from_the_routing_table() {
        let table = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.244.1.7\n        \
                     /32 host LOCAL\n     |-- 10.244.1.255\n        /32 link BROADCAST\n";
        assert_eq!(v4_addresses(table), BTreeSet::from(["10.244.1.7".parse().unwrap()]));
        let interfaces = "fd000010024400000000000000000007 02 40 00 80     eth0\nshort 1\n";
        assert_eq!(v6_addresses(interfaces), BTreeSet::from(["fd00:10:244::7".parse().unwrap()]));
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[tokio::test]
    async fn the_api_servers_address_is_that_of_the_url() {
        for (url, expected) in [
            ("https://10.96.0.1:443/", "10.96.0.1"),
            ("https://[fd00::1]:6443", "fd00::1"),
            ("https://[::ffff:10.96.0.1]/prefix", "10.96.0.1"),
        ] {
            assert!(api_server_addresses(url).await.unwrap().contains(&expected.parse().unwrap()), "{url}");
        }
        assert!(!api_server_addresses("https://localhost:1").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn without_the_api_servers_address_nothing_is_known() {
        for (url, expected) in [("https://nosuch.invalid:443", "nosuch.invalid"), ("nonsense", "nonsense")] {
            assert_eq!(api_server_addresses(url).await, Err(expected.to_owned()));
        }
    }
}
