//! A guest that is a machine in QEMU on a tap of the cloud's host: Debian's kernel, whose SLAAC is the client of IPv6, and
//! busybox's udhcpc for IPv4.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::machine::{Answer, Initrd, Kernel, Machine, Nic, arguments};
use crate::run::Namespace;

/// Enough for the kernel, what it boots into, and the programs that look around in it.
const MEMORY_MIB: u32 = 192;

/// Debian's script of its client, the same as on this machine.
const UDHCPC_SCRIPT: &str = "/etc/udhcpc/default.script";

/// What the guest itself starts. The client goes into the background at once, and asks until it is answered.
const START: &str = "\
ip link set eth0 up
udhcpc -b -t 1000 -i eth0 -s /etc/udhcpc/default.script -O mtu
";

/// Programs that look into it, the same as in every other guest.
const PROGRAMS: [&str; 3] = ["ip", "ping", "rdisc6"];

/// A machine that is there from when its port is attached.
#[derive(Debug)]
pub struct Emulated {
    kernel: Kernel,
    nic: Nic,
    directory: PathBuf,
    machine: Mutex<Option<Machine>>,
}

impl Emulated {
    /// With this kernel and this NIC. Its files go to `directory`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(kernel: Kernel, nic: Nic, directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        Ok(Self {
            kernel,
            nic,
            directory,
            machine: Mutex::new(None),
        })
    }

    /// The name of the tap that it opens.
    pub fn tap(&self) -> &str {
        &self.nic.tap
    }

    /// What it writes to its console.
    pub fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// Switches it on, on the host with its tap.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(&self, host: &Namespace) -> Result<()> {
        let mut initrd = Initrd::new(&self.kernel, START)?;
        for program in PROGRAMS {
            initrd.program(program)?;
        }
        initrd.copy(Path::new(UDHCPC_SCRIPT))?;
        let file = self.directory.join("initrd");
        initrd.write(&file)?;
        let nic = Some(&self.nic);
        let mut command = host.command("qemu-system-x86_64");
        command.args(arguments(
            &self.kernel,
            &file,
            MEMORY_MIB,
            nic,
            &self.directory,
        )?);
        let machine = Machine::start(command, &self.directory)?;
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine);
        Ok(())
    }

    /// Runs a program in it.
    ///
    /// # Errors
    /// When it is not there, or gives no answer.
    pub fn run(&self, program: &str, args: &[&str], bound: Duration) -> Result<Answer> {
        let words = std::iter::once(program).chain(args.iter().copied());
        let line: Vec<String> = words.map(quoted).collect();
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        match machine.as_mut() {
            Some(machine) => machine.run(&line.join(" "), bound),
            None => bail!("the machine is not switched on"),
        }
    }

    /// Switches it off.
    pub fn stop(&self) {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
