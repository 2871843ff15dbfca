//! `datastorage verify`

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use audit::chain::Keys;
use serde_json::Value;

use super::print;
use crate::{
    args::{Database, Output, Verify},
    store::{self, Checkpoint, MigrateMode, MigrateOptions, Store, Vectors},
    verify::{self, Question, Reason, Report, Verdict},
};

/// Checks that the records are complete and unchanged. The exit code is 0 if they are, 1 if they are not, and 3 if
/// records have no key or a missing key. On an error, the check is not possible, and the exit code is 2.
pub async fn verify(database: &Database, flags: &Verify) -> Result<ExitCode> {
    let keys = Keys::from_files(&flags.chain_key_files)?;
    let has_keys = keys.current() != 0;
    let checkpoint = flags.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let has_checkpoint = checkpoint.is_some();
    let store = Store::new(&database.settings()?)?;
    // Says so if there is no schema, or one of another program.
    let check = MigrateOptions { mode: MigrateMode::Check, vectors: Vectors::Off, ..MigrateOptions::default() };
    store::migrate(&store, &check).await?;
    let question = Question { from_seq: flags.from_seq, to_seq: flags.to_seq, checkpoint, keys };
    let report = verify::verify(&store, &question).await?;
    match flags.output {
        Output::Json => print(&serde_json::to_string(&report)?)?,
        Output::Text => print(&text(&report, has_keys, has_checkpoint))?,
    }
    Ok(ExitCode::from(match report.result {
        Verdict::Verified => 0,
        Verdict::Tampered => 1,
        Verdict::Unverifiable => 3,
    }))
}

/// A checkpoint as JSON, or a file with it. Of a file with several, such as the output of the service, the last one counts.
fn read_checkpoint(given: &str) -> Result<Checkpoint> {
    if given.trim_start().starts_with('{') {
        return parse(given).context(
            "--checkpoint is not a checkpoint; expected {\"seq\":…,\"hash\":\"…\",\"key_id\":…,\"at\":\"…\"}",
        );
    }
    let content =
        std::fs::read_to_string(Path::new(given)).with_context(|| format!("cannot read --checkpoint {given}"))?;
    let whole = parse(&content);
    whole
        .or_else(|| content.lines().rev().find_map(parse))
        .with_context(|| format!("--checkpoint {given} contains no checkpoint"))
}

fn parse(json: &str) -> Option<Checkpoint> {
    let value: Value = serde_json::from_str(json).ok()?;
    let checkpoint = value.get("checkpoint").unwrap_or(&value);
    serde_json::from_value(checkpoint.clone()).ok()
}

/// The report for people.
fn text(report: &Report, has_keys: bool, has_checkpoint: bool) -> String {
    let mut lines = vec![match report.checked {
        1 => "1 record was checked.".to_owned(),
        checked => format!("{checked} records were checked."),
    }];
    for gap in &report.gaps {
        lines.push(format!(
            "Records {} to {} were dropped with their month. A later record confirms this.",
            gap.from, gap.to
        ));
    }
    match report.first_bad {
        Some(bad) => lines.push(match bad.reason {
            Reason::Content => format!("TAMPERED: the fields of record {} were changed.", bad.seq),
            Reason::Link => format!(
                "TAMPERED: record {} does not follow the record before it, or does not lead to the checkpoint.",
                bad.seq
            ),
            Reason::Missing => format!("TAMPERED: record {} is missing.", bad.seq),
            Reason::Duplicate => format!("TAMPERED: several records have the number {}.", bad.seq),
        }),
        None if report.result == Verdict::Unverifiable => {
            let last = report.last_unverifiable.unwrap_or_default();
            lines.push(format!(
                "UNVERIFIABLE: cannot check {} of these records. The last of them has the number {last}. They were written \
                 without a key, with a key that is missing, or by a newer program. All other records are unchanged. Add \
                 the missing keys with --chain-key-file. If you never used such a key, or if you have used a key since \
                 the first record, somebody wrote these records into the database. If you know that these records are \
                 older than the first key, use --from-seq {} to check only newer records.",
                report.unverifiable,
                last + 1
            ));
        }
        None => lines.push("VERIFIED: all records are present and unchanged.".to_owned()),
    }
    if report.verified && !has_keys {
        lines.push(
            "The records have no key, so the owner of the database can rewrite all of them. Start the service with \
             --chain-key-file."
                .to_owned(),
        );
    }
    if report.verified && !has_checkpoint {
        lines.push("Without --checkpoint, verify cannot find out whether the newest records were removed.".to_owned());
    }
    if report.verified {
        lines.push(
            "No hash covers the data that only search uses: the columns text_id and words, and the tables of texts \
             and vectors."
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &str = r#"{"seq":7,"hash":"00ff","key_id":1,"at":"2026-11-25T22:25:42.888123Z"}"#;

    #[test]
    fn a_checkpoint_is_read_from_json_and_from_the_output_of_the_service() {
        assert_eq!(read_checkpoint(CHECKPOINT).unwrap().seq, 7);
        assert_eq!(read_checkpoint(&format!(r#"{{"checkpoint":{CHECKPOINT},"count":3}}"#)).unwrap().key_id, 1);

        let file = tempfile::NamedTempFile::new().unwrap();
        let later = CHECKPOINT.replace("\"seq\":7", "\"seq\":9");
        std::fs::write(file.path(), format!("{{\"checkpoint\":{CHECKPOINT}}}\nnoise\n{{\"checkpoint\":{later}}}\n"))
            .unwrap();
        assert_eq!(read_checkpoint(file.path().to_str().unwrap()).unwrap().seq, 9);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_with_the_flag_in_the_message() {
        assert!(read_checkpoint("{}").unwrap_err().to_string().contains("--checkpoint"));
        assert!(read_checkpoint("/does/not/exist").unwrap_err().to_string().contains("/does/not/exist"));
    }
}
