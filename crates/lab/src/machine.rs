//! A machine in QEMU, by software emulation: Debian's stock kernel, an initrd with programs of this machine, a console
//! that goes to a file, and a second serial line by which commands are given to it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

mod initrd;

pub use initrd::Initrd;

/// How long a machine may take until its first program runs.
pub const BOOT_BOUND: Duration = Duration::from_secs(300);
/// What its kernel is told. Its own messages would take longer than the boot; and where this machine is so busy that QEMU gives no ticks
/// while the kernel looks for them, it would end the boot.
pub const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 no_timer_check";
/// How long QEMU itself may take to start.
const START_BOUND: Duration = Duration::from_secs(60);
/// How often its serial line is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Lines of the console that a failure shows.
const CONSOLE_LINES_SHOWN: usize = 20;

/// What `init.sh` writes when it is ready for commands, and between the parts of an answer.
const READY: &str = "\n--hextet-ready--\n";
const STDERR: &str = "\n--hextet-stderr--\n";
const STATUS: &str = "\n--hextet-status--";

/// A kernel with its modules, as `tools/setup` takes them out of Debian's package: `vmlinuz`, `modules/NN-NAME.ko` in the
/// order in which they must be loaded, and further folders of modules that not every machine loads.
#[derive(Clone, Debug)]
pub struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    /// The kernel of this folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join("vmlinuz").exists() {
            bail!("no kernel in {}: run tools/setup", folder.display());
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The kernel itself.
    pub fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The modules of a folder, the first to be loaded first.
    ///
    /// # Errors
    /// When there is no such folder.
    fn modules(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join(folder);
        let missing = || format!("no modules in {}: run tools/setup", folder.display());
        let mut modules = Vec::new();
        for entry in fs::read_dir(&folder).with_context(missing)? {
            modules.push(entry?.path());
        }
        modules.sort();
        Ok(modules)
    }
}

/// The one NIC of a machine: a tap that is there already.
#[derive(Clone, Debug)]
pub struct Nic {
    /// The tap's name where QEMU runs.
    pub tap: String,
    /// The guest's MAC.
    pub mac: String,
    /// What virtio tells the guest, bytes.
    pub mtu: u32,
}

/// What QEMU is asked for, but for the program itself.
///
/// # Errors
/// When a path has a comma, which QEMU's options cannot have.
pub fn arguments(
    kernel: &Kernel,
    initrd: &Path,
    memory_mib: u32,
    nic: Option<&Nic>,
    directory: &Path,
) -> Result<Vec<String>> {
    let path = |path: PathBuf| {
        let text = path.to_string_lossy().into_owned();
        if text.contains(',') {
            bail!("{text}: a path with a comma cannot be given to QEMU");
        }
        Ok(text)
    };
    let console = path(directory.join("console.log"))?;
    let control = path(directory.join("control.sock"))?;
    let mut arguments: Vec<String> = [
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-append",
        KERNEL_ARGUMENTS,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    add("-m", memory_mib.to_string());
    add("-kernel", path(kernel.image())?);
    add("-initrd", path(initrd.to_owned())?);
    add("-serial", format!("file:{console}"));
    add("-serial", format!("unix:{control},server=on,wait=off"));
    if let Some(nic) = nic {
        let Nic { tap, mac, mtu } = nic;
        add(
            "-netdev",
            format!("tap,id=n0,ifname={tap},script=no,downscript=no"),
        );
        let device = format!("virtio-net-pci,netdev=n0,mac={mac},host_mtu={mtu},romfile=");
        add("-device", device);
    }
    Ok(arguments)
}

/// A running machine, ended when dropped.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    console: PathBuf,
    line: UnixStream,
    /// Its first program runs and takes commands.
    booted: bool,
    /// Read of the line, and no part of an answer yet.
    unread: Vec<u8>,
}

/// How a command in a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Machine {
    /// Starts it with `command`, which is QEMU with [`arguments`] for the same directory. Does not wait for its boot.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(mut command: Command, directory: &Path) -> Result<Self> {
        let log = File::create(directory.join("qemu.log"))?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start qemu-system-x86_64 (package qemu-system-x86)")?;
        let console = directory.join("console.log");
        // What it writes before somebody listens is lost, so listening begins before the machine does.
        match listen(&mut process, &directory.join("control.sock")) {
            Ok(line) => Ok(Self {
                process,
                console,
                line,
                booted: false,
                unread: Vec::new(),
            }),
            Err(error) => {
                end(&mut process);
                let log = fs::read_to_string(directory.join("qemu.log")).unwrap_or_default();
                Err(error.context(log.trim().to_owned()))
            }
        }
    }

    /// What it wrote to its console.
    pub fn console(&self) -> &Path {
        &self.console
    }

    /// Runs a line of shell in it. The first waits until the machine has booted.
    ///
    /// # Errors
    /// When the machine ended, or gives no answer within `bound` (beside the time to boot).
    pub fn run(&mut self, script: &str, bound: Duration) -> Result<Answer> {
        if script.contains('\n') {
            bail!("a machine is given one line at a time");
        }
        if !self.booted {
            self.read_until(READY, BOOT_BOUND)?;
            self.booted = true;
        }
        self.line.write_all(format!("{script}\n").as_bytes())?;
        let text = self.read_until(STATUS, bound)?;
        let status = self.read_until("\n", bound)?;
        let (stdout, stderr) = text
            .split_once(STDERR)
            .context("an answer without its second part")?;
        Ok(Answer {
            status: status.trim().parse().context("an exit code")?,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        })
    }

    /// Waits until it ends by itself, and gives what is on its console.
    ///
    /// # Errors
    /// When it does not within the bound.
    pub fn wait(&mut self, bound: Duration) -> Result<String> {
        let deadline = Instant::now() + bound;
        while self.process.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("no end after {} s:\n{}", bound.as_secs(), self.last_lines());
            }
            thread::sleep(POLL);
        }
        Ok(self.console_text())
    }

    /// What the line says up to `mark`, which is taken away.
    fn read_until(&mut self, mark: &str, bound: Duration) -> Result<String> {
        let deadline = Instant::now() + bound;
        let mut bytes = [0; 4096];
        loop {
            let found = self.unread.windows(mark.len());
            let found = found.clone().position(|at| at == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.unread.split_off(at + mark.len());
                let mut text = std::mem::replace(&mut self.unread, rest);
                text.truncate(at);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            match self.line.read(&mut bytes) {
                Ok(0) => bail!("the machine ended:\n{}", self.last_lines()),
                Ok(length) => self.unread.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("the machine's serial line"),
            }
            if Instant::now() >= deadline {
                let bound = bound.as_secs();
                bail!(
                    "the machine says nothing after {bound} s:\n{}",
                    self.last_lines()
                );
            }
        }
    }

    fn console_text(&self) -> String {
        let bytes = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn last_lines(&self) -> String {
        let text = self.console_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(CONSOLE_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Connects to the line as soon as QEMU has made it.
fn listen(process: &mut Child, control: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + START_BOUND;
    loop {
        match UnixStream::connect(control) {
            Ok(line) => {
                line.set_read_timeout(Some(POLL))?;
                return Ok(line);
            }
            Err(_) if process.try_wait()?.is_some() => bail!("QEMU ended at once"),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("QEMU's serial line");
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

/// By force: nothing in it is worth keeping.
fn end(process: &mut Child) {
    let ended = process.kill().and_then(|()| process.wait());
    if let Err(error) = ended {
        eprintln!("lab: a machine goes on: {error}");
    }
}
