//! Processor time of other processes.

use std::fs;

/// Seconds that all threads of this process have run so far, by the scheduler's own account, in
/// nanoseconds; zero where the system does not tell.
pub(super) fn seconds(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}
