//! The processor time of other programs, as the kernel counts it: what a busy machine distorts least.

use std::fs;
use std::time::Duration;

use crate::Result;

/// What a process has used so far, all of its threads together.
pub fn of(process: u32) -> Result<Duration> {
    Ok(read(process)?.used)
}

/// The same with its children.
pub fn of_family(parent: u32) -> Result<Duration> {
    let mut used = of(parent)?;
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has just ended is nobody's child any more.
        if let Ok(found) = read(process)
            && found.parent == parent
        {
            used += found.used;
        }
    }
    Ok(used)
}

struct Process {
    parent: u32,
    used: Duration,
}

fn read(process: u32) -> Result<Process> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold anything; what follows it may not.
    let (_, rest) = text.rsplit_once(')').ok_or("no name in /proc")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).copied().ok_or("too few fields in /proc");
    let ticks = field(11)?.parse::<u64>()? + field(12)?.parse::<u64>()?;
    let used = Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?;
    Ok(Process { parent: field(1)?.parse()?, used })
}
