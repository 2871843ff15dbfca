//! What the operator's metrics say.

use anyhow::{Context as _, Result, ensure};

/// The sum of all series of a metric, in the text that `/metrics` answers. Fails if there are none.
pub(super) fn total(exposition: &str, metric: &str) -> Result<f64> {
    let values = exposition.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        // Not a metric whose name is longer.
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next().unwrap_or_default())
    });
    let values = values.map(|value| value.parse().with_context(|| format!("{metric} has no number: {value}")));
    let values: Vec<f64> = values.collect::<Result<_>>()?;
    ensure!(!values.is_empty(), "the operator has no metric {metric}");
    Ok(values.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPOSITION: &str = "\
# TYPE reconciles counter
reconciles_total{result=\"Applied\"} 3
reconciles_total{result=\"a b\"} 4
reconciles_total_of_others 100
duration_seconds_count 7
# EOF
";

    #[test]
    fn all_series_of_a_metric_are_added_up() {
        assert!((total(EXPOSITION, "reconciles_total").unwrap() - 7.0).abs() < f64::EPSILON);
        assert!((total(EXPOSITION, "duration_seconds_count").unwrap() - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_metric_that_is_not_there_is_an_error_and_not_zero() {
        let error = total(EXPOSITION, "reconciles").unwrap_err();
        assert_eq!(error.to_string(), "the operator has no metric reconciles");
        assert!(total("reconciles_total many\n", "reconciles_total").is_err());
    }
}
