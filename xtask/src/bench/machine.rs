//! CPU time and memory of processes, and which core runs what. Linux only. Used by every benchmark.

use std::{fs, time::Duration};

use anyhow::Context as _;
use rustix::{
    process::{Pid, Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The core of the proxy and the core of the load generator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    pub(super) proxy: usize,
    pub(super) load: usize,
}

impl Cores {
    /// The first two cores that this process may use.
    pub(super) fn choose() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let (Some(proxy), Some(load)) = (cores.next(), cores.next()) else {
            anyhow::bail!(
                "the proxy and the load generator need a core each, and there is only one"
            );
        };
        Ok(Self { proxy, load })
    }
}

/// Binds the calling thread, and what it starts from now on, to a core.
pub(super) fn bind_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None::<Pid>, &set).with_context(|| format!("cannot use core {core}"))
}

/// Raises the limit of open files to what the system allows.
pub(super) fn raise_file_limit() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The CPU time of processes with all their threads.
pub(super) fn cpu(pids: &[u32]) -> anyhow::Result<Duration> {
    let mut total = 0;
    for pid in pids {
        let folder = format!("/proc/{pid}/task");
        let threads = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
        for thread in threads {
            let path = thread?.path().join("schedstat");
            // A thread may end after it was listed.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let nanos = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
            total += nanos.with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    Ok(Duration::from_nanos(total))
}

/// The resident memory of processes, in bytes.
pub(super) fn resident(pids: &[u32]) -> anyhow::Result<u64> {
    let mut total = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes =
            line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
        total += kilobytes.unwrap_or(0_u64) * 1024;
    }
    Ok(total)
}

/// A process and all its descendants.
pub(super) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        family.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
        at += 1;
    }
    family
}

/// One line that describes the machine.
pub(super) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{model}, {cores} cores, Linux {}, load average before {}",
        kernel.trim(),
        load.split(' ').next().unwrap_or("?")
    )
}
