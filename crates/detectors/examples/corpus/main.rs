//! Scores the built-in rules on a corpus of Services whose product and endpoint are known, with and without their Pods.
//!
//! `cargo run -p detectors --example corpus -- [FILE…]`; the default is `../shared/corpus/*.json` beside the workspace.
//!
//! The output has a table with precision, recall and the number of right ports, schemes and paths per product, each
//! mistake with its Service, what the Pods settled, what the agent's own discovery would name, and a line of `key=value` pairs. The exit code is 1 if there is a
//! mistake, and 2 if a file cannot be read.
//!
//! An endpoint is chosen if its confidence is at least Medium and it is not displaced. `ExternalName` Services,
//! Services without a selector and MCP servers are never chosen, because a user must allow them. Per scenario, a chosen
//! Service and port is right if the corpus calls it usable with that port and the product is right. It is neutral if
//! the corpus calls it an alternate, and else a false positive. A usable one that is not chosen is missed. Rows that
//! the corpus calls undecidable, rows whose product or role only the Pod shows, and usable rows of products without a
//! detector, are listed but are no mistakes.
//!
//! Without Pods, the scheme counts where the Service shows it (`appProtocol`, a name that starts with `https`, a serving
//! certificate). The path counts where the rules or the corpus have one. A missing path is a note, because no Service
//! shows its path. With Pods, scheme and path count where the corpus says that Service and Pod prove them. Where they
//! do not, the rules must say that they assume the field.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its standard output")]

mod agent;
mod choose;
mod count;
mod read;
mod score;
mod settled;
mod tell;
mod with_pods;

use std::{path::PathBuf, process::ExitCode};

use read::Row;

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        files = read::default_files();
    }
    let mut rows: Vec<Row> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        match read::read(number, file) {
            Ok(more) => rows.extend(more),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    if rows.is_empty() {
        eprintln!("no corpus: give its files as arguments");
        return ExitCode::from(2);
    }
    let by_services = score::score(&rows);
    let by_pods = with_pods::score(&rows);
    println!("Services alone\n{}", by_services.text);
    if !by_pods.text.is_empty() {
        println!("With Pods\n{}", by_pods.text);
        println!("What the Pods settled\n{}", settled::settled(&rows));
    }
    let agent = agent::compare(&rows);
    println!("{}", agent.table());
    println!("{} {} {}", by_services.pairs, by_pods.pairs, agent.pairs());
    if by_services.mistakes + by_pods.mistakes == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
