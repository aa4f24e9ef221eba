//! The cloud under trial: `hextet up` in a network namespace of its own, used through its command line and its API.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::clouds::login;
use crate::interrupt::Interrupt;
use crate::promised::Lifetimes;
use crate::run::{Namespace, finish};

/// How long `hextet up` may take to say that it is ready.
const READY_BOUND: Duration = Duration::from_secs(120);
/// How long one `hextet port attach` or `hextet down` may take.
const COMMAND_BOUND: Duration = Duration::from_secs(60);
/// How often a wait asks for an interrupt.
const POLL: Duration = Duration::from_millis(200);
/// Lines of the log that a failed start shows.
const LOG_LINES_SHOWN: usize = 20;

/// The cloud that networks and ports are made in: the member's, not the administrator's.
const MEMBER_CLOUD: &str = "hextet-demo";
/// The administrator's.
const ADMIN_CLOUD: &str = "hextet";

/// A port, as `hextet port list -f json` shows it.
#[derive(Debug, Deserialize)]
struct Listed {
    port: String,
    drops: Vec<Dropped>,
}

#[derive(Debug, Deserialize)]
struct Dropped {
    reason: String,
    packets: u64,
}

/// A running `hextet up`, taken down when dropped.
#[derive(Debug)]
pub struct Cloud {
    hextet: PathBuf,
    directory: PathBuf,
    log: PathBuf,
    namespace: Namespace,
    up: Option<Child>,
}

impl Cloud {
    /// Starts `hextet up` on an empty directory and waits until it says `ready`. `physical` are names of physical networks
    /// with the NIC that leads to each.
    ///
    /// # Errors
    /// When it ends instead, or says nothing within the bound; with the end of its log.
    pub fn start(
        hextet: &Path,
        directory: &Path,
        namespace: Namespace,
        physical: &[(String, String)],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut cloud = Self {
            hextet: hextet.to_owned(),
            directory: directory.join("cloud"),
            log: directory.join("hextet.log"),
            namespace,
            up: None,
        };
        fs::create_dir_all(&cloud.directory)?;
        cloud.up(interrupt)?;
        if !physical.is_empty() {
            cloud.stop()?;
            cloud.configure(physical)?;
            cloud.up(interrupt)?;
        }
        Ok(cloud)
    }

