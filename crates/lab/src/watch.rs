//! When a guest's addresses became usable: a thread inside the guest that reads `/proc/thread-self/net/if_inet6`.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::guest::INTERFACE;
use crate::run::Namespace;

/// How often it reads; the resolution of what it measures.
const POLL: Duration = Duration::from_millis(10);

/// IFA_F_TENTATIVE of `linux/if_addr.h`: duplicate address detection has not ended.
const IFA_F_TENTATIVE: u32 = 0x40;
/// IFA_F_DADFAILED of `linux/if_addr.h`.
const IFA_F_DADFAILED: u32 = 0x08;

/// A watch that runs until the addresses are usable or it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Option<Duration>>>>,
}

impl Watch {
    /// Starts watching the guest's link, which need not be there yet, for all of `wanted`.
    pub fn start(namespace: PathBuf, wanted: Vec<Ipv6Addr>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            Namespace::enter(&namespace)?;
            watch(&wanted, &stopped)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Whether it has seen what it waits for.
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it. The time from the link's first address, which is the link-local one that the kernel or the client
    /// forms when the link comes up, until all wanted ones were usable; `None` when they never were.
    ///
    /// # Errors
    /// When the guest could not be watched.
    pub fn finish(mut self) -> Result<Option<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return Ok(None);
        };
        thread.join().map_err(|_| anyhow!("the watch panicked"))?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(wanted: &[Ipv6Addr], stop: &AtomicBool) -> Result<Option<Duration>> {
    let mut link_up = None;
    while !stop.load(Ordering::Relaxed) {
        let text = fs::read_to_string("/proc/thread-self/net/if_inet6").context("if_inet6")?;
        let now = Instant::now();
        let (any, usable) = parse(&text);
        if any {
            let since = *link_up.get_or_insert(now);
            if wanted.iter().all(|address| usable.contains(address)) {
                return Ok(Some(now - since));
            }
        }
        thread::sleep(POLL);
    }
    Ok(None)
}

/// Whether the link has any address, and those that may be used.
fn parse(text: &str) -> (bool, BTreeSet<Ipv6Addr>) {
    let mut any = false;
    let mut usable = BTreeSet::new();
    for line in text.lines() {
        // address, interface index, prefix length, scope, flags, interface; all but the last in hexadecimal
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, _, flags, INTERFACE] = fields[..] else {
            continue;
        };
        let (Ok(address), Ok(flags)) = (
            u128::from_str_radix(address, 16),
            u32::from_str_radix(flags, 16),
        ) else {
            continue;
        };
        any = true;
        if flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0 {
            usable.insert(Ipv6Addr::from_bits(address));
        }
    }
    (any, usable)
}

#[cfg(test)]
mod tests;
