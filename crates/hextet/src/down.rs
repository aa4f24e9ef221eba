//! `hextet down`: the opposite of `up` and `port attach`, except that the database stays.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hextet_agent::config::Config as AgentConfig;
use hextet_core::ids::PortId;
use hextet_feed::convert::uuid;
use hextet_feed::v1;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::Api;
use crate::local::{self, Agent, refused};
use crate::paths::Paths;

/// How long a running `up` may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(20);

/// Takes everything of this directory off the host.
pub fn run(paths: &Paths) -> Result<()> {
    if !paths.agent_toml().exists() {
        bail!(
            "there is nothing to take down: `hextet up` never ran on {}",
            paths.dir.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if let Ok(mut agent) = local::connect(paths).await {
            detach_all(paths, &mut agent).await?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    stop_up(paths)?;
    // What a running agent has done already, and what one that was not running could not.
    let attached = hextet_agent::take_down(&AgentConfig::load(&paths.agent_toml())?)?;
    if !attached.is_empty() {
        eprintln!(
            "hextet: {} of this host's ports stay bound to it: `hextet up` was not running",
            attached.len()
        );
    }
    for left in [paths.agent_socket(), paths.feed_address()] {
        // Usually gone already.
        let _ = std::fs::remove_file(left);
    }
    Ok(())
}

/// Unbinds every port that was attached here, then has the agent take everything off.
async fn detach_all(paths: &Paths, agent: &mut Agent) -> Result<()> {
    let declared: Vec<PortId> = local::ports(agent)
        .await?
        .iter()
        .filter(|port| port.target.is_some())
        .map(|port| uuid("port", &port.port).map(PortId))
        .collect::<Result<_, _>>()?;
    agent.down(v1::DownRequest {}).await.map_err(refused)?;
    if declared.is_empty() {
        return Ok(());
    }
    let unbound = async {
        let api = Api::sign_in(&paths.clouds_yaml()).await?;
        for id in &declared {
            if api.port(*id).await?.is_some() {
                api.bind(*id, "").await?;
            }
        }
        Ok::<(), anyhow::Error>(())
    };
    if let Err(failure) = unbound.await {
        // The host comes first: bindings can be taken away later, by anybody who may.
        eprintln!(
            "hextet: {} of this host's ports may stay bound to it: {failure:#}",
            declared.len()
        );
    }
    Ok(())
}

fn stop_up(paths: &Paths) -> Result<()> {
    let Ok(file) = std::fs::File::open(paths.up_lock()) else {
        return Ok(());
    };
    let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => return Ok(()),
        Err((file, _)) => file,
    };
    let text = std::fs::read_to_string(paths.pid("up")).context("process id of `hextet up`")?;
    let pid: i32 = text.trim().parse().context("process id of `hextet up`")?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)
        .with_context(|| format!("could not stop process {pid}"))?;
    let started = Instant::now();
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_) => return Ok(()),
            Err((file, _)) => file,
        };
        if started.elapsed() > STOP_TIMEOUT {
            bail!("`hextet up` (process {pid}) does not stop");
        }
        std::thread::sleep(POLL);
    }
}
