//! The results at one rate, as a table, as pairs, and compared with the promises.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::bench::{
    quantiles::Quantiles,
    report::{Report, number, print},
    requests::Requests,
};

/// Over the floor that writes an object of the same size.
const P50_OVER_FLOOR: f64 = 1.3;
const P95_OVER_FLOOR: f64 = 1.15;
/// Over the floor that writes a tiny object.
const P50_OVER_TINY: f64 = 1.4;
/// From the read of the watch event to the hand-over of the apply, in milliseconds.
const IN_PROCESS_P50: f64 = 0.7;
/// CPU per change, in milliseconds, and over the floor's, with so many tools.
const CPU: f64 = 1.0;
const CPU_OVER_FLOOR: f64 = 3.0;
const CPU_TOOLS: usize = 15;

/// What was measured of one program.
pub(super) struct Measured {
    name: &'static str,
    answer: Quantiles,
    /// `None` if it is not logged.
    in_process: Option<Quantiles>,
    /// CPU per change, in milliseconds.
    cpu: f64,
    /// Requests per change, without those for the lease, which depend on time.
    requests: f64,
    /// The name of the program.
    requested: String,
}

impl Measured {
    /// Fails if there were no changes.
    pub(super) fn of(
        name: &'static str,
        times: Vec<f64>,
        used: Duration,
        requests: &Requests,
        in_process: Vec<f64>,
    ) -> Result<Self> {
        let changes = u32::try_from(times.len())?;
        Ok(Self {
            name,
            answer: Quantiles::of(times).with_context(|| format!("no change of the {name} was measured"))?,
            in_process: Quantiles::of(in_process),
            cpu: used.as_secs_f64() * 1000.0 / f64::from(changes),
            requests: f64::from(requests.total() - requests.on("leases")) / f64::from(changes),
            requested: requests.per(changes),
        })
    }

    fn line(&self) -> String {
        let milliseconds = |value: Option<f64>| {
            let unit = if value.is_some() { "ms" } else { "  " };
            format!("{:>8} {unit}", number(value))
        };
        let answer = self.answer.named().map(|(_, value)| milliseconds(Some(value)));
        let inside = self.in_process.as_ref();
        let inside = [inside.map(|times| times.p50), inside.map(|times| times.p95)].map(milliseconds);
        let cpu = milliseconds(Some(self.cpu));
        format!("{:<12}{}{}{cpu}   {}", self.name, answer.concat(), inside.concat(), self.requested)
    }
}

/// Three measured at one rate: the operator, the floor with an object of the same size, the floor with a tiny object.
pub(super) struct Phase {
    pub(super) tools: usize,
    /// Size of the operator's ConfigMap.
    pub(super) bytes: usize,
    pub(super) changes: usize,
    pub(super) period: Duration,
    pub(super) measured: [Measured; 3],
}

impl Phase {
    /// Prints the table.
    pub(super) fn print(&self) {
        let Self { tools, bytes, changes, period, measured: [controller, floor, tiny] } = self;
        let tools = if *tools == 1 { "1 tool".to_owned() } else { format!("{tools} tools") };
        print(&format!(
            "\n{tools}, a ConfigMap of {bytes} bytes; {changes} changes, one per {} ms",
            period.as_millis()
        ));
        let headers = ["p50", "p95", "p99", "max", "inside p50", "p95", "CPU/change"].map(|text| format!("{text:>11}"));
        print(&format!("{:<12}{}   requests per change", "", headers.concat()));
        for one in &self.measured {
            print(&one.line());
        }
        for (name, other) in [("over floor", floor), ("over tiny", tiny)] {
            let ratios = controller.answer.over(&other.answer).map(|(_, ratio)| format!("{ratio:>10.2}×"));
            let cpu = controller.cpu / other.cpu;
            print(&format!("{name:<12}{}{:22}{cpu:>10.2}×", ratios.concat(), ""));
        }
    }

