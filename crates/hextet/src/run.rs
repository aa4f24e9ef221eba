//! `hextet server` and `hextet agent`.

use std::path::Path;

use anyhow::{Context as _, Result};
use hextet_server::{LogFormat, ServerConfig};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::up::PARENT_VARIABLE;

/// Descriptors that a server takes if it may: one for each connection, and some for files and agents.
const DESCRIPTORS: u64 = 16_384;

/// Runs the server until SIGTERM or SIGINT; or only says whether its configuration can be used.
pub fn server(config: &Path, check: bool) -> Result<()> {
    let path = config;
    let config = ServerConfig::load(path).with_context(|| path.display().to_string())?;
    if check {
        println!("{}: ok", path.display());
        return Ok(());
    }
    crate::logs::start(config.log_format);
    hextet_agent::kernel::memory::give_large_blocks_back();
    follow_parent()?;
    raise_descriptors();
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
    crate::logs::start(LogFormat::Text);
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

/// A shell's usual limit of 1,024 is fewer than the connections that a server bears.
fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = DESCRIPTORS.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of descriptors stays as it is");
    }
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
