//! The messages of PostgreSQL's protocol, as far as a proxy has to tell them apart.

use std::collections::HashSet;

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub(super) struct Messages {
    buffer: Vec<u8>,
    /// Whether the next message has a type. The first one of a client has none.
    typed: bool,
}

/// The codes of the requests that a client may send before the start: for TLS and for encryption with Kerberos.
const BEFORE_THE_START: [u32; 2] = [80_877_103, 80_877_104];

impl Messages {
    /// What a client sends from the start.
    pub(super) fn of_a_client() -> Self {
        Self { buffer: Vec::new(), typed: false }
    }

    /// What a server sends.
    pub(super) fn of_a_server() -> Self {
        Self { buffer: Vec::new(), typed: true }
    }

    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let head = usize::from(self.typed);
        let length = u32::from_be_bytes(self.buffer.get(head..head + 4)?.try_into().ok()?);
        let end = head + usize::try_from(length).ok()?;
        if self.buffer.len() < end {
            return None;
        }
        let rest = self.buffer.split_off(end);
        let message = std::mem::replace(&mut self.buffer, rest);
        if !self.typed {
            let code = message.get(4..8).and_then(|code| Some(u32::from_be_bytes(code.try_into().ok()?)));
            self.typed = code.is_none_or(|code| !BEFORE_THE_START.contains(&code));
        }
        Some(message)
    }
}

/// Finds the commits in the messages of a client.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// The names of the prepared statements that commit.
    prepared: HashSet<Vec<u8>>,
}

impl Commits {
    /// Whether the message runs `COMMIT`.
    pub(super) fn runs(&mut self, message: &[u8]) -> bool {
        let Some((kind, body)) = message.split_first() else { return false };
        let body = body.get(4..).unwrap_or_default();
        match kind {
            b'Q' => is_commit(body),
            // Prepares a statement: its name and its text.
            b'P' => {
                let (name, text) = split_at_zero(body);
                if is_commit(text) {
                    self.prepared.insert(name.to_vec());
                } else {
                    self.prepared.remove(name);
                }
                false
            }
            // Binds a statement: the name of the portal and the name of the statement.
            b'B' => self.prepared.contains(split_at_zero(split_at_zero(body).1).0),
            _ => false,
        }
    }
}

/// Whether the message of a server says that a transaction is committed.
pub(super) fn is_committed(message: &[u8]) -> bool {
    message.first() == Some(&b'C') && message.get(5..) == Some(b"COMMIT\0")
}

/// Whether the message of a server is a row.
pub(super) fn is_row(message: &[u8]) -> bool {
    message.first() == Some(&b'D')
}

/// Whether one of the statements of a text is `COMMIT`.
fn is_commit(text: &[u8]) -> bool {
    text.split(|&byte| byte == b';').any(|statement| {
        let word = statement.trim_ascii_start().get(..6);
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"commit"))
    })
}

fn split_at_zero(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn messages_are_cut_wherever_the_reads_end() {
        let start = [&12_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes(), b"user"].concat();
        let tls = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
        let sent = [tls.clone(), start.clone(), message(b'Q', b"BEGIN\0"), message(b'X', b"")];
        let stream = sent.concat();
        let mut messages = Messages::of_a_client();
        let mut seen = Vec::new();
        for byte in stream {
            messages.push(&[byte]);
            seen.extend(messages.next());
        }
        assert_eq!(seen, sent);
    }

    #[test]
    fn a_commit_is_seen_as_text_and_as_a_prepared_statement() {
        let mut commits = Commits::default();
        assert!(commits.runs(&message(b'Q', b" commit\0")));
        assert!(commits.runs(&message(b'Q', b"SET LOCAL statement_timeout = 0; COMMIT\0")));
        assert!(!commits.runs(&message(b'Q', b"SELECT 'COMMIT'\0")));
        assert!(!commits.runs(&message(b'P', b"s1\0COMMIT\0\0\0")), "preparing is not running");
        assert!(commits.runs(&message(b'B', b"portal\0s1\0rest")));
        assert!(!commits.runs(&message(b'B', b"portal\0s2\0rest")));
        assert!(!commits.runs(&message(b'P', b"s1\0SELECT 1\0\0\0")), "the name is used again");
        assert!(!commits.runs(&message(b'B', b"\0s1\0")));
        assert!(is_committed(&message(b'C', b"COMMIT\0")));
        assert!(!is_committed(&message(b'C', b"INSERT 0 1\0")));
    }
}
