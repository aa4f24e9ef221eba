//! SIGINT and SIGTERM as something to ask for, so that the lab always ends by taking itself off the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// How often a wait asks.
const POLL: Duration = Duration::from_millis(100);

/// Whether someone asked the lab to end. Children are not affected: they get their own signals.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> Result<Self> {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("signal runtime")?;
        let (mut int, mut term) = {
            let _context = runtime.enter();
            (
                signal(SignalKind::interrupt()).context("SIGINT")?,
                signal(SignalKind::terminate()).context("SIGTERM")?,
            )
        };
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
            });
            flag.store(true, Ordering::Relaxed);
        });
        Ok(interrupt)
    }

    /// Ends the caller's work when someone asked.
    ///
    /// # Errors
    /// Exactly then.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Sleeps until someone asks.
    pub fn wait(&self) {
        while self.check().is_ok() {
            thread::sleep(POLL);
        }
    }
}
