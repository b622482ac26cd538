//! What a process has used so far, as the kernel tells it.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The kernel counts processor time for readers in these, whatever its own clock is (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: u64 = 100;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time since the process began, microseconds.
    pub cpu_us: u64,
    pub rss_kib: u64,
    pub rss_max_kib: u64,
}

/// Of a process by its id, or of `self`.
pub fn of(process: &str) -> anyhow::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is a name in parentheses that may hold anything; times are the 14th and 15th.
    let (_, rest) = stat.rsplit_once(')').context("a stat line")?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap_or(0)).sum();
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a status line")?;
        Ok(line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?)
    };
    Ok(Usage {
        cpu_us: ticks * 1_000_000 / TICKS_PER_SECOND,
        rss_kib: kib("VmRSS:")?,
        rss_max_kib: kib("VmHWM:")?,
    })
}

/// Processor time of the whole machine so far: used, and idle, in ticks.
#[derive(Clone, Copy)]
pub struct Machine {
    busy: u64,
    idle: u64,
}

impl Machine {
    pub fn now() -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal; the guests' times are in user and nice already.
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
        let idle = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: ticks.iter().sum::<u64>() - idle, idle })
    }

    /// The share of it that was used between two moments.
    pub fn busy_since(self, before: Self) -> f64 {
        let (busy, idle) = (self.busy.saturating_sub(before.busy), self.idle.saturating_sub(before.idle));
        busy as f64 / (busy + idle).max(1) as f64
    }
}
