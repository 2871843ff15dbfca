//! The hashes that hold the records together.

use std::collections::BTreeMap;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{Event, canonical};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The version of the form in which a link is hashed.
pub const VERSION: u8 = 1;

/// The fewest bytes of a key.
pub const MIN_KEY_BYTES: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The identifier is not a positive number.
    #[error("chain key {0:?} is invalid; expected <id>:<path> with an id from 1 to 32767")]
    Id(String),
    /// The same identifier twice.
    #[error("several chain keys have the id {0}; use a different id for each key")]
    Twice(i16),
    /// Too few bytes.
    #[error("chain key {0} has {1} bytes; at least {MIN_KEY_BYTES} are required")]
    Short(i16, usize),
    /// The file cannot be read.
    #[error("cannot read chain key {0} from {1}: {2}")]
    Read(i16, String, std::io::Error),
}

/// The keys of the chain by their identifiers. The key with the highest identifier signs; the others verify.
#[derive(Clone, Default)]
pub struct Keys(BTreeMap<i16, Vec<u8>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keys").field(&self.0.keys()).finish()
    }
}

impl Keys {
    /// No key: links are plain SHA-256, which only a checkpoint outside of the database can prove.
    pub fn none() -> Self {
        Self::default()
    }

    /// The keys of `<id>:<path>` pairs. White space at the end of a file does not belong to the key.
    pub fn from_files<I: AsRef<str>>(specs: impl IntoIterator<Item = I>) -> Result<Self, KeyError> {
        let mut keys = Self::none();
        for spec in specs {
            let spec = spec.as_ref();
            let bad = || KeyError::Id(spec.to_owned());
            let (id, path) = spec.split_once(':').ok_or_else(bad)?;
            let id: i16 = id.parse().map_err(|_| bad())?;
            if id < 1 {
                return Err(bad());
            }
            let bytes = std::fs::read(Path::new(path)).map_err(|e| KeyError::Read(id, path.to_owned(), e))?;
            keys.insert(id, bytes.trim_ascii_end())?;
        }
        Ok(keys)
    }

    /// Adds a key.
    pub fn insert(&mut self, id: i16, key: impl Into<Vec<u8>>) -> Result<(), KeyError> {
        let key = key.into();
        if id < 1 {
            return Err(KeyError::Id(id.to_string()));
        }
        if key.len() < MIN_KEY_BYTES {
            return Err(KeyError::Short(id, key.len()));
        }
        if self.0.insert(id, key).is_some() {
            return Err(KeyError::Twice(id));
        }
        Ok(())
    }

    /// The identifier of the key that signs; 0 without a key.
    pub fn current(&self) -> i16 {
        self.0.last_key_value().map_or(0, |(id, _)| *id)
    }
}

/// What one hash of the chain covers.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The version of the form: [`VERSION`] for new records.
    pub version: u8,
    /// The key; 0 for none.
    pub key_id: i16,
    /// The place in the chain.
    pub seq: i64,
    /// The server's stamp.
    pub recorded_at: Timestamp,
    /// The authenticated identity.
    pub recorded_by: &'a str,
    /// The hash of the record before.
    pub previous: &'a Hash,
    /// The hash of the content.
    pub content: &'a Hash,
}

/// The hash of what the client said, after defaults and redaction.
pub fn content_hash(event: &Event) -> Hash {
    Sha256::digest(canonical::to_vec(event)).into()
}

/// The hash of a link; none if the key or the version is not known.
///
/// It is HMAC-SHA-256, or SHA-256 without a key, of the parts in the order of [`Link`]. Integers are big-endian, the
/// time is in microseconds since 1970. Every part has its length before it, in eight bytes, so that no two links have
/// the same bytes.
pub fn chain_hash(keys: &Keys, link: &Link<'_>) -> Option<Hash> {
    if link.version != VERSION {
        return None;
    }
    let recorded_at = link.recorded_at.as_microsecond().to_be_bytes();
    let parts: [&[u8]; 7] = [
        &[link.version],
        &link.key_id.to_be_bytes(),
        &link.seq.to_be_bytes(),
        &recorded_at,
        link.recorded_by.as_bytes(),
        link.previous,
        link.content,
    ];
    let mut bytes = Vec::with_capacity(256);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    if link.key_id == 0 {
        return Some(Sha256::digest(&bytes).into());
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.0.get(&link.key_id)?).ok()?;
    mac.update(&bytes);
    Some(mac.finalize().into_bytes().into())
}
