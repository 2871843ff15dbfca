//! The addresses that depend on the installation and are never called: those of the operator's Pod and of the API
//! server.

use std::{
    collections::BTreeSet,
    env, fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use axum::http::Uri;
use kube::Client;
use tokio::{
    net::lookup_host,
    sync::Mutex,
    time::{Instant, timeout},
};

use super::address::{Reserved, normalised, parse};
use crate::api::{Cause, Error, backends};

/// The longest time for the lookup of the API server's name.
const LOOKUP: Duration = Duration::from_secs(2);
/// How long the addresses are used. The addresses of the API server change if a machine of the control plane is
/// replaced, and the operator is not notified of that.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Why the addresses that are never called are not known. In this case, the operator calls no address.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// The EndpointSlice of the API server cannot be read.
    Api(Error),
    /// The host with this name cannot be resolved.
    Host(String),
    /// The machine lists no address of its own.
    Own,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) if error.cause() == Cause::Forbidden => write!(
                f,
                "{error}. Grant get on the EndpointSlice kubernetes in the namespace default, as the Helm chart does"
            ),
            Self::Api(error) => error.fmt(f),
            Self::Host(host) => {
                write!(f, "{host} cannot be resolved. Check the DNS configuration of the operator's Pod")
            }
            Self::Own => f.write_str("/proc/net does not list the operator's own addresses"),
        }
    }
}

/// The API server, as this process knows it.
#[derive(Clone, Debug)]
pub(crate) struct ApiServer {
    /// The URL of the client.
    pub(crate) url: String,
    /// Whether the operator watches the namespace of its EndpointSlice.
    pub(crate) is_watched: bool,
}

/// Reads the addresses that are never called.
///
/// Fails if it cannot find all of them.
pub(crate) async fn reserved(client: &Client, server: &ApiServer) -> Result<Reserved, Unknown> {
    let slice = backends::api_server_addresses(client, server.is_watched).await.map_err(Unknown::Api)?;
    let mut api_server = api_server_addresses(&server.url).await.map_err(Unknown::Host)?;
    api_server.extend(slice.iter().filter_map(|address| parse(address).ok()).map(normalised));
    let mut own = own_addresses();
    own.extend(api_server.iter().filter_map(|address| source_towards(*address)));
    // A sandbox without these files shows the loopback address at most.
    if own.iter().all(IpAddr::is_loopback) && !api_server.iter().all(IpAddr::is_loopback) {
        return Err(Unknown::Own);
    }
    Ok(Reserved { api_server, own })
}

/// The addresses that are never called. They are read again when they are older than a minute.
pub(crate) struct Known {
    client: Client,
    server: ApiServer,
    last: Mutex<Option<(Instant, Arc<Reserved>)>>,
}

impl Known {
    pub(crate) fn new(client: Client, server: ApiServer) -> Self {
        Self { client, server, last: Mutex::default() }
    }

    /// The addresses as they were at most a minute ago. Concurrent calls wait for the same request.
    ///
    /// Fails if they are older and cannot be read.
    pub(crate) async fn reserved(&self) -> Result<Arc<Reserved>, Unknown> {
        let mut last = self.last.lock().await;
        if let Some((at, reserved)) = &*last
            && at.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(reserved));
        }
        let reserved = Arc::new(reserved(&self.client, &self.server).await?);
        *last = Some((Instant::now(), Arc::clone(&reserved)));
        Ok(reserved)
    }
}

/// The operator's address from which packets to another address leave. The function sends no packet, because UDP has no
/// connections.
fn source_towards(address: IpAddr) -> Option<IpAddr> {
    let any = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(address, 443)).ok()?;
    socket.local_addr().ok().map(|own| normalised(own.ip()))
}

/// The addresses of this machine's interfaces, as Linux lists them. In a Pod these are the addresses of the Pod.
fn own_addresses() -> BTreeSet<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    v4_addresses(&read("/proc/net/fib_trie")).into_iter().chain(v6_addresses(&read("/proc/net/if_inet6"))).collect()
}

/// The local addresses of a routing table. Each is in the line before `/32 host LOCAL`.
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

/// The addresses in `if_inet6`. Each line begins with an address of 32 hex digits.
fn v6_addresses(if_inet6: &str) -> BTreeSet<IpAddr> {
    let addresses = if_inet6.lines().filter_map(|line| line.split_whitespace().next());
    let bits = addresses.filter(|digits| digits.len() == 32).filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(|bits| normalised(IpAddr::V6(Ipv6Addr::from(bits)))).collect()
}

/// The addresses by which this process reaches the API server: those of the client's URL and of the environment.
///
/// Fails with a name that cannot be resolved, because an incomplete list would allow calls to the API server.
async fn api_server_addresses(url: &str) -> Result<BTreeSet<IpAddr>, String> {
    let of_environment =
        env::var("KUBERNETES_SERVICE_HOST").ok().filter(|host| !host.is_empty()).map(|host| (host, 443));
    let of_url = authority(url).ok_or_else(|| url.to_owned())?;
    let mut found = BTreeSet::new();
    for place in of_environment.into_iter().chain([of_url]) {
        found.extend(addresses_of(place).await?);
    }
    Ok(found)
}

/// The addresses of a host, normalised. The host can be a name or an address.
async fn addresses_of((host, port): (String, u16)) -> Result<BTreeSet<IpAddr>, String> {
    if let Ok(address) = parse(&host) {
        return Ok([normalised(address)].into());
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
mod tests;
