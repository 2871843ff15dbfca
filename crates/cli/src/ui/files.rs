//! Reads the files again when they change.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time;

use super::state::State;
use crate::input::{self, Named};

/// How often to look.
const PAUSE: Duration = Duration::from_secs(1);
/// The name of the problem that the page shows.
const PROBLEM: &str = "files";

/// The files with what changes when somebody writes them.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Follows the files forever. While they cannot be read, the page shows the last objects and the problem.
pub(super) async fn follow(state: State, files: Vec<PathBuf>, recursive: bool) {
    let named = Named { files: &files, recursive };
    // Standard input can be read only once.
    if files.iter().any(|file| file == Path::new("-")) {
        return;
    }
    let mut seen = stamps(named);
    loop {
        time::sleep(PAUSE).await;
        let now = stamps(named);
        if now == seen {
            continue;
        }
        seen = now;
        let read = input::snapshot(named);
        let mut known = state.known().await;
        match read {
            Ok(snapshot) => {
                known.problems.remove(PROBLEM);
                known.replace(snapshot);
            }
            Err(failure) => {
                let lines: Vec<&str> = failure.lines().take(5).collect();
                let text = format!("The files cannot be read, so this is their last content. {}", lines.join("; "));
                known.problems.insert(PROBLEM.to_owned(), text);
            }
        }
        known.changed();
    }
}

fn stamps(named: Named<'_>) -> Stamps {
    let paths = named.paths().unwrap_or_default();
    let stamp = |path: &Path| {
        let found = path.metadata().ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}
