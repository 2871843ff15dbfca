//! The tier `fuzz`: all fuzz targets for a minute in total.

use std::time::Duration;

use anyhow::Result;

use super::report::Outcome;
use crate::{fuzz, tools};

/// The time for all targets together.
const TIME: Duration = Duration::from_secs(60);

/// Runs the targets with these names, or all.
pub(super) fn run(targets: &[String]) -> Result<Outcome> {
    if tools::cxx().is_none() {
        return Ok(Outcome::Skipped("a C++ compiler is missing to build libFuzzer".to_owned()));
    }
    let summary = fuzz::run_for(targets, TIME)?;
    Ok(match summary.not_compared {
        _ if !summary.findings.is_empty() => {
            Outcome::Failed(format!("there is a finding in {}; see the output above", summary.findings.join(", ")))
        }
        Some(why) => Outcome::Skipped(why),
        None => Outcome::Passed,
    })
}