    /// Ends `hextet up`, and leaves what it keeps.
    fn stop(&mut self) -> Result<()> {
        let Some(mut up) = self.up.take() else {
            return Ok(());
        };
        let pid = i32::try_from(up.id()).context("a process id")?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).context("SIGTERM")?;
        up.wait()?;
        Ok(())
    }

    /// Names the physical networks, and the NIC that leads to each, as an operator would.
    fn configure(&self, physical: &[(String, String)]) -> Result<()> {
        let names: Vec<&String> = physical.iter().map(|(name, _)| name).collect();
        let nics: Vec<String> = physical
            .iter()
            .map(|(name, nic)| format!("{name} = \"{nic}\""))
            .collect();
        let server = format!("physical_networks = {names:?}\n");
        let agent = format!("physical_networks = {{ {} }}\n", nics.join(", "));
        for (file, line) in [("server.toml", server), ("agent.toml", agent)] {
            let path = self.directory.join(file);
            let text = fs::read_to_string(&path)?;
            fs::write(&path, line + &text)?;
        }
        Ok(())
    }

    /// Starts `hextet up` and waits until it says `ready`.
    fn up(&mut self, interrupt: &Interrupt) -> Result<()> {
        let mut up = self
            .command(&["up"])
            // A Ctrl-C is for the lab, which then ends the cloud in its own way.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&self.log)?)
            .spawn()
            .with_context(|| format!("start {}", self.hextet.display()))?;
        let stdout = up.stdout.take().context("stdout is piped")?;
        self.up = Some(up);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Read to the end, so that the other side can always write.
                let _ = sender.send(line);
            }
        });
        let deadline = Instant::now() + READY_BOUND;
        loop {
            interrupt.check()?;
            match lines.recv_timeout(POLL) {
                Ok(line) if line.starts_with("ready ") => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("hextet up ended:\n{}", self.log_end())
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    let bound = READY_BOUND.as_secs();
                    bail!(
                        "hextet up is not ready after {bound} s:\n{}",
                        self.log_end()
                    )
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The `clouds.yaml` that it wrote.
    pub fn clouds_yaml(&self) -> PathBuf {
        self.directory.join("clouds.yaml")
    }

    /// What it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Signs in as a member of project `demo`.
    ///
    /// # Errors
    /// When `clouds.yaml` cannot be read or the login is refused.
    pub fn api(&self) -> Result<Api> {
        self.sign_in(MEMBER_CLOUD)
    }

    /// Signs in as the administrator, who alone makes networks of physical segments.
    ///
    /// # Errors
    /// As [`Self::api`].
    pub fn admin_api(&self) -> Result<Api> {
        self.sign_in(ADMIN_CLOUD)
    }

    fn sign_in(&self, cloud: &str) -> Result<Api> {
        let path = self.clouds_yaml();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Api::sign_in(&self.namespace.path(), &login(&text, cloud)?)
    }

    /// The lifetimes that `server.toml` configures.
    ///
    /// # Errors
    /// When the file cannot be read or lacks them.
    pub fn lifetimes(&self) -> Result<Lifetimes> {
        let path = self.directory.join("server.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Lifetimes::from_server_toml(&text).with_context(|| path.display().to_string())
    }

    /// Plugs a port into a guest; `up` false leaves the guest's end for its client to bring up.
    ///
    /// # Errors
    /// When the command says why not.
    pub fn attach(&self, port: &str, netns: &str, up: bool) -> Result<()> {
        let mut arguments = vec!["port", "attach", port, "--netns", netns];
        if !up {
            arguments.push("--down");
        }
        self.run(&arguments)
    }

    /// Takes a port off its guest.
    ///
    /// # Errors
    /// When the command says why not.
    pub fn detach(&self, port: &str) -> Result<()> {
        self.run(&["port", "detach", port])
    }

    /// Makes a tap on the cloud's host, and plugs a port into it.
    ///
    /// # Errors
    /// When a command says why not.
    pub fn attach_tap(&self, port: &str, tap: &str) -> Result<()> {
        let mut make = self.namespace.command("ip");
        make.args(["tuntap", "add", "dev", tap, "mode", "tap"]);
        let made = finish(&mut make, COMMAND_BOUND)?;
        if !made.status.success() {
            bail!("a tap: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        self.run(&["port", "attach", port, "--tap", tap])
    }

    /// The command line of this cloud, as a person would type it in the cloud's namespace.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.hextet.to_string_lossy());
        command.arg("--dir").arg(&self.directory).args(arguments);
        command
    }

    /// What was dropped of a port's frames, by reason.
    ///
    /// # Errors
    /// When `hextet port list` fails or does not show the port.
    pub fn drops(&self, port: &str) -> Result<BTreeMap<String, u64>> {
        let listed = self.output(&["port", "list", "-f", "json"])?;
        let listed: Vec<Listed> = serde_json::from_str(&listed).context("hextet port list")?;
        let listed = listed.into_iter().find(|listed| listed.port == port);
        let drops = listed.with_context(|| format!("hextet port list lacks {port}"))?;
        let drops = drops.drops.into_iter();
        Ok(drops.map(|drop| (drop.reason, drop.packets)).collect())
    }

    /// What `hextet port show` says of a port.
    ///
    /// # Errors
    /// When it fails or says no JSON.
    pub fn explained(&self, port: &str) -> Result<Value> {
        let shown = self.output(&["port", "show", port, "-f", "json"])?;
        serde_json::from_str(&shown).context("hextet port show")
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        self.output(arguments).map(|_| ())
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = finish(&mut self.command(arguments), COMMAND_BOUND)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("hextet {}: {}", arguments.join(" "), stderr.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// `hextet down`, then waits for `hextet up` to end; by force when it does not.
    fn down(&mut self) -> Result<()> {
        let Some(mut up) = self.up.take() else {
            return Ok(());
        };
        let down = if up.try_wait()?.is_none() {
            self.run(&["down"])
        } else {
            Ok(())
        };
        let deadline = Instant::now() + COMMAND_BOUND;
        while down.is_ok() && up.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        if up.try_wait()?.is_none() {
            // The server and the agent follow it.
            up.kill().context("SIGKILL")?;
            up.wait()?;
            down?;
            bail!("hextet up did not end after hextet down");
        }
        down
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("lab: {error:#}");
        }
    }
}
