//! The memory of a process under test, as the kernel reports it.

use std::fs;

/// Measures the growth of a process since this was created.
#[derive(Debug)]
pub struct Memory {
    pid: u32,
    before: u64,
}

// === impl Memory ===

impl Memory {
    /// Records the current memory of the process.
    ///
    /// # Panics
    /// When there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        // Resets the peak (proc(5), `clear_refs`).
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process is ours");
        Self {
            pid,
            before: kib(pid, "VmRSS:"),
        }
    }

    /// The peak growth in MiB.
    ///
    /// # Panics
    /// When the process has exited.
    #[must_use]
    pub fn grown(&self) -> u64 {
        kib(self.pid, "VmHWM:").saturating_sub(self.before) / 1024
    }
}

fn kib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("the kernel tells it in KiB")
}
