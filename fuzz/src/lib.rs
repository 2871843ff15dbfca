//! Fuzz targets. Each takes bytes, makes an input of them, and checks what holds for all inputs.
//!
//! ```text
//! bytes ──► Input ──► Service, Pod, spec, file … ──► the code under test ──► checks ──► Ok, or what does not hold
//! ```
//! `cargo xtask fuzz` builds `main.rs` with libFuzzer, which changes the bytes so that they reach new code. The unit
//! tests run each target with random bytes.

/// Returns a [`Broken`] unless the condition holds.
macro_rules! check {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(crate::Broken(format!($($what)+)));
        }
    };
}

pub mod checks;
pub mod input;
pub mod pod;
mod python;
pub mod spec;
pub mod targets;
pub mod words;
pub mod world;

use std::fmt;

/// What does not hold for an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of one run of a target.
pub type Outcome = Result<(), Broken>;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name on the command line.
    pub name: &'static str,
    /// Runs it with one input.
    pub run: fn(&[u8]) -> Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a meaning, the same ones in each run.
    fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let length = usize::from(next()) * 4;
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn every_target_holds_for_random_bytes() {
        for target in targets::ALL {
            for seed in 0..40 {
                let data = if seed == 0 { Vec::new() } else { noise(seed) };
                let outcome = (target.run)(&data);
                assert_eq!(outcome, Ok(()), "{} with seed {seed}", target.name);
            }
        }
    }

    #[test]
    fn the_names_of_targets_are_unique_and_sorted() {
        let names: Vec<_> = targets::ALL.iter().map(|target| target.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
