//! Random numbers from a seed, so that a run can be repeated.

use std::time::Duration;

/// A generator of random numbers: `SplitMix64`, which needs no library and no state but one number.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator. The numbers depend only on the seed and the name.
    pub fn new(seed: u64, name: &str) -> Self {
        let named = name.bytes().fold(seed, |seed, byte| seed.rotate_left(9) ^ u64::from(byte));
        let mut random = Self(named);
        // Similar seeds give similar first states.
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, without `end`. 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        // Smaller than `end`, which was a usize.
        usize::try_from(self.next() % end.max(1)).unwrap_or_default()
    }

    /// True in `chance` of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of them. `None` if there are none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// A time between these two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis();
        let extra = self.below(usize::try_from(span).unwrap_or(usize::MAX));
        least + Duration::from_millis(u64::try_from(extra).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, name: &str) -> Vec<usize> {
        let mut random = Random::new(seed, name);
        (0..8).map(|_| random.below(1000)).collect()
    }

    #[test]
    fn the_numbers_depend_on_the_seed_and_the_name_only() {
        assert_eq!(numbers(1, "churn"), numbers(1, "churn"));
        assert_ne!(numbers(1, "churn"), numbers(2, "churn"));
        assert_ne!(numbers(1, "churn"), numbers(1, "faults"));
    }

    #[test]
    fn all_numbers_in_the_range_come_and_no_others() {
        let mut random = Random::new(7, "range");
        let mut seen = [0; 5];
        for _ in 0..500 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|count| (60..140).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.one_of::<u8>(&[]), None);
        let (least, most) = (Duration::from_secs(2), Duration::from_secs(3));
        assert!((0..100).all(|_| (least..most).contains(&random.between(least, most))));
    }

    #[test]
    fn a_chance_of_thirty_percent_is_met_in_about_thirty_of_a_hundred_cases() {
        let mut random = Random::new(3, "chance");
        let met = (0..10_000).filter(|_| random.percent(30)).count();
        assert!((2800..3200).contains(&met), "{met}");
    }
}
