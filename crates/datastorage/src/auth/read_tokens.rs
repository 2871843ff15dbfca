//! Static read-only tokens, for agents that cannot refresh a token.
//!
//! The file has one token in each line: a name, the SHA-256 of the token in hexadecimal digits, and the namespaces that
//! the token can read, separated by commas, or `*` for all namespaces. `#` starts a comment.
//!
//! ```text
//! # name     sha256 of the token                                               namespaces
//! holmesgpt  9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  prod,staging
//! ```

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::identity::Reader;
use crate::store::Scope;

/// A request looks whether the file changed if the last look is this long ago.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// The largest file.
const LARGEST: u64 = 1024 * 1024;

/// The tokens by their SHA-256. The time of a lookup by a digest reveals nothing about other tokens.
type Table = HashMap<[u8; 32], Arc<Reader>>;

/// The static tokens of a file. Cheap to clone.
#[derive(Clone)]
pub struct ReadTokens {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    look_after: Duration,
    table: RwLock<Arc<Table>>,
    looked: Mutex<Looked>,
}

/// What a look at the file found, and when.
struct Looked {
    at: Instant,
    stamp: Option<Stamp>,
}

/// What changes with the file.
type Stamp = (u64, u64, Option<SystemTime>);

impl ReadTokens {
    /// Reads the file. Fails if it cannot be read or has a mistake.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Self::with(path, LOOK_AFTER)
    }

    fn with(path: &Path, look_after: Duration) -> anyhow::Result<Self> {
        let stamp = stamp(path).ok();
        let table = read(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                look_after,
                table: RwLock::new(Arc::new(table)),
                looked: Mutex::new(Looked { at: Instant::now(), stamp }),
            }),
        })
    }

    /// Whose token this is. Looks at the file first if the last look was some time ago.
    pub(super) async fn find(&self, token: &str) -> Option<Arc<Reader>> {
        if self.inner.is_due() {
            let inner = Arc::clone(&self.inner);
            // The file can be on a slow volume. If the task cannot run, the program ends.
            let _ = tokio::task::spawn_blocking(move || inner.look()).await;
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.inner.table().get(&digest).cloned()
    }
}

impl Inner {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this caller has to look. Only one of several callers has to.
    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.at.elapsed() >= self.look_after;
        if due {
            looked.at = Instant::now();
        }
        due
    }

    /// Reads the file again if it changed. A file that cannot be read leaves the tokens as they are.
    fn look(&self) {
        let stamp = stamp(&self.path).ok();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.stamp == stamp {
            return;
        }
        looked.stamp = stamp;
        match read(&self.path) {
            Ok(table) => {
                tracing::info!(tokens = table.len(), "the file of read-only tokens was read again");
                *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
            }
            Err(error) => tracing::error!(
                "cannot read the changed file of read-only tokens; the previous tokens remain valid: {error:#}"
            ),
        }
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.len(), metadata.modified().ok()))
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let context = || format!("--read-token-file {}", path.display());
    let length = fs::metadata(path).with_context(context)?.len();
    ensure!(length <= LARGEST, "{}: the file has {length} bytes, and the maximum is {LARGEST}", context());
    parse(&fs::read_to_string(path).with_context(context)?).with_context(context)
}

/// The errors quote no line: somebody may have written the token itself.
fn parse(text: &str) -> anyhow::Result<Table> {
    let mut table = Table::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        entry(&words, &mut table).with_context(|| format!("line {}", number + 1))?;
    }
    Ok(table)
}

fn entry(words: &[&str], table: &mut Table) -> anyhow::Result<()> {
    let &[name, digest, namespaces] = words else {
        bail!("expected three words: a name, the SHA-256 of the token, and namespaces or *");
    };
    let in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ensure!(
        name.len() <= 100 && name.bytes().all(in_a_name),
        "the name must have at most 100 letters, digits and the characters -_."
    );
    let digest = hexadecimal(digest)
        .ok_or_else(|| anyhow!("the second word must be the SHA-256 of the token, which has 64 hexadecimal digits"))?;
    let scope = if namespaces == "*" {
        Scope::Cluster
    } else {
        let names: Vec<String> = namespaces.split(',').map(str::to_owned).collect();
        ensure!(
            names.iter().all(|name| super::kubernetes::is_namespace(name)),
            "the third word must be * or names of namespaces with commas between them"
        );
        Scope::Namespaces(names)
    };
    let name = format!("read-token:{name}").into();
    ensure!(
        table.insert(digest, Arc::new(Reader { name, scope })).is_none(),
        "the line has the same token as another line"
    );
    Ok(())
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(place..place + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests;
