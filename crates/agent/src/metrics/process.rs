//! What the kernel says of this process (proc(5)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::unistd::{SysconfVar, sysconf};

/// Figures of the process. What cannot be read is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Resident memory, bytes.
    pub(super) resident: Option<u64>,
    /// Open descriptors.
    pub(super) files: Option<u64>,
    /// Processor time of all its threads.
    pub(super) cpu: Option<Duration>,
}

impl Process {
    pub(super) fn look() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let files = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            resident: field(&stat, 24)
                .zip(unit(SysconfVar::PAGE_SIZE))
                .map(|(pages, size)| pages * size),
            files: files.map(|files| files.count() as u64),
            cpu: cpu(&stat),
        }
    }
}

/// When this process looked for the first time, Unix time: the agent does at its start.
pub(super) fn started() -> Duration {
    static STARTED: std::sync::OnceLock<Duration> = std::sync::OnceLock::new();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH);
    *STARTED.get_or_init(|| now().unwrap_or_default())
}

/// utime and stime, in ticks.
fn cpu(stat: &str) -> Option<Duration> {
    let ticks = field(stat, 14)? + field(stat, 15)?;
    let per_second = unit(SysconfVar::CLK_TCK).filter(|unit| *unit > 0)?;
    Some(Duration::from_millis(ticks * 1000 / per_second))
}

/// A field of `stat` by its number in proc(5). The second is the program's name, in parentheses and with whatever in it.
fn field(stat: &str, number: usize) -> Option<u64> {
    let behind = stat.rsplit_once(')')?.1;
    behind.split_whitespace().nth(number - 3)?.parse().ok()
}

fn unit(variable: SysconfVar) -> Option<u64> {
    u64::try_from(sysconf(variable).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name_whatever_is_in_it() {
        let mut stat = "7 (a) b (c) S".to_owned();
        for number in 4..=52 {
            stat.push_str(&format!(" {number}"));
        }
        assert_eq!((field(&stat, 14), field(&stat, 24)), (Some(14), Some(24)));
        assert_eq!(field("7 (cut", 14), None);
        assert_eq!(field("7 (cut) S 1", 14), None);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let process = Process::look();
        assert!(process.resident.unwrap() > 1 << 20, "{process:?}");
        assert!(process.files.unwrap() >= 3, "{process:?}");
        assert!(process.cpu.is_some());
        assert_eq!(started(), started());
    }
}
