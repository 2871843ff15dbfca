//! The alert rules, by Prometheus' own tool.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use e2e::chart;

/// The rules.
pub(crate) fn file() -> PathBuf {
    chart::OPERATOR.folder().join("files/alerts.yaml")
}

/// Fails if promtool finds something wrong.
pub(crate) fn promtool(arguments: &[&Path]) -> Result<()> {
    let Some(promtool) = chart::of_prometheus("promtool")? else { return Ok(()) };
    let output = Command::new(promtool).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() -> Result<()> {
    promtool(&[Path::new("check"), Path::new("rules"), &file()])
}

#[test]
fn every_alert_fires_in_its_situation_and_stays_quiet_beside_it() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart/alerts.test.yaml");
    promtool(&[Path::new("test"), Path::new("rules"), &tests])
}
