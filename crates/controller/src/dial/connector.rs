//! Connects to an address that the caller has checked, without a proxy and without a name service.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

/// Opens a TCP connection within the given time. The caller has checked the address.
///
/// Fails with `TimedOut`, or with the error of the connection.
pub(crate) async fn connect(to: SocketAddr, within: Duration) -> io::Result<TcpStream> {
    #[cfg(debug_assertions)]
    let to = redirected(to)?;
    let stream = timeout(within, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The address of the server that stands for a Pod in the tests, which have no network for Pods.
///
/// The variable names a file with one `pod-address:port=address:port` per line. The file is read for each connection,
/// because the tests add Pods. An address that is not in the file cannot be reached. Otherwise the test could connect
/// to something in the network of its machine. A release build does not contain this function.
#[cfg(debug_assertions)]
fn redirected(to: SocketAddr) -> io::Result<SocketAddr> {
    let Some(file) = std::env::var_os("TOOLSET_TEST_REDIRECTS") else { return Ok(to) };
    let text = std::fs::read_to_string(file)?;
    redirect(&text, to).ok_or(io::ErrorKind::NetworkUnreachable.into())
}

#[cfg(debug_assertions)]
fn redirect(text: &str, to: SocketAddr) -> Option<SocketAddr> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let mut parsed = pairs.filter_map(|(from, to)| Some((from.parse::<SocketAddr>().ok()?, to.parse().ok()?)));
    parsed.find(|(from, _)| *from == to).map(|(_, to)| to)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_listener_is_reached_and_a_closed_port_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(connect(address, Duration::from_secs(5)).await.is_ok());
        drop(listener);
        assert!(connect(address, Duration::from_secs(5)).await.is_err());
    }

    #[cfg(debug_assertions)]
    #[test]
    fn only_the_listed_address_and_port_are_redirected() {
        let text = "10.1.2.3:5050=127.0.0.1:4711\nnonsense\n";
        assert_eq!(redirect(text, "10.1.2.3:5050".parse().unwrap()), "127.0.0.1:4711".parse().ok());
        assert_eq!(redirect(text, "10.1.2.3:80".parse().unwrap()), None);
    }
}
