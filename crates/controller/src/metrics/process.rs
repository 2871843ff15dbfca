//! The metrics of this process. They are read from /proc at every scrape.

use std::{fs, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Clock ticks per second in /proc. Linux always uses 100 for user space.
const TICKS: f64 = 100.0;

/// Reads /proc. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(stat) = Stat::read() {
            let cpu = ConstCounter::new(stat.cpu.as_secs_f64());
            let help = "Total user and system CPU time";
            cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
            let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
            };
            gauge("process_resident_memory", "Resident memory size", Some(&Unit::Bytes), stat.resident)?;
            gauge("process_virtual_memory", "Virtual memory size", Some(&Unit::Bytes), stat.virtual_)?;
            if let Some(started) = stat.started {
                gauge(
                    "process_start_time",
                    "Start time of the process since the Unix epoch",
                    Some(&Unit::Seconds),
                    started,
                )?;
            }
            if let Ok(open) = fs::read_dir("/proc/self/fd") {
                gauge("process_open_fds", "Number of open file descriptors", None, count(open.count()))?;
            }
            if let Some(limit) = open_files_limit() {
                gauge("process_max_fds", "Maximum number of open file descriptors", None, limit)?;
            }
        }
        Ok(())
    }
}

struct Stat {
    cpu: Duration,
    resident: f64,
    virtual_: f64,
    started: Option<f64>,
}

impl Stat {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in parentheses and may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot = fs::read_to_string("/proc/stat").ok();
        let boot = boot.and_then(|text| text.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok()));
        Some(Self {
            cpu: Duration::from_secs_f64((field(14)? + field(15)?) / TICKS),
            resident: resident()?,
            virtual_: field(23)?,
            started: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS),
        })
    }
}

/// Page sizes differ between machines, so kilobytes are read instead of pages.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn open_files_limit() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
