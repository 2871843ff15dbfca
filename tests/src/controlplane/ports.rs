//! Free ports on the loopback address.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Result, bail};

/// Below the ports that systems give to outgoing connections (from 32768 on Linux), so that no connection takes the port
/// of an API server while a test has stopped it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that nobody listened on a moment ago, chosen at random so that parallel runs do not meet.
pub fn free() -> Result<u16> {
    for _ in 0..100 {
        // The standard library's hasher is seeded at random: all the randomness that this needs.
        let random = RandomState::new().build_hasher().finish() % u64::from(COUNT);
        let port = FIRST + u16::try_from(random)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("found no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on_and_is_then_no_longer_free() {
        let port = free().unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!((0..50).all(|_| free().unwrap() != port));
    }
}
