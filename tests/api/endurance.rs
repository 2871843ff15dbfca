//! One minute of what `cargo xtask bench endurance` does for an hour.

use std::{collections::hash_map::RandomState, env, hash::BuildHasher as _, time::Duration};

use anyhow::{Context as _, Result};
use e2e::{
    controlplane::controllers_run,
    endurance::{self, Options},
    harness::prelude::*,
};

use crate::harness::skipped;

/// Repeats the changes and faults of an earlier run.
const SEED: &str = "TOOLSET_TEST_SEED";

#[tokio::test]
#[allow(clippy::print_stdout, reason = "libtest shows what is printed this way with the failed test")]
async fn under_changes_faults_and_deaths_of_the_leader_every_write_is_right() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let seed = env::var(SEED).ok().map(|text| text.parse()).transpose().context(SEED)?;
    let options = Options {
        seed: seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id())),
        // Only the rounds that every run has: without faults, and with each thing that can happen to a leader.
        duration: Duration::ZERO,
        round: (Duration::from_secs(10), Duration::from_secs(14)),
        changes: 20,
        rest: Duration::from_secs(3),
        restricted: true,
        forget_logs: false,
    };
    scenario("endurance", async |world| {
        let outcome = endurance::run(world, &options, |line| println!("{line}")).await?;
        println!("{outcome:#?}");
        assert_eq!(outcome.problems, Vec::<String>::new(), "to repeat it, set {SEED}={}", options.seed);
        assert!(outcome.stops > 0 && outcome.faults > 0 && outcome.versions > 0, "nothing was checked");
        Ok(())
    })
    .await
}
