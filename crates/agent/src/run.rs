//! The agent's process: its threads and tasks, from start to end.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use hextet_core::ids::PortId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::config::Config;
use crate::handover::{Handover, Inherited};
use crate::host::{Host, INPUTS_MAX, Input, Ports, StartError};
use crate::kernel::Fastpath;
use crate::kernel::links::{LinkChange, LinkWatch};
use crate::ledger::{Found, Ledger};
use crate::locks::Locks;
use crate::socket::Door;
use crate::uplink::{FeedState, Uplink};
use crate::{host, metrics, socket};

/// How long changes of links are gathered before they are looked at: one plug makes several.
const LINKS_GATHER: Duration = Duration::from_millis(5);
/// How long an agent that makes room goes on with answers to the command line.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a failing watch waits before it tries again.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// Why the agent ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Another agent works from the same directory.
    #[error("another agent works from {0}")]
    Locked(std::path::PathBuf),
    /// Another agent, of another directory, has the pins and links of this instance.
    #[error(
        "another agent runs as instance {0:?} on this machine: choose another name (instance) for this one in its agent.toml"
    )]
    SameInstance(String),
    /// Another agent, of another directory, answers the command line where this one is to.
    #[error("another agent listens at {0}")]
    Answered(std::path::PathBuf),
    /// The socket's transport.
    #[error("the agent's socket failed")]
    Socket(#[from] tonic::transport::Error),
    /// A thread of it ended.
    #[error("the host's thread ended")]
    Thread,
}

/// Runs the agent until `shutdown`, or until another build is to take its place, which is then for the caller to let in.
/// Nothing is torn down then: links, programs and rows stay, and guests go on.
///
/// # Errors
/// When it cannot begin, or a part of it fails.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<Option<Handover>, RunError> {
    let config = Arc::new(config);
    let (locks, listener) = place(&config)?;
    let (input, inputs) = mpsc::channel(INPUTS_MAX);
    let (reports, reports_seen) = watch::channel(Arc::new(empty_report()));
    let (claims, claims_seen) = watch::channel(Arc::default());
    let feed = Arc::new(FeedState::default());
    // Watched first, then dumped: nothing is missed between.
    let links = LinkWatch::new().map_err(io("watch links"))?;
    let ports = Ports {
        inputs,
        input: input.clone(),
        reports,
        claims,
        feed: feed.clone(),
    };
    let host = Host::new(config.clone(), ports)?;
    let (thread, mut has_ended) = start(host)?;
    watch_links(links, input.clone())?;
    let (listener, incoming) = both_ends(listener, &config).map_err(io("listen on the socket"))?;
    let (successors, mut successor) = mpsc::channel(1);
    let door = Door::new(config.clone(), input.clone(), successors);
    let mut beside = JoinSet::new();
    beside.spawn(metrics::listen(config.metrics_listen, input.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let served = socket::serve(incoming, door, async {
        // Dropped, too, it says to stop.
        let _ = stopped.await;
    });
    tokio::pin!(served);
    let uplink = Uplink {
        config: config.clone(),
        reports: reports_seen,
        host: input.clone(),
        claims: claims_seen,
        feed,
    };
    beside.spawn(uplink.run());
    info!(host = %config.host, instance = config.instance, "agent runs");
    let outcome = tokio::select! {
        () = shutdown => Ok(None),
        served = &mut served => served.map(|()| None).map_err(RunError::from),
        _ = has_ended.recv() => Err(RunError::Thread),
        Some(successor) = successor.recv() => Ok(Some(successor)),
    };
    if let Ok(Some(successor)) = &outcome {
        info!(program = %successor.program.display(), "another build takes over");
        drop(stop);
        // Whoever asks from now on waits in the socket's queue. What is not answered by then is not.
        let _ = tokio::time::timeout(ANSWERS_TIMEOUT, &mut served).await;
    }
    beside.abort_all();
    // The host's thread may be gone already.
    let _ = input.send(Input::Stop).await;
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        return Err(RunError::Thread);
    }
    Ok(outcome?.map(|successor| Handover {
        successor,
        locks,
        listener,
    }))
}

