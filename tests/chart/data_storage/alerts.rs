//! The alert rules, by Prometheus' own tool.

use std::path::Path;

use anyhow::Result;
use e2e::chart::DATA_STORAGE;

use crate::alerts::promtool;

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() -> Result<()> {
    promtool(&[Path::new("check"), Path::new("rules"), &DATA_STORAGE.folder().join("files/alerts.yaml")])
}

#[test]
fn every_alert_fires_in_its_situation_and_stays_quiet_beside_it() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart/data_storage/alerts.test.yaml");
    promtool(&[Path::new("test"), Path::new("rules"), &tests])
}
