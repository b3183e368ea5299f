//! The memory of another process, as the kernel counts it.

use std::fs;

use crate::Result;

/// A line of `/proc/PID/status`, such as `VmRSS:` (resident now) or `VmHWM:` (resident at most), in units of 1000 bytes.
pub fn memory_kb(process: u32, line: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let found = status.lines().find(|text| text.starts_with(line));
    let found = found.ok_or_else(|| format!("no {line} in /proc"))?;
    let kibibytes: u64 = found.split_whitespace().nth(1).ok_or("no number of kibibytes in /proc")?.parse()?;
    Ok(kibibytes * 1024 / 1000)
}
