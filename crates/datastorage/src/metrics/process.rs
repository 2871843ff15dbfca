//! The metrics of this process. They are read at every scrape.

use procfs::{ProcResult, process::Process as Own};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Reads /proc. If it cannot be read, there are no metrics of the process.
#[derive(Debug)]
pub(super) struct Process;

struct Figures {
    cpu: f64,
    started: f64,
    resident: u64,
    virtual_: u64,
    open_files: usize,
}

impl Figures {
    fn read() -> ProcResult<Self> {
        let own = Own::myself()?;
        let stat = own.stat()?;
        // The kernel counts ticks and pages. Both numbers are small enough for their type.
        #[allow(clippy::cast_precision_loss, reason = "a process does not live for 2^52 ticks")]
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let booted = procfs::boot_time_secs()? as f64;
        Ok(Self {
            cpu: seconds(stat.utime + stat.stime),
            started: booted + seconds(stat.starttime),
            resident: stat.rss * procfs::page_size(),
            virtual_: stat.vsize,
            open_files: own.fd_count()?,
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Ok(figures) = Figures::read() else { return Ok(()) };
        let cpu = ConstCounter::new(figures.cpu);
        let help = "Total user and system CPU time";
        cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        let started = ConstGauge::new(figures.started);
        let help = "Start time of the process since the Unix epoch";
        let kind = started.metric_type();
        started.encode(encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), kind)?)?;
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        gauge("process_resident_memory", "Resident memory size", Some(&Unit::Bytes), figures.resident)?;
        gauge("process_virtual_memory", "Virtual memory size", Some(&Unit::Bytes), figures.virtual_)?;
        gauge("process_open_fds", "Number of open file descriptors", None, figures.open_files as u64)
    }
}
