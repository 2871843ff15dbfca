//! Quantiles of what was measured.

/// The quantiles that are reported, by nearest rank: each is a value that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Quantiles {
    /// `None` of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let rank = |hundredths: usize| {
            let position = (values.len() * hundredths).div_ceil(100);
            values.get(position.saturating_sub(1)).copied()
        };
        Some(Self { p50: rank(50)?, p95: rank(95)?, p99: rank(99)?, max: rank(100)? })
    }

    /// Each of them, with its name.
    pub(super) fn named(&self) -> [(&'static str, f64); 4] {
        [("p50", self.p50), ("p95", self.p95), ("p99", self.p99), ("max", self.max)]
    }

    /// Each of them over that of another sample.
    pub(super) fn over(&self, other: &Self) -> [(&'static str, f64); 4] {
        let mut ratios = self.named();
        for ((_, ratio), (_, divisor)) in ratios.iter_mut().zip(other.named()) {
            *ratio /= divisor;
        }
        ratios
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample_by_nearest_rank() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        let quantiles = Quantiles::of(values).unwrap();
        assert_eq!(quantiles, Quantiles { p50: 500.0, p95: 950.0, p99: 990.0, max: 1000.0 });
    }

    #[test]
    fn a_sample_is_compared_quantile_by_quantile() {
        let of = |values: &[f64]| Quantiles::of(values.to_vec()).unwrap();
        let ratios = of(&[2.0, 6.0]).over(&of(&[1.0, 2.0]));
        assert_eq!(ratios, [("p50", 2.0), ("p95", 3.0), ("p99", 3.0), ("max", 3.0)]);
    }

    #[test]
    fn a_single_value_is_every_quantile_and_nothing_has_none() {
        assert_eq!(Quantiles::of(vec![3.5]).unwrap(), Quantiles { p50: 3.5, p95: 3.5, p99: 3.5, max: 3.5 });
        assert_eq!(Quantiles::of(Vec::new()), None);
    }
}
