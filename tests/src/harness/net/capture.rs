//! Sees every packet that a network namespace sends. A packet socket sees it where the kernel hands it to the interface,
//! whether or not anybody receives it.

use std::{
    collections::BTreeMap,
    fmt,
    io::{ErrorKind, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// `ETH_P_ALL` in network byte order.
const ALL_PROTOCOLS: i32 = 0x0300;
/// As much of a packet as its headers need.
const HEADERS: usize = 128;
/// The index of the loopback interface: it is the first one of each namespace.
const LOOPBACK: u32 = 1;
/// How long the thread of a capture waits before it looks whether it is still needed.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    /// Its protocol.
    pub kind: Kind,
    /// Where it was sent.
    pub to: IpAddr,
    /// The port; 0 if the protocol has none.
    pub port: u16,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// TCP, and whether it opens a connection.
    Tcp {
        /// SYN without ACK.
        opens: bool,
    },
    /// UDP.
    Udp,
    /// Another protocol over IP, with its number.
    Other(u8),
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Tcp { opens: true } => "TCP SYN".to_owned(),
            Kind::Tcp { opens: false } => "TCP".to_owned(),
            Kind::Udp => "UDP".to_owned(),
            Kind::Other(number) => format!("protocol {number}"),
        };
        write!(f, "{kind} to {}", std::net::SocketAddr::new(self.to, self.port))
    }
}

/// What a packet socket has seen.
#[derive(Debug, Default)]
struct Seen {
    packets: Vec<Packet>,
    /// All frames, also those that are no [`Packet`].
    frames: u64,
}

/// A running capture. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Capture {
    socket: Arc<Socket>,
    seen: Arc<Mutex<Seen>>,
    ends: Arc<AtomicBool>,
}

impl Capture {
    /// Every frame that leaves by another interface than the loopback interface. Must be called in the namespace.
    pub(super) fn of_cable() -> Result<Self> {
        Self::start(&cable())
    }

    /// Every connection that is opened over the loopback interface, and every packet of another protocol than TCP. The
    /// connections themselves are left out, because the operator talks to the API server there.
    pub(super) fn of_loopback() -> Result<Self> {
        Self::start(&loopback())
    }

    fn start(filter: &[SockFilter]) -> Result<Self> {
        // DGRAM: without the header of the link, so that a packet begins with the header of IP.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL_PROTOCOLS)));
        let socket = Arc::new(socket.context("cannot open a packet socket")?);
        socket.attach_filter(filter).context("cannot filter packets")?;
        socket.set_nonblocking(true)?;
        let capture = Self { socket, seen: Arc::default(), ends: Arc::default() };
        let (socket, seen, ends) = (capture.socket.clone(), capture.seen.clone(), capture.ends.clone());
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(&*socket, PollFlags::IN)];
                // An interrupted wait is a short wait.
                _ = poll(&mut ready, Some(&PAUSE));
                drain(&socket, &mut seen.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
        Ok(capture)
    }

    /// All packets so far, but for what a kernel sends by itself.
    pub(super) fn packets(&self) -> Vec<Packet> {
        self.read(|seen| seen.packets.clone())
    }

    /// The number of all frames so far.
    pub(super) fn frames(&self) -> u64 {
        self.read(|seen| seen.frames)
    }

