//! How much memory a process and its children have used at the most, as the kernel counts it (Linux).

use std::time::{Duration, Instant};

/// How old a measurement may be: reading it takes longer than a fast invocation.
const FRESH: Duration = Duration::from_millis(50);

/// The most memory that one environment has used.
#[derive(Default)]
pub struct Memory {
    used_mb: u64,
    measured: Option<Instant>,
}

impl Memory {
    /// The most that the process `id` and its children have used until now, in MB, rounded up. The number is up
    /// to 50 ms old; 0 where the kernel does not tell, and the last one known when the process has ended.
    pub fn used_mb(&mut self, id: u32) -> u64 {
        if self.measured.is_none_or(|at| at.elapsed() >= FRESH) {
            self.measured = Some(Instant::now());
            self.used_mb = self.used_mb.max(peak_kb(id, 0).div_ceil(1024));
        }
        self.used_mb
    }
}

fn peak_kb(id: u32, depth: u32) -> u64 {
    const DEPTH_MAX: u32 = 8;
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let own: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = children.split_whitespace().filter_map(|child| child.parse().ok());
    own + ids.filter(|_| depth < DEPTH_MAX).map(|child| peak_kb(child, depth + 1)).sum::<u64>()
}
