//! The trial of Data Storage: the program finds its database by name, as in a cluster.
//!
//! There is no PostgreSQL here. It is enough that the program looks up the name and connects to the address.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{DEADLINE, free_port, inside, start_and_stop};

/// A name in `/etc/hosts`.
const IN_HOSTS: &str = "db-in-hosts.test";
/// A name that only the DNS server knows, with the domain from the search list.
const IN_DNS: &str = "db.prod";
const SEARCH: &str = "svc.cluster.local";
/// The address of the DNS server, which no other one of this machine has.
const DNS: Ipv4Addr = Ipv4Addr::new(127, 77, 53, 1);
/// What a client of PostgreSQL sends first: the request for TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Lets the program connect to a database by a name in `/etc/hosts`, and by a name of DNS.
pub(super) fn run(root: &Path, program: &str) -> Result<()> {
    let etc = root.join("etc");
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("hosts"), format!("127.0.0.1 {IN_HOSTS}\n"))?;
    // As the kubelet writes it.
    fs::write(etc.join("resolv.conf"), format!("search {SEARCH}\nnameserver {DNS}\noptions ndots:5\n"))?;
    connects(root, program, IN_HOSTS)?;
    match UdpSocket::bind((DNS, 53)) {
        Ok(socket) => {
            let questions = answer(socket)?;
            let connected = connects(root, program, IN_DNS);
            let asked = format!("the program asked for {:?}", questions.join().unwrap_or_default());
            connected.context(asked)
        }
        // Only root can listen on this port.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            writeln!(io::stderr(), "SKIPPED the look-up in DNS: port 53 needs root")?;
            Ok(())
        }
        Err(error) => Err(error).context("cannot listen on port 53"),
    }
}

/// Fails unless the service answers and connects to the port of a database with this name.
fn connects(root: &Path, program: &str, name: &str) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let url = format!("postgresql://service@{name}:{}/datastorage", listener.local_addr()?.port());
    fs::write(root.join("url"), url)?;
    let port = free_port()?;
    let mut command = inside(root)?;
    command
        .args([program, "serve", "--auth=none", "--listen=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"])
        .arg(format!("--health-addr=127.0.0.1:{port}"))
        .args(["--database-url-file=/url", "--database-tls=require"]);
    let asks_for_tls = |child: &mut Child| {
        let bytes = first_bytes(&listener, child)?;
        ensure!(bytes == TLS_REQUEST, "the program sent {bytes:?} instead of a request for TLS");
        Ok(())
    };
    start_and_stop(&mut command, port, asks_for_tls).with_context(|| format!("with a database at {name}"))
}

fn first_bytes(listener: &TcpListener, child: &mut Child) -> Result<[u8; 8]> {
    let started = Instant::now();
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(DEADLINE))?;
                let mut bytes = [0; 8];
                stream.read_exact(&mut bytes)?;
                return Ok(bytes);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => {
                ensure!(child.try_wait()?.is_none(), "the program stopped before it had connected");
                ensure!(started.elapsed() < DEADLINE, "the program did not connect within {DEADLINE:?}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Answers questions of DNS, until there is none for a second after the first. Returns the names that were asked for.
fn answer(socket: UdpSocket) -> Result<thread::JoinHandle<Vec<String>>> {
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(thread::spawn(move || {
        let (mut names, mut buffer) = (Vec::new(), [0; 512]);
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let Some((name, reply)) = buffer.get(..length).and_then(reply) else { break };
            names.push(name);
            if socket.send_to(&reply, client).is_err() || socket.set_read_timeout(Some(Duration::from_secs(1))).is_err()
            {
                break;
            }
        }
        names
    }))
}

/// The name in a question and the answer: 127.0.0.1 for the database, and otherwise that there is no such name.
fn reply(question: &[u8]) -> Option<(String, Vec<u8>)> {
    const HEADER: usize = 12;
    let mut at = HEADER;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..=at + length)?).into_owned());
        at += 1 + length;
    }
    let name = labels.join(".");
    let kind = question.get(at + 1..at + 3)?;
    let known = name == format!("{IN_DNS}.{SEARCH}");
    let has_address = known && kind == [0, 1];
    let mut reply = question.get(..2)?.to_vec();
    // A response, with recursion; without an error, or: no such name.
    reply.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    reply.extend(question.get(HEADER..at + 5)?);
    if has_address {
        // The name of the question, type A, class IN, one minute, 4 bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some((name, reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str) -> Vec<u8> {
        let mut bytes = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes
    }

    #[test]
    fn only_the_name_with_the_domain_of_the_search_list_has_an_address() {
        let (name, known) = reply(&question("db.prod.svc.cluster.local")).unwrap();
        assert_eq!((name.as_str(), known[3], known[7]), ("db.prod.svc.cluster.local", 0x80, 1));
        assert!(known.ends_with(&[127, 0, 0, 1]));
        let (_, unknown) = reply(&question("db.prod")).unwrap();
        assert_eq!((unknown[3], unknown[7]), (0x83, 0));
        assert_eq!(reply(&[1, 2, 3]), None);
    }
}
