//! `hextet server` and `hextet agent`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hextet_feed::v1;
use hextet_server::{LogFormat, ServerConfig};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::local;
use crate::up::PARENT_VARIABLE;

/// How long tasks of an agent that makes room may take to end.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(1);
/// How long another build may take until it answers.
const REPLACED_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);
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
    hextet_agent::kernel::memory::give_large_blocks_back();
    follow_parent()?;
    raise_descriptors();
    let config = hextet_agent::config::Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let handover = runtime.block_on(async {
        let stop = asked_to_end()?;
        anyhow::Ok(hextet_agent::run(config, stop).await?)
    })?;
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    match handover {
        None => Ok(()),
        Some(handover) => {
            Err(handover.give()).context("no program could be run in this one's place")
        }
    }
}

/// Says whether an agent could run with this configuration. Nothing is changed.
pub fn check_agent(path: &Path) -> Result<()> {
    let config = hextet_agent::config::Config::load(path)?;
    hextet_agent::handover::check(&config)?;
    println!("{}{}", path.display(), hextet_agent::handover::CHECKED);
    Ok(())
}

/// Has the running agent of this configuration make room for a program, this one by default. The agent asks the program
/// itself, too, whether it could run.
pub fn replace_agent(config: &Path, program: Option<&Path>) -> Result<()> {
    let path = std::path::absolute(config)?;
    let config = hextet_agent::config::Config::load(&path)?;
    let program = match program {
        Some(program) => std::path::absolute(program)?,
        None => {
            hextet_agent::handover::check(&config)
                .context("this build cannot take over, the running agent goes on")?;
            std::env::current_exe().context("path of this program")?
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let before = status_of(&config.socket).await.with_context(|| {
            format!(
                "no agent answers at {}: there is none to replace",
                config.socket.display()
            )
        })?;
        let mut agent = local::connect_to(&config.socket).await?;
        let request = v1::ReplaceRequest {
            program: program.display().to_string(),
            config: path.display().to_string(),
            state_dir: config.state_dir.display().to_string(),
            instance: config.instance.clone(),
        };
        agent.replace(request).await.map_err(local::refused)?;
        drop(agent);
        let started = Instant::now();
        while started.elapsed() < REPLACED_WITHIN {
            if let Ok(now) = status_of(&config.socket).await
                && now.run != before.run
            {
                println!(
                    "replaced: process {} runs {}, {}",
                    now.pid,
                    now.version,
                    program.display()
                );
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the agent made room and no other one answers: see its log")
    })
}

async fn status_of(socket: &Path) -> Result<v1::StatusReply> {
    let mut agent = local::connect_to(socket).await?;
    local::status(&mut agent).await
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
