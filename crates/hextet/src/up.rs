//! `hextet up`: server and agent as two supervised processes, from files that are written once.

mod certificates;
mod files;
mod supervise;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::fcntl::{Flock, FlockArg};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

use crate::local;
use crate::paths::Paths;
use files::Door;
pub use supervise::PARENT_VARIABLE;
use supervise::{Child, Ended};

/// How often it is looked whether both work.
const READY_POLL: Duration = Duration::from_millis(50);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Arguments of `hextet up`.
#[derive(Args)]
pub struct UpArgs {
    /// Where the API answers, [::1]:9696 by default; written to server.toml at the first start. Port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

/// Ends at SIGTERM or SIGINT, or when one of the two cannot be started.
pub fn run(paths: &Paths, args: &UpArgs) -> Result<()> {
    crate::logs::start(hextet_server::LogFormat::Text);
    std::fs::create_dir_all(paths.run())
        .with_context(|| format!("could not make {}", paths.run().display()))?;
    let _lock = lock(paths)?;
    let door = files::ensure(paths, args.listen)?;
    let listen = door.listen;
    // The server says so too, but in a log, behind a restart.
    drop(TcpListener::bind(listen).with_context(|| format!("could not listen on {listen}"))?);
    std::fs::write(paths.pid("up"), format!("{}\n", std::process::id()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(both(paths, door));
    for name in ["up", "server", "agent"] {
        // It is not there if the process was never started.
        let _ = std::fs::remove_file(paths.pid(name));
    }
    outcome
}

/// Taken for as long as this process lives.
fn lock(paths: &Paths) -> Result<Flock<std::fs::File>> {
    let path = paths.up_lock();
    let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, _)| {
        let pid = std::fs::read_to_string(paths.pid("up")).unwrap_or_default();
        anyhow::anyhow!(
            "`hextet up` is running on {} already (process {})",
            paths.dir.display(),
            pid.trim()
        )
    })
}

async fn both(paths: &Paths, door: Door) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = watch::channel(false);
    // Of an earlier run; the agent must not try it.
    let _ = std::fs::remove_file(paths.feed_address());
    let _ = std::fs::remove_file(paths.agent_socket());
    let child = |name, config: PathBuf| Child::new(name, config, paths.pid(name));
    let mut server = child("server", paths.server_toml())?;
    let mut agent = child("agent", paths.agent_toml())?;
    let (is_ready, ready) = watch::channel(false);
    let run_server = server.keep(stopping.clone(), ready.clone());
    let run_agent = agent.keep(stopping.clone(), ready.clone());
    let watching = async {
        tokio::select! {
            () = both_work(paths, door) => {}
            _ = terminate.recv() => return stop.send(true),
            _ = interrupt.recv() => return stop.send(true),
        }
        is_ready.send_replace(true);
        println!("ready {} {}", door.url(), paths.clouds_yaml().display());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        stop.send(true)
    };
    // One that cannot start stops the other.
    let stop_other = |ended: Ended| {
        stop.send_replace(true);
        ended
    };
    let (server, agent) = tokio::select! {
        both = async {
            tokio::join!(
                async { stop_other(run_server.await) },
                async { stop_other(run_agent.await) },
            )
        } => both,
        _ = async { let _ = watching.await; std::future::pending::<()>().await } => unreachable!("pending"),
    };
    for (name, ended) in [("server", server), ("agent", agent)] {
        if let Ended::BeforeReady(status) = ended {
            bail!("the {name} ended before it worked: {status}; its log is above");
        }
    }
    Ok(())
}

/// Until the API answers and the agent has its plan.
async fn both_work(paths: &Paths, door: Door) {
    loop {
        let look = tokio::time::timeout(LOOK_TIMEOUT, look(paths, door)).await;
        if matches!(look, Ok(Ok(true))) {
            return;
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

async fn look(paths: &Paths, door: Door) -> Result<bool> {
    // Whether somebody answers is all that is asked, and nothing is sent that others may not hear: the certificate is for
    // the name that clients call, not for this address.
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let answer = http.get(format!("{}/", door.url())).send().await?;
    // The version document is a "300 Multiple Choices" in some releases.
    if answer.status().is_client_error() || answer.status().is_server_error() {
        return Ok(false);
    }
    let mut agent = local::connect(paths).await?;
    let status = local::status(&mut agent).await?;
    Ok(status.connected
        && status
            .generation
            .is_some_and(|generation| generation.epoch != 0))
}