/// The host's thread, and what tells of its end.
fn start(host: Host) -> Result<(std::thread::JoinHandle<()>, mpsc::Receiver<()>), RunError> {
    let runtime = tokio::runtime::Handle::current();
    let (ended, has_ended) = mpsc::channel::<()>(1);
    let thread = std::thread::Builder::new()
        .name("host".to_owned())
        .spawn(move || {
            host.run(&runtime);
            drop(ended);
        })
        .map_err(io("start a thread"))?;
    Ok((thread, has_ended))
}

/// The place of the agent of this directory and instance: inherited, with its listener, or free.
fn place(config: &Config) -> Result<(Locks, Option<UnixListener>), RunError> {
    match Inherited::find(config) {
        Some(found) => {
            let locks = Locks::inherited(found.lock, found.instance, config)?;
            Ok((locks, Some(found.listener)))
        }
        None => {
            let locks = Locks::take(config)?;
            // What an ended process left refuses connections.
            if UnixStream::connect(&config.socket).is_ok() {
                return Err(RunError::Answered(config.socket.clone()));
            }
            Ok((locks, None))
        }
    }
}

/// The listener for handing on, and the same for this process's use. Made if none was inherited.
fn both_ends(
    inherited: Option<UnixListener>,
    config: &Config,
) -> std::io::Result<(UnixListener, tokio::net::UnixListener)> {
    let listener = inherited.map_or_else(|| socket::bind(&config.socket), Ok)?;
    listener.set_nonblocking(true)?;
    let incoming = tokio::net::UnixListener::from_std(listener.try_clone()?)?;
    Ok((listener, incoming))
}

/// Takes everything of a configuration off this host, without a running agent. Returns the ports that were attached:
/// they are bound to this host until somebody says otherwise.
///
/// # Errors
/// When an agent runs, and the kernel's and the disk's.
pub fn take_down(config: &Config) -> Result<Vec<PortId>, RunError> {
    let _locks = Locks::take(config)?;
    let fastpath = Fastpath::open(&host::fastpath_config(config)).map_err(StartError::from)?;
    host::take_off(config, &fastpath)?;
    let ledger = Ledger::open(&config.state_dir).map_err(StartError::from)?;
    let attached = match ledger.read().map_err(StartError::from)? {
        Found::State(state) => state.declarations.into_keys().collect(),
        Found::Nothing | Found::Corrupt(..) => Vec::new(),
    };
    ledger.remove().map_err(StartError::from)?;
    Ok(attached)
}

/// A thread, because the kernel's events need no runtime.
fn watch_links(mut links: LinkWatch, inputs: mpsc::Sender<Input>) -> Result<(), RunError> {
    let forward = move || {
        loop {
            let mut fds = [PollFd::new(links.as_fd(), PollFlags::POLLIN)];
            // Woken once a second, so that it ends with the process's work.
            let ready = poll(&mut fds, PollTimeout::from(1000u16));
            if inputs.is_closed() {
                return;
            }
            if !matches!(ready, Ok(count) if count > 0) {
                continue;
            }
            std::thread::sleep(LINKS_GATHER);
            let mut changes = Vec::new();
            loop {
                match links.drain() {
                    Ok(more) if more.is_empty() => break,
                    Ok(more) => changes.extend(more),
                    Err(failure) => {
                        error!(error = %failure, "link changes cannot be read");
                        changes.push(LinkChange::Lost);
                        std::thread::sleep(WATCH_RETRY);
                        break;
                    }
                }
            }
            if inputs.blocking_send(Input::Links(changes)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("links".to_owned())
        .spawn(forward)
        .map_err(io("start a thread"))?;
    Ok(())
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::Start(StartError::Io { what, source })
}

fn empty_report() -> hextet_core::report::HostReport {
    hextet_core::report::HostReport {
        generation: hextet_core::plan::Generation::default(),
        ports: Vec::new(),
    }
}
