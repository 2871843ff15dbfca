//! Generates the tables of the flags of `datastorage` from what its `--help` prints.
//!
//! ```text
//! datastorage SUBCOMMAND --help ──► flags ──► the tables between the marks in docs/data-storage/configuration.md
//! ```

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::workspace;

/// The subcommands whose flags the page lists, each after a mark with its name.
const SUBCOMMANDS: [&str; 6] = ["serve", "migrate", "verify", "drop-month", "embed", "check"];
/// The mark of the flags that every subcommand has.
const COMMON: &str = "common";

/// A flag as `--help` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Flag {
    /// The flag with its value, for example `--listen <ADDRESS>`.
    shown: String,
    /// The environment variable that stands for it.
    variable: Option<String>,
    /// The default, in Markdown.
    default: Option<String>,
    /// What it means.
    meaning: String,
    /// The values that it can have, with what they mean.
    values: Vec<(String, String)>,
}

/// The page with tables that show what the program prints.
///
/// Fails if a mark is missing, or the program does not print what it is asked for.
pub(super) fn page(page: &str, datastorage: &Path) -> Result<String> {
    let mut all = Vec::new();
    for subcommand in SUBCOMMANDS {
        let help = workspace::output(workspace::command(datastorage).args([subcommand, "--help"]))?;
        all.push((subcommand, flags(&help)));
    }
    let everywhere = |flag: &Flag| all.iter().all(|(_, flags)| flags.contains(flag));
    let common: Vec<_> = all.first().into_iter().flat_map(|(_, flags)| flags).filter(|flag| everywhere(flag)).collect();
    let mut page = replaced(page, COMMON, &table(&common))?;
    for (subcommand, flags) in &all {
        let own: Vec<_> = flags.iter().filter(|flag| !everywhere(flag)).collect();
        page = replaced(&page, subcommand, &table(&own))?;
    }
    Ok(page)
}

/// The page with this text between the two marks of a name.
fn replaced(page: &str, name: &str, text: &str) -> Result<String> {
    let (start, end) = (format!("<!-- flags: {name} -->\n"), format!("<!-- end of flags: {name} -->\n"));
    let (before, rest) = page.split_once(&start).with_context(|| format!("the page has no line {}", start.trim()))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("the page has no line {}", end.trim()))?;
    ensure!(!after.contains(&start), "the page has the line {} twice", start.trim());
    Ok(format!("{before}{start}{text}{end}{after}"))
}

fn table(flags: &[&Flag]) -> String {
    if flags.is_empty() {
        return "It has no flags of its own.\n".to_owned();
    }
    let mut table = "| flag | environment variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    for flag in flags {
        let variable = flag.variable.as_ref().map(|name| format!("`{name}`")).unwrap_or_default();
        let default = flag.default.as_deref().map(cell).unwrap_or_default();
        let mut meaning = vec![sentence(&flag.meaning)];
        meaning.extend(flag.values.iter().map(|(value, meaning)| format!("`{value}`: {}", sentence(meaning))));
        let meaning = meaning.join(" ");
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{}` | {variable} | {default} | {meaning} |", cell(&flag.shown));
    }
    table
}

/// Escapes text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Text of the program in Markdown, with a period at its end.
fn sentence(text: &str) -> String {
    format!("{}.", cell(text).replace('<', "\\<").trim_end_matches('.'))
}

/// The flags in the long help of clap, without `--help` and `--version`.
fn flags(help: &str) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    let (mut in_options, mut in_value) = (false, false);
    for line in help.lines() {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if text.is_empty() {
            in_value = false;
        } else if indent == 0 {
            in_options = text.ends_with(':') && !text.starts_with("Usage");
        } else if in_options && indent < 8 && text.starts_with('-') {
            let shown = text.find("--").and_then(|at| text.get(at..)).unwrap_or(text).to_owned();
            flags.push(Flag { shown, ..Flag::default() });
        } else if let Some(flag) = flags.last_mut().filter(|_| in_options) {
            let of_clap = |name: &str| text.strip_prefix(name).and_then(|text| text.strip_suffix(']'));
            if let Some((value, meaning)) = text.strip_prefix("- ").and_then(|text| text.split_once(':')) {
                in_value = true;
                flag.values.push((value.to_owned(), meaning.trim().to_owned()));
            } else if let Some((_, meaning)) = flag.values.last_mut().filter(|_| in_value) {
                meaning.extend([" ", text]);
            } else if let Some(variable) = of_clap("[env: ") {
                flag.variable = Some(variable.split('=').next().unwrap_or(variable).to_owned());
            } else if let Some(default) = of_clap("[default: ").filter(|_| flag.variable.is_some()) {
                flag.default = Some(format!("`{default}`"));
            } else if text != "Possible values:" {
                let space = if flag.meaning.is_empty() { "" } else { " " };
                flag.meaning.extend([space, text]);
            }
        }
    }
    flags.retain(|flag| !flag.shown.starts_with("--help") && !flag.shown.starts_with("--version"));
    for flag in &mut flags {
        // A default that depends on something else is described at the end of the meaning.
        let described = flag.meaning.strip_suffix(']').and_then(|text| text.rsplit_once(" [default: "));
        if let Some((meaning, default)) = described.map(|(meaning, default)| (meaning.to_owned(), default.to_owned())) {
            flag.meaning = meaning;
            flag.default = Some(default);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Serve the HTTP API

Usage: datastorage serve [OPTIONS]

Options:
      --listen <ADDRESS>
          The address of the API. With port 0, the service chooses
          a free port

          [env: DATASTORAGE_LISTEN=]
          [default: 0.0.0.0:8080]

      --auth <AUTH>
          Who may use the API, as <name>

          Possible values:
          - kubernetes: Tokens of the
                        cluster.
          - none:       Everybody

          [env: DATASTORAGE_AUTH=]
          [default: kubernetes]

      --ca <FILE>
          A file with certificates [default: those of the
          system]

          [env: DATASTORAGE_CA=]

  -h, --help
          Print help
";

    #[test]
    fn a_flag_has_its_variable_its_default_and_its_meaning_on_one_line() {
        let found = flags(HELP);
        let table = table(&found.iter().collect::<Vec<_>>());
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| `--listen <ADDRESS>` | `DATASTORAGE_LISTEN` | `0.0.0.0:8080` | The address of the API. With port 0, the \
                 service chooses a free port. |",
                "| `--auth <AUTH>` | `DATASTORAGE_AUTH` | `kubernetes` | Who may use the API, as \\<name>. `kubernetes`: Tokens \
                 of the cluster. `none`: Everybody. |",
                "| `--ca <FILE>` | `DATASTORAGE_CA` | those of the system | A file with certificates. |",
            ]
        );
    }

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let page = "a\n<!-- flags: serve -->\nold\n<!-- end of flags: serve -->\nb\n";
        let new = "a\n<!-- flags: serve -->\nnew\n<!-- end of flags: serve -->\nb\n";
        assert_eq!(replaced(page, "serve", "new\n").unwrap(), new);
        assert!(replaced(page, "verify", "new\n").is_err());
    }
}
