//! What a process and its children use: processor time, context switches, memory, from /proc. Not what the rest of the
//! machine does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// A moment's account of a process tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// Nanoseconds of processor time by thread.
    tasks: BTreeMap<u32, u64>,
    /// Clock ticks in user mode and in the kernel, threads that have ended included.
    user_ticks: u64,
    system_ticks: u64,
    switches: u64,
    pub(super) rss_bytes: u64,
    pub(super) pss_bytes: Option<u64>,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) cpu_nanos: u64,
    /// Of the thread that used most.
    pub(super) busiest_nanos: u64,
    /// The share of the time spent in the kernel.
    pub(super) kernel_share: f64,
    pub(super) switches: u64,
    pub(super) rss_bytes: u64,
    pub(super) pss_bytes: Option<u64>,
}

impl Account {
    /// Reads the account of a process and, if wanted, of all that descend from it.
    pub(super) fn read(pid: u32, with_children: bool) -> io::Result<Account> {
        let mut account = Account::default();
        account.add(pid)?;
        if with_children {
            for child in descendants(pid) {
                // A child may end while one looks at it.
                let _ = account.add(child);
            }
        }
        Ok(account)
    }

    /// Whether this process is one of those that were looked at.
    pub(super) fn has_task(&self, pid: u32) -> bool {
        self.tasks.contains_key(&pid)
    }

    fn add(&mut self, pid: u32) -> io::Result<()> {
        let folder = format!("/proc/{pid}");
        let folder = Path::new(&folder);
        let stat = fs::read_to_string(folder.join("stat"))?;
        // The second field is a name in parentheses that may hold anything, also spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number =
            |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        self.user_ticks += number(11);
        self.system_ticks += number(12);
        for task in fs::read_dir(folder.join("task"))? {
            let task = task?;
            let Some(id) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanos = schedstat.split_whitespace().next().and_then(|field| field.parse().ok());
            self.tasks.insert(id, nanos.unwrap_or(0));
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            self.switches += line(&status, "voluntary_ctxt_switches:").unwrap_or(0)
                + line(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        let status = fs::read_to_string(folder.join("status"))?;
        // A process that ends has given its memory back before its connections break.
        let rss = line(&status, "VmRSS:").ok_or(io::ErrorKind::NotFound)?;
        self.rss_bytes += rss * 1_024;
        let rollup = fs::read_to_string(folder.join("smaps_rollup")).ok();
        if let Some(pss) = rollup.as_deref().and_then(|rollup| line(rollup, "Pss:")) {
            self.pss_bytes = Some(self.pss_bytes.unwrap_or(0) + pss * 1_024);
        }
        Ok(())
    }

    /// What was used since an earlier account of the same process.
    pub(super) fn since(&self, earlier: &Account) -> Usage {
        let spent =
            |(task, nanos): (&u32, &u64)| nanos.saturating_sub(earlier.tasks.get(task).copied().unwrap_or(0));
        let by_tasks: u64 = self.tasks.iter().map(spent).sum();
        let user = self.user_ticks.saturating_sub(earlier.user_ticks);
        let system = self.system_ticks.saturating_sub(earlier.system_ticks);
        let by_ticks = (user + system) * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1));
        // Threads that ended meanwhile are missing among the tasks; ticks are coarse, but they have them.
        let cpu_nanos = if by_ticks > by_tasks + by_tasks / 20 + 50_000_000 { by_ticks } else { by_tasks };
        Usage {
            cpu_nanos,
            busiest_nanos: self.tasks.iter().map(spent).max().unwrap_or(0),
            kernel_share: system as f64 / (user + system).max(1) as f64,
            switches: self.switches.saturating_sub(earlier.switches),
            rss_bytes: self.rss_bytes,
            pss_bytes: self.pss_bytes,
        }
    }
}

/// The number behind a name in a file of lines.
fn line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.push((child, parent.unwrap_or(0)));
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

/// Processor time of the whole machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Machine {
    busy_ticks: u64,
    stolen_ticks: u64,
}

/// What the whole machine did between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct MachineUsage {
    pub(super) busy_nanos: u64,
    /// What the hypervisor gave to others.
    pub(super) stolen_nanos: u64,
}

impl Machine {
    pub(super) fn read() -> io::Result<Machine> {
        let stat = fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        // user, nice, system, idle, iowait, irq, softirq, steal
        Ok(Machine { busy_ticks: at(0) + at(1) + at(2) + at(5) + at(6), stolen_ticks: at(7) })
    }

    pub(super) fn since(&self, earlier: &Machine) -> MachineUsage {
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        MachineUsage {
            busy_nanos: self.busy_ticks.saturating_sub(earlier.busy_ticks) * tick,
            stolen_nanos: self.stolen_ticks.saturating_sub(earlier.stolen_ticks) * tick,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_an_account() {
        let pid = std::process::id();
        let before = Account::read(pid, true).unwrap();
        let mut sum = 0_u64;
        for number in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        let after = Account::read(pid, true).unwrap();
        let usage = after.since(&before);
        assert!(usage.cpu_nanos > 1_000_000, "{usage:?}");
        assert!(usage.busiest_nanos <= usage.cpu_nanos && usage.rss_bytes > 1 << 20, "{usage:?}");
        assert!(Account::read(0, false).is_err());
    }

    #[test]
    fn lines_are_found_by_name() {
        assert_eq!(line("VmPeak: 9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1_234));
        assert_eq!(line("", "VmRSS:"), None);
    }
}
