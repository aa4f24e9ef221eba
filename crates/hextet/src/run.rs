//! `hextet server` and `hextet agent`.

use std::path::Path;

use anyhow::Result;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::up::PARENT_VARIABLE;

/// Runs the server until SIGTERM or SIGINT.
pub fn server(config: &Path) -> Result<()> {
    crate::logs::start();
    hextet_agent::kernel::memory::give_large_blocks_back();
    follow_parent()?;
    let config = hextet_server::ServerConfig::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = asked_to_end()?;
        hextet_server::run(config, stop).await?;
        Ok(())
    })
}

/// Runs the agent until SIGTERM or SIGINT.
pub fn agent(config: &Path) -> Result<()> {
    crate::logs::start();
    follow_parent()?;
    let config = hextet_agent::config::Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = asked_to_end()?;
        hextet_agent::run(config, stop).await?;
        Ok(())
    })
}

fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A process that `up` started ends when `up` is killed, so that the next `up` finds the database free.
fn follow_parent() -> Result<()> {
    let Ok(parent) = std::env::var(PARENT_VARIABLE) else {
        return Ok(());
    };
    set_pdeathsig(Signal::SIGTERM)?;
    if nix::unistd::getppid().to_string() != parent {
        anyhow::bail!("`hextet up` ended meanwhile");
    }
    Ok(())
}
