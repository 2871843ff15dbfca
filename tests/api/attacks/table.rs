//! The table of all vectors: what was tried, what happened, and how many packets went to forbidden addresses.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

/// What a tenant may try, in the order of the table. Each module lists the threats that it covers.
pub(crate) const THREATS: [&str; 22] = [
    "endpoint injection",
    "address games",
    "slices made by hand",
    "probes of another address",
    "answers to probes",
    "probes that lie",
    "credential redirection",
    "a ToolsetConfig of one's own",
    "template and secret expansion",
    "prompt injection",
    "command execution",
    "spoofing a trusted tool",
    "MCP text",
    "name games",
    "flood",
    "oversized and odd objects",
    "fast changes",
    "stale entries",
    "writing where it is not allowed",
    "the operator's own ports",
    "text to people",
    "text to the model",
];

/// The result of one vector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// The place of its threat in [`THREATS`].
    place: usize,
    vector: String,
    happened: String,
    /// The number of packets to addresses that do not belong to a Pod that may be probed.
    packets: usize,
}

static ROWS: Mutex<BTreeSet<Row>> = Mutex::new(BTreeSet::new());

/// Adds a line. `packets` is the number of packets to forbidden addresses.
pub(crate) fn add(threat: &str, vector: &str, happened: &str, packets: usize) -> Result<()> {
    let place = THREATS.iter().position(|known| *known == threat).with_context(|| format!("{threat} is no threat"))?;
    let row = Row { place, vector: vector.to_owned(), happened: happened.to_owned(), packets };
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(rows.insert(row), "{vector} is in the table already");
    Ok(())
}

/// Fails if one of the threats of a module has no line. Prints the module's lines, and writes the table with the lines
/// of all modules so far.
pub(crate) fn complete(threats: &[&str]) -> Result<()> {
    // The lock is held until the file is written. Otherwise a test that ends at the same time could overwrite the file
    // with fewer lines.
    let rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    for threat in threats {
        ensure!(rows.iter().any(|row| THREATS[row.place] == *threat), "no vector of {threat} was tried");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(folder.join("attack-table.md"), text(&rows))?;
    let own: BTreeSet<Row> = rows.iter().filter(|row| threats.contains(&THREATS[row.place])).cloned().collect();
    drop(rows);
    // Standard error instead of `print`, whose output libtest shows only for a failed test.
    writeln!(std::io::stderr(), "{}", text(&own))?;
    Ok(())
}

fn text(rows: &BTreeSet<Row>) -> String {
    let mut text = "| threat | vector | what happened | packets out |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let vector: String = row.vector.chars().map(shown).collect();
        let line = format!("| {} | {vector} | {} | {} |\n", THREATS[row.place], row.happened, row.packets);
        text.push_str(&line);
    }
    text
}

/// A character in a cell. A character outside of ASCII is escaped, because it could look like another one.
fn shown(c: char) -> String {
    match c {
        '|' => "\\|".to_owned(),
        ' '..='~' => c.to_string(),
        _ => c.escape_default().to_string(),
    }
}

#[test]
fn every_threat_is_tried_by_one_module() {
    let modules = [
        super::endpoints::THREATS,
        super::addresses::THREATS,
        super::slices::THREATS,
        super::names::THREATS,
        super::texts::THREATS,
        super::objects::THREATS,
        super::probing::THREATS,
        super::answers::THREATS,
        super::lies::THREATS,
        super::spec::THREATS,
        super::flood::THREATS,
    ];
    let mut tried = modules.concat();
    tried.sort_unstable();
    let mut threats = THREATS;
    threats.sort_unstable();
    assert_eq!(tried, threats);
}
