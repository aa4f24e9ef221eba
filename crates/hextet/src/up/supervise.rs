//! A process that is started again when it ends.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// How soon a process that ended is started again; doubled each time.
const RESTART_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const RESTART_MAX: Duration = Duration::from_secs(5);
/// One that lived that long begins with the shortest pause again.
const LIVED_LONG: Duration = Duration::from_secs(10);
/// How long a process may take to end when it is asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Tells a child whose end to follow.
pub const PARENT_VARIABLE: &str = "HEXTET_PARENT";

/// One of the two processes.
pub struct Child {
    name: &'static str,
    program: PathBuf,
    config: PathBuf,
    pid_file: PathBuf,
}

/// Why a process is no longer kept.
#[derive(Debug)]
pub enum Ended {
    /// It was asked to end.
    Stopped,
    /// It ended before all worked for the first time.
    BeforeReady(String),
}

impl Child {
    /// `hextet NAME --config CONFIG`.
    pub fn new(name: &'static str, config: PathBuf, pid_file: PathBuf) -> Result<Self> {
        Ok(Self {
            name,
            program: std::env::current_exe().context("path of this program")?,
            config,
            pid_file,
        })
    }

    /// Runs it until `stopping`.
    pub async fn keep(
        &mut self,
        mut stopping: watch::Receiver<bool>,
        ready: watch::Receiver<bool>,
    ) -> Ended {
        let mut pause = RESTART_FIRST;
        loop {
            let started = Instant::now();
            let why = match self.once(&mut stopping).await {
                Ok(None) => return Ended::Stopped,
                Ok(Some(status)) => status.to_string(),
                Err(failure) => format!("{failure:#}"),
            };
            if !*ready.borrow() {
                return Ended::BeforeReady(why);
            }
            if started.elapsed() > LIVED_LONG {
                pause = RESTART_FIRST;
            }
            warn!(process = self.name, why, "ended; it is started again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.wait_for(|stop| *stop) => return Ended::Stopped,
            }
            pause = (pause * 2).min(RESTART_MAX);
        }
    }

    /// How it ended; `None` if it was asked to.
    async fn once(&self, stopping: &mut watch::Receiver<bool>) -> Result<Option<ExitStatus>> {
        if *stopping.borrow() {
            return Ok(None);
        }
        let mut child = Command::new(&self.program)
            .arg(self.name)
            .arg("--config")
            .arg(&self.config)
            .env(PARENT_VARIABLE, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A Ctrl-C is for this process, which then ends them in its own way.
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {}", self.program.display()))?;
        let pid = child.id().context("the process has just been started")?;
        std::fs::write(&self.pid_file, format!("{pid}\n"))?;
        info!(process = self.name, pid, "started");
        tokio::select! {
            status = child.wait() => return Ok(Some(status?)),
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
        if tokio::time::timeout(STOP_TIMEOUT, child.wait())
            .await
            .is_err()
        {
            error!(process = self.name, pid, "did not end when asked; killed");
            child.kill().await?;
        }
        Ok(None)
    }
}
