//! Whether memory and descriptors stay flat.

use std::collections::BTreeMap;

/// What one process uses at one quiet moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// The replica, and how often it had been started.
    pub(super) process: (usize, usize),
    /// Resident memory, in MiB.
    pub(super) memory: f64,
    /// Open descriptors.
    pub(super) descriptors: usize,
}

/// A replica never uses more than this, in MiB. Programs that are not optimised use about three times as much as others.
const MEMORY: f64 = 96.0;
/// A replica never has more descriptors open. Each has some 25 watches and the connections of its writes.
const DESCRIPTORS: f64 = 150.0;
/// The first samples of a process are not compared, because it has not used all its code yet.
const WARM_UP: usize = 2;
/// With fewer samples after the warm-up, nothing is compared.
const COMPARED: usize = 6;
/// What the last third may use, as a multiple of the first third.
const GROWTH: f64 = 1.15;
/// How much more memory the last third may use in addition, in MiB.
const MORE_MEMORY: f64 = 3.0;
/// How many more descriptors the last third may have in addition. A replica that begins to lead opens connections for its
/// writes, of which it has at most 29 at the same time, and keeps them while they are used.
const MORE_DESCRIPTORS: f64 = 29.0;

/// The samples of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct UsageOverTime {
    samples: Vec<Sample>,
}

impl UsageOverTime {
    /// Adds what was measured at a quiet moment.
    pub(super) fn add(&mut self, samples: Vec<Sample>) {
        self.samples.extend(samples);
    }

    /// The highest values: memory and descriptors.
    pub(super) fn most(&self) -> (f64, f64) {
        let most = |of: fn(&Sample) -> f64| self.samples.iter().map(of).fold(0.0, f64::max);
        (most(|sample| sample.memory), most(descriptors))
    }

    /// The median of the first and of the last third of the process with the most samples: memory and descriptors.
    pub(super) fn thirds(&self) -> Option<[(f64, f64); 2]> {
        let longest = self.processes().into_values().max_by_key(Vec::len)?;
        Some([thirds(&longest, |sample| sample.memory)?, thirds(&longest, descriptors)?])
    }

    /// What grows, or is too large.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let most = self.most();
        for (what, most, limit) in [("MiB of memory", most.0, MEMORY), ("descriptors", most.1, DESCRIPTORS)] {
            if most > limit {
                problems.push(format!("a replica uses {most:.1} {what}, and at most {limit} is promised"));
            }
        }
        for ((replica, start), samples) in self.processes() {
            let memory: fn(&Sample) -> f64 = |sample| sample.memory;
            for (what, of, more) in
                [("MiB of memory", memory, MORE_MEMORY), ("descriptors", descriptors, MORE_DESCRIPTORS)]
            {
                let Some((first, last)) = thirds(&samples, of) else { continue };
                if last > first * GROWTH + more {
                    problems.push(format!(
                        "replica {replica}, start {start}: from {first:.1} to {last:.1} {what} in {} quiet moments",
                        samples.len()
                    ));
                }
            }
        }
        problems
    }

    fn processes(&self) -> BTreeMap<(usize, usize), Vec<&Sample>> {
        let mut processes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for sample in &self.samples {
            processes.entry(sample.process).or_default().push(sample);
        }
        processes
    }
}

fn descriptors(sample: &Sample) -> f64 {
    u32::try_from(sample.descriptors).map_or(f64::MAX, f64::from)
}

/// The medians of the first and of the last third. `None` if there are too few samples to compare.
fn thirds(samples: &[&Sample], of: impl Fn(&Sample) -> f64) -> Option<(f64, f64)> {
    let values: Vec<f64> = samples.iter().skip(WARM_UP).map(|sample| of(sample)).collect();
    if values.len() < COMPARED {
        return None;
    }
    let third = values.len() / 3;
    Some((median(&values[..third])?, median(&values[values.len() - third..])?))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: impl IntoIterator<Item = (f64, usize)>) -> UsageOverTime {
        let sample = |(memory, descriptors)| Sample { process: (0, 1), memory, descriptors };
        UsageOverTime { samples: values.into_iter().map(sample).collect() }
    }

    #[test]
    fn a_flat_process_has_no_problem_and_its_warm_up_does_not_count() {
        let mut values = vec![(5.0, 10), (9.0, 12)];
        values.extend([(20.0, 40), (20.5, 42), (19.5, 39), (21.0, 41), (20.0, 40), (20.4, 40)]);
        let run = run(values);
        assert_eq!(run.problems(), Vec::<String>::new());
        assert_eq!(run.thirds(), Some([(20.5, 20.4), (42.0, 40.0)]));
        assert_eq!(run.most(), (21.0, 42.0));
    }

    #[test]
    fn growth_is_found() {
        let memory = run((0..12).map(|number| (20.0 + 2.0 * f64::from(number), 40)));
        assert!(memory.problems()[0].ends_with("MiB of memory in 12 quiet moments"), "{:?}", memory.problems());
        let descriptors = run((0..12).map(|number| (20.0, 40 + 6 * number)));
        assert!(descriptors.problems()[0].contains("descriptors"), "{:?}", descriptors.problems());
    }

    #[test]
    fn a_replica_that_begins_to_lead_may_open_its_connections() {
        let values = (0..12).map(|number| (13.0, if number < 6 { 27 } else { 41 }));
        assert_eq!(run(values).problems(), Vec::<String>::new());
    }

    #[test]
    fn a_single_sample_beyond_the_bounds_is_found() {
        assert_eq!(run([(20.0, 40), (500.0, 400)]).problems().len(), 2);
    }

    #[test]
    fn processes_are_not_compared_with_each_other() {
        let sample = |start: usize| Sample {
            process: (1, start),
            memory: 10.0 * f64::from(u8::try_from(start).unwrap()),
            descriptors: 40,
        };
        let run = UsageOverTime { samples: (1..9).map(sample).collect() };
        assert_eq!((run.problems(), run.thirds()), (Vec::new(), None));
    }
}
