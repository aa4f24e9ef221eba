//! Load: a step that clients repeat side by side, and what a window of it took.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::sys::resource::{UsageWho, getrusage};

use crate::client::Client;
use crate::server::Server;

/// When a client stops.
#[derive(Clone, Copy)]
pub enum Until {
    /// After this time.
    Time(Duration),
    /// After so many steps.
    Steps(usize),
}

/// What a window of load took.
pub struct Window {
    /// How long each step took, in no order.
    pub steps: Vec<Duration>,
    /// From the first step's begin to the last one's end.
    pub elapsed: Duration,
    /// The processor time of the server.
    pub server_cpu: Duration,
    /// The processor time of the clients.
    pub client_cpu: Duration,
}

impl Window {
    /// Steps a second, of all clients together.
    pub fn rate(&self) -> f64 {
        self.steps.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The median step, milliseconds.
    pub fn median_ms(&self) -> f64 {
        let times = self.steps.iter().map(|step| step.as_secs_f64() * 1e3);
        crate::report::median(times.collect())
    }

    /// What 99 of 100 steps took at most, milliseconds.
    pub fn p99_ms(&self) -> f64 {
        let mut steps = self.steps.clone();
        steps.sort_unstable();
        let last = steps.get(steps.len() * 99 / 100).or(steps.last());
        last.map_or(0.0, |step| step.as_secs_f64() * 1e3)
    }

    /// Processor time a step, microseconds: the server's, the clients'.
    pub fn cpu_us(&self) -> (f64, f64) {
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.steps.len() as f64;
        (each(self.server_cpu), each(self.client_cpu))
    }
}

/// Runs a step on so many clients side by side, each with a connection of its own that is open before the clock starts.
///
/// # Errors
/// With the first step that fails.
pub fn window(
    server: &Server,
    clients: usize,
    until: Until,
    step: impl Fn(&mut Client) -> Result<()> + Sync,
) -> Result<Window> {
    let barrier = Barrier::new(clients + 1);
    let (step, barrier) = (&step, &barrier);
    std::thread::scope(|scope| {
        let mut connections = (0..clients).map(|_| server.client());
        let connections = connections.by_ref().collect::<Result<Vec<_>>>()?;
        let threads: Vec<_> = connections
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    barrier.wait();
                    repeat(&mut client, until, step)
                })
            })
            .collect();
        let (server_before, client_before) = (server.cpu()?, own_cpu()?);
        barrier.wait();
        let start = Instant::now();
        let mut steps = Vec::new();
        for thread in threads {
            let done = thread.join().map_err(|_| anyhow!("a client panicked"))?;
            steps.extend(done?);
        }
        Ok(Window {
            elapsed: start.elapsed(),
            steps,
            server_cpu: server.cpu()?.saturating_sub(server_before),
            client_cpu: own_cpu()?.saturating_sub(client_before),
        })
    })
}

/// Repeats a step on one connection; how long each took.
///
/// # Errors
/// With the first step that fails.
pub fn repeat(
    client: &mut Client,
    until: Until,
    step: impl Fn(&mut Client) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut steps = Vec::new();
    let begin = Instant::now();
    loop {
        let goes_on = match until {
            Until::Time(time) => begin.elapsed() < time,
            Until::Steps(count) => steps.len() < count,
        };
        if !goes_on {
            return Ok(steps);
        }
        let start = Instant::now();
        step(client)?;
        steps.push(start.elapsed());
    }
}

fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs())
            + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    Ok(time(usage.user_time()) + time(usage.system_time()))
}
