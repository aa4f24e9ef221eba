//! Programs, and the network namespaces that they run in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where named network namespaces are (ip-netns(8)).
const NETNS_DIR: &str = "/run/netns";

/// How often a program that was started is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A network namespace with only `lo` in it, deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it; the name must be free.
    ///
    /// # Errors
    /// When `ip netns add` refuses.
    pub fn create(name: String) -> Result<Self> {
        run("ip", &["netns", "add", &name])?;
        let namespace = Self { name };
        run("ip", &["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(NETNS_DIR).join(&self.name)
    }

    /// A command that will run in it. Unlike `ip netns exec`, the mounts stay the caller's, a bpffs among them.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg(program);
        command
    }

    /// Opened, so that it can be looked into after its name is gone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<Opened> {
        Opened::of(&self.name, &self.path())
    }

    /// Moves the calling thread into it, for good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(path: &Path) -> Result<()> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).context("setns")?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = run("ip", &["netns", "del", &self.name]) {
            eprintln!("lab: left behind: {error:#}");
        }
    }
}

/// A network namespace that lasts as long as this does.
#[derive(Debug)]
pub struct Opened {
    name: String,
    file: File,
}

impl Opened {
    /// The one that this file stands for, under a name for messages.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn of(name: &str, path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let name = name.to_owned();
        Ok(Self { name, file })
    }
}

/// Waits until no process is in any of these.
///
/// # Errors
/// When some still are after `bound`, with each one's namespace, id and name.
pub fn wait_until_empty(namespaces: &[Opened], bound: Duration) -> Result<()> {
    let mut names = BTreeMap::new();
    for Opened { name, file } in namespaces {
        names.insert(file.metadata()?.ino(), name);
    }
    let deadline = Instant::now() + bound;
    loop {
        let found = processes(&names)?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("left behind: {}", found.join(", "));
        }
        thread::sleep(POLL);
    }
}

/// The processes in the namespaces of these inode numbers.
fn processes(namespaces: &BTreeMap<u64, &String>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let path = entry?.path();
        // What ended meanwhile, and what is no process, has none.
        let Ok(namespace) = fs::metadata(path.join("ns/net")) else {
            continue;
        };
        if let Some(name) = namespaces.get(&namespace.ino()) {
            let id = path.file_name().unwrap_or_default().to_string_lossy();
            let program = fs::read_to_string(path.join("comm")).unwrap_or_default();
            found.push(format!("{} ({id}) in {name}", program.trim()));
        }
    }
    Ok(found)
}

/// Runs a program to its end and gives what it printed.
///
/// # Errors
/// When it cannot start, fails, or takes longer than half a minute.
pub fn run(program: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args);
    let output = finish(&mut command, Duration::from_secs(30))?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program whose output is small to its end, whatever it is, but kills it after `bound`.
///
/// # Errors
/// When it cannot start or takes too long.
pub fn finish(command: &mut Command, bound: Duration) -> Result<Output> {
    let describe = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {describe}"))?;
    let deadline = Instant::now() + bound;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("no end after {} s: {describe}", bound.as_secs());
        }
        thread::sleep(POLL);
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut stdout)?;
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut stderr)?;
    }
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}