    /// Adds the results to the report, and whether the promises are kept.
    pub(super) fn report(&self, report: &mut Report) {
        let [controller, floor, tiny] = &self.measured;
        let prefix = format!("tools{}_{}ms", self.tools, self.period.as_millis());
        for one in &self.measured {
            let name = one.name.replace(' ', "_");
            for (which, value) in one.answer.named() {
                report.number(format_args!("{prefix}_{name}_{which}_ms"), Some(value));
            }
            report.number(format_args!("{prefix}_{name}_cpu_ms"), Some(one.cpu));
            report.number(format_args!("{prefix}_{name}_requests"), Some(one.requests));
        }
        let inside = controller.in_process.as_ref();
        report.number(format_args!("{prefix}_in_process_p50_ms"), inside.map(|times| times.p50));
        report.number(format_args!("{prefix}_in_process_p95_ms"), inside.map(|times| times.p95));
        for (name, other) in [("floor", floor), ("tiny", tiny)] {
            for (which, ratio) in controller.answer.over(&other.answer) {
                report.number(format_args!("{prefix}_over_{name}_{which}"), Some(ratio));
            }
            report.number(format_args!("{prefix}_over_{name}_cpu"), Some(controller.cpu / other.cpu));
        }
        self.promise(report);
    }

    fn promise(&self, report: &mut Report) {
        let [controller, floor, tiny] = &self.measured;
        let case = format!("{}, {} ms", counted(self.tools), self.period.as_millis());
        let over = |other: &Measured, which: fn(&Quantiles) -> f64| which(&controller.answer) / which(&other.answer);
        let p50: fn(&Quantiles) -> f64 = |quantiles| quantiles.p50;
        let what = format!("{case}: p50 over the floor's with an object of the same size");
        report.at_most(P50_OVER_FLOOR, "×", what, Some(over(floor, p50)));
        let what = format!("{case}: p95 over the floor's with an object of the same size");
        report.at_most(P95_OVER_FLOOR, "×", what, Some(over(floor, |quantiles| quantiles.p95)));
        // Even for the floor, an object of 15 tools costs 1.5 times as much as a tiny one.
        if self.tools == 1 {
            let what = format!("{case}: p50 over the floor's with a tiny object");
            report.at_most(P50_OVER_TINY, "×", what, Some(over(tiny, p50)));
        }
        let inside = controller.in_process.as_ref().map(|times| times.p50);
        report.at_most(IN_PROCESS_P50, " ms", format!("{case}: from the event read to the apply written, p50"), inside);
        if self.tools == CPU_TOOLS {
            report.at_most(CPU, " ms", format!("{case}: CPU per change"), Some(controller.cpu));
            let what = format!("{case}: CPU per change over the floor's");
            report.at_most(CPU_OVER_FLOOR, "×", what, Some(controller.cpu / floor.cpu));
        }
    }
}

fn counted(tools: usize) -> String {
    if tools == 1 { "1 tool".to_owned() } else { format!("{tools} tools") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &'static str, milliseconds: f64, in_process: Vec<f64>) -> Measured {
        let used = Duration::from_secs_f64(milliseconds * 10.0 / 1000.0);
        Measured::of(name, vec![milliseconds; 10], used, &Requests::default(), in_process).unwrap()
    }

    fn phase(milliseconds: f64, in_process: Vec<f64>) -> Phase {
        let measured = [
            measured("controller", milliseconds, in_process),
            measured("floor", 1.0, Vec::new()),
            measured("tiny floor", 0.9, Vec::new()),
        ];
        Phase { tools: 15, bytes: 8000, changes: 10, period: Duration::from_millis(100), measured }
    }

    fn is_kept(phase: &Phase) -> bool {
        let mut report = Report::new("freshness");
        phase.report(&mut report);
        report.kept()
    }

    #[test]
    fn an_operator_as_fast_as_the_floor_keeps_every_promise_and_a_slower_one_does_not() {
        assert!(is_kept(&phase(1.0, vec![0.3])));
        assert!(!is_kept(&phase(1.2, vec![0.3])));
    }

    #[test]
    fn without_the_time_inside_the_process_its_promise_is_broken() {
        assert!(!is_kept(&phase(1.0, Vec::new())));
    }

    #[test]
    fn nothing_measured_is_an_error() {
        let error = Measured::of("floor", Vec::new(), Duration::ZERO, &Requests::default(), Vec::new()).err().unwrap();
        assert_eq!(error.to_string(), "no change of the floor was measured");
    }
}
