//! Free ports on the loopback address.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, bail};

/// Below the ports that systems give to outgoing connections (from 32768 on Linux), so that no connection takes the port
/// of an API server while a test has stopped it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// What tells the other test processes of this machine that a port is taken, although nobody listens on it yet: the UDP port of
/// the same number. A program may need seconds to start, and some dozen of them start side by side.
static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on, and that no process gets from here before this one has ended.
pub fn free() -> Result<u16> {
    for _ in 0..100 {
        // The standard library's hasher is seeded at random: all the randomness that this needs.
        let random = RandomState::new().build_hasher().finish() % u64::from(COUNT);
        let port = FIRST + u16::try_from(random)?;
        let Ok(reservation) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(reservation);
            return Ok(port);
        }
    }
    bail!("found no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on_and_is_then_no_longer_free() {
        let port = free().unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!((0..50).all(|_| free().unwrap() != port));
    }

    #[test]
    fn a_port_that_was_given_away_is_not_given_away_again_although_nobody_listens_yet() {
        let ports: Vec<_> = (0..500).map(|_| free().unwrap()).collect();
        let different: BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), ports.len());
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, ports[0])).is_err(), "other processes see it");
    }
}