    fn read<T>(&self, what: impl FnOnce(&Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Also what has arrived just now.
        drain(&self.socket, &mut seen);
        what(&seen)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn drain(mut socket: &Socket, seen: &mut Seen) {
    let mut frame = [0; HEADERS];
    loop {
        match socket.read(&mut frame) {
            Ok(length) => {
                seen.frames += 1;
                seen.packets.extend(packet(&frame[..length]));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Reads the headers. `None` for what a kernel sends by itself: ARP, IGMP, neighbour discovery and multicast listeners.
fn packet(bytes: &[u8]) -> Option<Packet> {
    let (protocol, to, payload) = match bytes.first()? >> 4 {
        4 => {
            let to: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
            let length = usize::from(bytes[0] & 0xf) * 4;
            (*bytes.get(9)?, IpAddr::V4(Ipv4Addr::from(to)), bytes.get(length..)?)
        }
        6 => {
            let to: [u8; 16] = bytes.get(24..40)?.try_into().ok()?;
            let (protocol, payload) = (*bytes.get(6)?, bytes.get(40..)?);
            // Multicast listeners send an extension header.
            if protocol == 0 && payload.first() == Some(&58) {
                return None;
            }
            (protocol, IpAddr::V6(Ipv6Addr::from(to)), payload)
        }
        _ => return None,
    };
    let port = || Some(u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?));
    let (kind, port) = match protocol {
        2 => return None,
        58 if matches!(payload.first(), Some(133..=137 | 143)) => return None,
        6 => (Kind::Tcp { opens: payload.get(13)? & 0x12 == 0x02 }, port()?),
        17 => (Kind::Udp, port()?),
        other => (Kind::Other(other), 0),
    };
    Some(Packet { kind, to, port })
}

/// The packets of each kind and destination, counted, for messages.
pub fn counted(packets: &[Packet]) -> Vec<String> {
    let mut counts: BTreeMap<&Packet, usize> = BTreeMap::new();
    for packet in packets {
        *counts.entry(packet).or_default() += 1;
    }
    counts.into_iter().map(|(packet, count)| format!("{count} {packet}")).collect()
}

// The instructions of classic BPF.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_AT_X: u16 = 0x50;
const X_IS_IPV4_HEADER_LENGTH: u16 = 0xb1;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// What the kernel knows about a frame stands at these negative offsets.
const PACKET_TYPE: u32 = 0xffff_f000 + 4;
const INTERFACE: u32 = 0xffff_f000 + 8;
/// `PACKET_OUTGOING`.
const OUTGOING: u32 = 4;
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
#[allow(clippy::cast_possible_truncation, reason = "128 fits")]
const KEEP: SockFilter = SockFilter::new(RETURN, 0, 0, HEADERS as u32);

fn cable() -> [SockFilter; 6] {
    [
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(IF_EQUAL, 0, 2, OUTGOING),
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        SockFilter::new(IF_EQUAL, 0, 1, LOOPBACK),
        DROP,
        KEEP,
    ]
}

fn loopback() -> [SockFilter; 19] {
    [
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(IF_EQUAL, 0, 15, OUTGOING),
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        SockFilter::new(IF_EQUAL, 0, 13, LOOPBACK),
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(AND, 0, 0, 0xf0),
        SockFilter::new(IF_EQUAL, 5, 0, 0x60),
        // IPv4: the flags of TCP stand behind the options of IP.
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        SockFilter::new(IF_EQUAL, 0, 9, 6),
        SockFilter::new(X_IS_IPV4_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_BYTE_AT_X, 0, 0, 13),
        SockFilter::new(JUMP, 0, 0, 3),
        // IPv6.
        SockFilter::new(LOAD_BYTE, 0, 0, 6),
        SockFilter::new(IF_EQUAL, 0, 4, 6),
        SockFilter::new(LOAD_BYTE, 0, 0, 53),
        SockFilter::new(AND, 0, 0, 0x12),
        SockFilter::new(IF_EQUAL, 1, 0, 0x02),
        DROP,
        KEEP,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 169, 254, 169, 254];
        bytes.extend(payload);
        bytes
    }

    fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        bytes.extend([0; 16]);
        bytes.extend("fd00::7".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend(payload);
        bytes
    }

    const SYN_TO_80: [u8; 20] = [0x80, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0];

    #[test]
    fn the_headers_tell_where_a_packet_goes() {
        let to = |bytes: &[u8]| packet(bytes).map(|packet| packet.to_string());
        assert_eq!(to(&ipv4(6, &SYN_TO_80)).as_deref(), Some("TCP SYN to 169.254.169.254:80"));
        let mut answer = SYN_TO_80;
        answer[13] = 0x12;
        assert_eq!(to(&ipv4(6, &answer)).as_deref(), Some("TCP to 169.254.169.254:80"));
        assert_eq!(to(&ipv6(17, &[0, 9, 0, 53, 0, 8, 0, 0])).as_deref(), Some("UDP to [fd00::7]:53"));
        assert_eq!(to(&ipv4(1, &[8, 0, 0, 0])).as_deref(), Some("protocol 1 to 169.254.169.254:0"));
    }

    #[test]
    fn what_a_kernel_sends_by_itself_is_left_out() {
        let arp = [0, 1, 8, 0, 6, 4, 0, 1];
        for bytes in [arp.to_vec(), ipv4(2, &[0x16]), ipv6(58, &[135, 0]), ipv6(0, &[58, 0, 5, 2]), Vec::new()] {
            assert_eq!(packet(&bytes), None, "{bytes:?}");
        }
        assert!(packet(&ipv6(58, &[128, 0])).is_some(), "an echo request is no chatter");
    }
}
