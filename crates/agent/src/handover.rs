//! `hextet agent --replace`: the running agent makes room for another build of itself in its own process (execve(2)), so that
//! who watches the process sees no other one. The lock of the state directory and the listening socket are never let go:
//! who asks meanwhile waits.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use hextet_feed::v1;
use tonic::Status;

use crate::config::Config;
use crate::kernel::{Fastpath, FastpathError, inherit};
use crate::ledger::{Ledger, LedgerError, Unreadable};
use crate::locks::Locks;

/// How the next program is told what it inherits: lock and listener.
pub const VARIABLE: &str = "HEXTET_HANDOVER";
/// The same of the lock of the instance. A build that does not know it keeps the descriptor open, and with it the lock.
const INSTANCE_VARIABLE: &str = "HEXTET_HANDOVER_INSTANCE";

/// How a build's answer ends that could run (`hextet agent --check-config`).
pub const CHECKED: &str = ": the agent could run";
/// How long it may take to say so: it loads its programs for that.
const PROBE_TIME: Duration = Duration::from_secs(30);
/// Most of what it says else that is handed on, characters.
const WHY_CHARS_MAX: usize = 300;

/// What takes the agent's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The program.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
}

/// Everything that is needed for making room.
#[derive(Debug)]
pub struct Handover {
    pub(crate) successor: Successor,
    pub(crate) locks: Locks,
    pub(crate) listener: UnixListener,
}

/// What a program got from the one whose place it took.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) lock: File,
    pub(crate) instance: Option<File>,
    pub(crate) listener: UnixListener,
}

/// Why a build cannot take a running agent's place.
#[derive(Debug, thiserror::Error)]
pub enum UnfitError {
    /// The disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It would put the ledger aside and touch nothing.
    #[error("this build cannot read the ledger of {0}")]
    Unreadable(PathBuf, #[source] Unreadable),
    /// The kernel does not take its program.
    #[error(transparent)]
    Fastpath(#[from] FastpathError),
}

/// Whether this build could run with this configuration where another one does now. Nothing is changed.
///
/// # Errors
/// What would keep it from starting.
pub fn check(config: &Config) -> Result<(), UnfitError> {
    if let Some(why) = Ledger::at(&config.state_dir).unreadable()? {
        return Err(UnfitError::Unreadable(config.state_dir.clone(), why));
    }
    Fastpath::check(&crate::host::fastpath_config(config))?;
    Ok(())
}

impl Successor {
    /// What a request names.
    ///
    /// # Errors
    /// It is not for this agent, or no program.
    pub(crate) fn asked(request: &v1::ReplaceRequest, config: &Config) -> Result<Self, Status> {
        let state_dir = config.state_dir.to_string_lossy();
        if request.state_dir != state_dir || request.instance != config.instance {
            return Err(Status::invalid_argument(format!(
                "this agent works from {state_dir} as instance {:?}: the configuration is another one's",
                config.instance
            )));
        }
        let program = PathBuf::from(&request.program);
        let is_program = program.is_absolute()
            && program
                .metadata()
                .is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0);
        if !is_program {
            return Err(Status::invalid_argument(format!(
                "{} is no program",
                program.display()
            )));
        }
        Ok(Self {
            program,
            config: PathBuf::from(&request.config),
        })
    }

    /// Has the program say, in a process of its own, that it could run here with its configuration: once it is in this
    /// one's place there is no way back.
    ///
    /// # Errors
    /// It does not say so, with what it says.
    pub(crate) async fn probe(&self) -> Result<(), Status> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(["agent", "--check-config", "--config"])
            .arg(&self.config)
            .env_remove(VARIABLE)
            .env_remove(INSTANCE_VARIABLE)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let refused = |why: &str| {
            let program = self.program.display();
            let why: String = why.chars().take(WHY_CHARS_MAX).collect();
            Status::failed_precondition(format!(
                "{program} cannot take over, the running agent goes on: {why}"
            ))
        };
        let output = tokio::time::timeout(PROBE_TIME, command.output())
            .await
            .map_err(|_| refused("it does not say whether it could"))?
            .map_err(|error| refused(&error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && said.trim_end().ends_with(CHECKED) {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        match error.lines().find(|line| !line.trim().is_empty()) {
            Some(line) => Err(refused(line)),
            None => Err(refused(&format!("it ends with {}", output.status))),
        }
    }
}

impl Handover {
    /// Makes room. Comes back only when that failed: then this build begins anew in its own place.
    pub fn give(self) -> io::Error {
        // The lock is of the open file, and so goes with the descriptor.
        let keep = || {
            let lock = inherit::keep(&*self.locks.directory)?;
            let instance = inherit::keep(&*self.locks.instance)?;
            Ok((lock, instance, inherit::keep(&self.listener)?))
        };
        let (lock_fd, instance_fd, listener_fd) = match keep() {
            Ok(kept) => kept,
            Err(error) => return error,
        };
        let exec = |program: &std::path::Path| {
            Command::new(program)
                .args(["agent", "--config"])
                .arg(&self.successor.config)
                .env(VARIABLE, format!("{lock_fd},{listener_fd}"))
                .env(INSTANCE_VARIABLE, instance_fd.to_string())
                .exec()
        };
        let failed = exec(&self.successor.program);
        tracing::error!(
            error = %failed,
            program = %self.successor.program.display(),
            "the program cannot be run: the present one begins anew"
        );
        exec(std::path::Path::new("/proc/self/exe"))
    }
}

impl Inherited {
    /// What the environment names, if it is this configuration's.
    pub(crate) fn find(config: &Config) -> Option<Self> {
        let told = std::env::var(VARIABLE).ok()?;
        let (lock, listener) = told.split_once(',')?;
        let take = |number: &str| inherit::take(number.parse::<RawFd>().ok()?).ok();
        let lock = File::from(take(lock)?);
        let listener = UnixListener::from(take(listener)?);
        let there = std::fs::metadata(config.state_dir.join("lock")).ok()?;
        let held = lock.metadata().ok()?;
        let same = (there.dev(), there.ino()) == (held.dev(), held.ino());
        let bound = listener.local_addr().ok()?;
        // A socket with a name; it was bound under another one than it has now.
        let instance = std::env::var(INSTANCE_VARIABLE).ok();
        let instance = instance.and_then(|number| take(&number)).map(File::from);
        (same && bound.as_pathname().is_some()).then_some(Self {
            lock,
            instance,
            listener,
        })
    }
}
