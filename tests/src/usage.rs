//! What a process uses, from /proc.

use std::{fmt, fs, io::ErrorKind, path::Path, time::Duration};

use anyhow::{Context as _, Result};

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All of it, the program's own pages included.
    pub(crate) resident: u64,
    /// What the kernel cannot take back: heap and stacks.
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

impl Memory {
    /// Fails if there is no such process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        Self::parse(&fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?)
    }

    fn parse(status: &str) -> Result<Self> {
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.with_context(|| format!("no {name} in the status of a process"))?;
            kib.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} is no number: {kib}"))
        };
        Ok(Self { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resident, anonymous, peak) = (mebibytes(self.resident), mebibytes(self.anonymous), mebibytes(self.peak));
        write!(f, "{resident:.1} MiB resident, {anonymous:.1} MiB of it anonymous, {peak:.1} MiB at its peak")
    }
}

/// KiB as MiB.
pub(crate) fn mebibytes(kib: u64) -> f64 {
    // Exact up to 4 TiB.
    u32::try_from(kib).map_or(f64::MAX, f64::from) / 1024.0
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count())
}

/// User and system CPU time of a process since its start: exact to the nanosecond, or in steps of 10 ms where the
/// kernel keeps no statistics of its scheduler. Threads that have ended count in the second case only.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let exact = scheduled(Path::new(&format!("/proc/{pid}/task"))).unwrap_or_default();
    // A running process has been scheduled, so zero means that the kernel keeps no statistics.
    if !exact.is_zero() {
        return Ok(exact);
    }
    cpu_in_ticks(pid)
}

/// The same with the threads that have ended, but only as exact as the clock's ticks.
pub(crate) fn cpu_in_ticks(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not as documented: {stat}"))?;
    in_seconds(ticks)
}

/// The CPU time of a process and of the processes that it has started, also of those that have ended.
pub(crate) fn cpu_of_family(pid: u32) -> Result<Duration> {
    let mut all = cpu(pid)? + cpu_of_ended(pid)?;
    for process in fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(child) = process?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ends in the meantime is not counted.
        let parent = fs::read_to_string(format!("/proc/{child}/stat")).ok().and_then(|stat| parent(&stat));
        if parent == Some(pid) {
            all += cpu(child).unwrap_or_default();
        }
    }
    Ok(all)
}

/// The CPU time of the processes that a process has started and that have ended.
pub(crate) fn cpu_of_ended(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    in_seconds(ticks_of_ended(&stat).with_context(|| format!("{path} is not as documented: {stat}"))?)
}

fn in_seconds(ticks: u64) -> Result<Duration> {
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// Field 4 of proc(5).
fn parent(stat: &str) -> Option<u32> {
    u32::try_from(field(stat, 4)?).ok()
}

/// The CPU time of all threads, from their `schedstat`. A thread that ends in the meantime is not counted.
fn scheduled(threads: &Path) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(threads)? {
        let path = thread?.path().join("schedstat");
        match fs::read_to_string(&path) {
            Ok(text) => {
                all += on_cpu(&text).with_context(|| format!("{} is not as documented: {text}", path.display()))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(all)
}

/// The first of the three numbers, in nanoseconds.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    let numbers: Vec<u64> = schedstat.split_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [on_cpu, _waiting, _slices] = numbers[..] else { return None };
    Some(Duration::from_nanos(on_cpu))
}

/// Fields 14 and 15 of proc(5).
fn ticks(stat: &str) -> Option<u64> {
    Some(field(stat, 14)? + field(stat, 15)?)
}

/// Fields 16 and 17 of proc(5).
fn ticks_of_ended(stat: &str) -> Option<u64> {
    Some(field(stat, 16)? + field(stat, 17)?)
}

/// A field of proc(5) after the second, the program's name, which may contain blanks and parentheses.
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nRssAnon:\t    2048 kB\n";
        let memory = Memory::parse(status).unwrap();
        assert_eq!(memory, Memory { resident: 10_240, anonymous: 2_048, peak: 20_480 });
        assert_eq!(memory.to_string(), "10.0 MiB resident, 2.0 MiB of it anonymous, 20.0 MiB at its peak");
        assert!(Memory::parse("Name:\tzombie\n").is_err());
    }

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 12 30 3 4 20 0";
        assert_eq!((ticks(stat), ticks_of_ended(stat), parent(stat)), (Some(42), Some(7), Some(1)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_cpu_time_of_all_threads_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        for (thread, schedstat) in [("7", "305051138 420729740 712\n"), ("8", "1000 0 1\n")] {
            fs::create_dir(folder.path().join(thread)).unwrap();
            fs::write(folder.path().join(thread).join("schedstat"), schedstat).unwrap();
        }
        // It has ended after it was listed.
        fs::create_dir(folder.path().join("9")).unwrap();
        assert_eq!(scheduled(folder.path()).unwrap(), Duration::from_nanos(305_052_138));

        fs::write(folder.path().join("9/schedstat"), "version 15\n").unwrap();
        let error = scheduled(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("9/schedstat is not as documented: version 15\n"), "{error}");
        assert_eq!(on_cpu("1 2"), None);
    }

    #[test]
    fn this_process_has_memory_and_cpu_time() {
        let pid = std::process::id();
        let memory = Memory::of(pid).unwrap();
        assert!(memory.anonymous > 0 && memory.anonymous <= memory.resident && memory.resident <= memory.peak);
        let before = cpu(pid).unwrap();
        let mut number = 1_u64;
        while cpu(pid).unwrap() == before {
            number = number.wrapping_mul(31).rotate_left(7);
        }
    }
}
