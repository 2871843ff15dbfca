//! What the operator logs about its writes: how long each apply waited inside the process.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The message of the line.
const APPLIED: &str = "ConfigMap applied";

/// A place in a log file: what is written from there on is read later.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    offset: u64,
}

/// One line about a write.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Applied {
    message: String,
    namespace: String,
    name: String,
    /// From the read of the watch event to the moment when the apply was handed to the connection, in microseconds. Absent
    /// if no event led to the write.
    in_process_us: Option<f64>,
}

impl Place {
    /// The end of the file as it is now.
    pub(super) fn end_of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read the log {}", path.display()))?;
        Ok(Self { path: path.to_owned(), offset: metadata.len() })
    }

    /// The milliseconds that each write since then, on behalf of this ToolsetConfig, waited inside the process.
    pub(super) fn in_process(&self, namespace: &str, name: &str) -> Result<Vec<f64>> {
        let mut file = fs::File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("cannot read {}", self.path.display()))?;
        let ours = applied(&text).filter(|line| line.namespace == namespace && line.name == name);
        Ok(ours.filter_map(|line| line.in_process_us).map(|microseconds| microseconds / 1000.0).collect())
    }
}

/// The lines about writes. Lines that are no JSON, and the last one while it is being written, are passed over.
fn applied(text: &str) -> impl Iterator<Item = Applied> {
    let lines = text.lines().filter(|line| line.contains(APPLIED));
    lines.filter_map(|line| serde_json::from_str(line).ok()).filter(|line: &Applied| line.message == APPLIED)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(name: &str, more: &str) -> String {
        format!(r#"{{"level":"INFO","message":"ConfigMap applied","namespace":"agent","name":"{name}"{more}}}"#)
    }

    #[test]
    fn the_time_inside_the_process_is_read_of_one_toolset_config_from_a_place_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = fs::File::create(&path).unwrap();
        writeln!(file, "{}", line("default", r#","in_process_us":9000"#)).unwrap();
        let place = Place::end_of(&path).unwrap();
        for text in [
            line("default", r#","in_process_us":650"#),
            line("other", r#","in_process_us":1"#),
            // No event led to it.
            line("default", ""),
            line("default", r#","in_process_us":1200.5,"tools":15"#),
            "thread panicked after ConfigMap applied".to_owned(),
            r#"{"message":"after ConfigMap applied","namespace":"agent","name":"default","in_process_us":3}"#
                .to_owned(),
        ] {
            writeln!(file, "{text}").unwrap();
        }
        write!(file, "{}", &line("default", r#","in_process_us":7"#)[..60]).unwrap();

        let milliseconds = place.in_process("agent", "default").unwrap();
        assert_eq!(milliseconds, [0.65, 1.2005]);
    }

    #[test]
    fn a_missing_log_is_named() {
        let error = Place::end_of(Path::new("/nowhere/controller.log")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the log /nowhere/controller.log");
    }
}
