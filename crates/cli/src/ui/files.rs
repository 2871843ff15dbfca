//! Reads the files again when they change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{task, time};

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
    // Standard input can be read only once.
    if files.iter().any(|file| file == Path::new("-")) {
        return;
    }
    let files: Arc<[PathBuf]> = files.into();
    let look = || aside(&files, recursive, stamps);
    let Some(mut seen) = look().await else { return };
    loop {
        time::sleep(PAUSE).await;
        let Some(now) = look().await else { continue };
        if now == seen {
            continue;
        }
        seen = now;
        let Some(read) = aside(&files, recursive, input::snapshot_with_workloads).await else { continue };
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

/// Reads files, not on the thread of the server: a folder can be large, and a file slow.
async fn aside<T: Send + 'static>(
    files: &Arc<[PathBuf]>,
    recursive: bool,
    read: impl FnOnce(Named<'_>) -> T + Send + 'static,
) -> Option<T> {
    let files = Arc::clone(files);
    task::spawn_blocking(move || read(Named { files: &files, recursive })).await.ok()
}

fn stamps(named: Named<'_>) -> Stamps {
    let paths = named.paths().unwrap_or_default();
    let stamp = |path: &Path| {
        let found = path.metadata().ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}
