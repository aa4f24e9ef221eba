//! The threads that carry connections. Each has a runtime of its own, and a connection stays where it is: a request wakes
//! one thread, once.
//!
//! A runtime that shares its tasks among threads wakes another one whenever a task that runs has more to do, which a
//! connection's has several times in each request with a body; the request then goes from thread to thread. On processors
//! that have halted meanwhile such a waking takes longer than what it is for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// Threads for each processor: what holds one up, a long list or a disk, holds up the connections of that one alone.
const LANES_PER_PROCESSOR: usize = 2;
/// How often the clock is looked at, at least. A timer that ends before all others makes a runtime wake itself just to take
/// note of it, and each request has a timer; with this one none is the earliest.
const BEAT: Duration = Duration::from_secs(1);

/// Where connections run. Clones share the threads, which end with the last one.
#[derive(Clone)]
pub struct Lanes {
    lanes: Arc<[Lane]>,
    /// Dropped, it ends the threads.
    _running: Arc<watch::Sender<()>>,
}

/// A thread, and how many connections it carries.
#[derive(Clone)]
struct Lane {
    runtime: Handle,
    open: Arc<AtomicUsize>,
}

/// A connection's place on a thread, for as long as this is kept.
pub(super) struct Seat(Lane);

impl Lanes {
    /// As many threads as suit the machine.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let (running, ended) = watch::channel(());
        let count = available_parallelism().map_or(1, usize::from) * LANES_PER_PROCESSOR;
        let lanes = (0..count).map(|number| start(number, ended.clone()));
        Ok(Self {
            lanes: lanes.collect::<io::Result<_>>()?,
            _running: Arc::new(running),
        })
    }

    /// The runtime of the caller, and no thread besides: for few connections.
    pub fn here() -> Self {
        let (running, _) = watch::channel(());
        Self {
            lanes: [Lane::new(Handle::current())].into(),
            _running: Arc::new(running),
        }
    }

    /// A place on the thread that carries the fewest.
    pub(super) fn seat(&self) -> Seat {
        let open = |lane: &&Lane| lane.open.load(Ordering::Relaxed);
        let emptiest = self.lanes.iter().min_by_key(open);
        let emptiest = emptiest.expect("there is a thread at least").clone();
        emptiest.open.fetch_add(1, Ordering::Relaxed);
        Seat(emptiest)
    }
}

impl Lane {
    fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            open: Arc::default(),
        }
    }
}

impl Seat {
    /// The runtime to run on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn start(number: usize, mut ended: watch::Receiver<()>) -> io::Result<Lane> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let lane = Lane::new(runtime.handle().clone());
    std::thread::Builder::new()
        .name(format!("api-{number}"))
        .spawn(move || {
            runtime.block_on(async {
                let mut beat = tokio::time::interval(BEAT);
                loop {
                    tokio::select! {
                        _ = beat.tick() => {}
                        // Nothing is ever sent: the sender goes.
                        _ = ended.changed() => break,
                    }
                }
                // What is left to say of the last requests has its turn.
                tokio::task::yield_now().await;
            });
            runtime.shutdown_background();
        })?;
    Ok(lane)
}
