//! The kernel lane: the oldest kernel that a host may have, Debian 12's, in QEMU by software emulation, runs the agent's
//! tests of its programs, on crafted packets and on real links.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hextet_lab::machine::{Initrd, Kernel, Machine, arguments};

use crate::lanes::{KERNEL, TestProgram, banner, root, run as run_command, say};

/// Enough for the test programs, the maps of a host, and some guests.
const MEMORY_MIB: u32 = 1024;
/// How long the machine may take for everything.
const BOUND: Duration = Duration::from_secs(600);

/// What the tests run beside what busybox has.
const PROGRAMS: [&str; 5] = ["ip", "nsenter", "ping", "tc", "unshare"];

/// What this kernel's machine does. tcx came with Linux 6.6: what needs it is left out, and is refused.
const START: &str = r#"
mkdir -p /run/netns /var/tmp
export RUST_BACKTRACE=0
agent kernel:: --test-threads=1 || failed=yes
netns_fastpath --test-threads=1 --skip tcx || failed=yes
echo "machine: tcx is refused"
netns_fastpath --test-threads=1 tcx_puts_expedited_rcu_back >/tmp/tcx 2>&1 && failed=yes
grep -q "value: NoTcx" /tmp/tcx || { cat /tmp/tcx; failed=yes; }
[ -z "$failed" ] && echo "machine: all passed"
poweroff -f
"#;

/// Runs the lane with these built test programs.
pub fn run(programs: &[TestProgram]) -> Result<()> {
    banner("kernel");
    let kernel = Kernel::open(&root().join(KERNEL))?;
    let directory = root().join("target/oldest");
    // A console of an earlier run would be taken for this one's.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let mut initrd = Initrd::new(&kernel, START)?;
    for program in PROGRAMS {
        initrd.program(program)?;
    }
    for (name, kind, test) in [
        ("agent", "lib", "hextet_agent"),
        ("netns_fastpath", "test", "netns_fastpath"),
    ] {
        let built = programs.iter().find(|program| {
            program.package == "hextet-agent" && program.kind == kind && program.name == test
        });
        let built = built.with_context(|| format!("cargo built no {test}"))?;
        // What a debugger needs is most of it, and would be the machine's memory.
        let stripped = directory.join(name);
        let mut strip = Command::new("strip");
        run_command(strip.arg("-o").arg(&stripped).arg(&built.path))?;
        initrd.built_program(name, &stripped)?;
    }
    let file = directory.join("initrd");
    initrd.write(&file)?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(arguments(&kernel, &file, MEMORY_MIB, None, &directory)?);
    say("booting Debian's stock kernel in QEMU");
    let console = Machine::start(qemu, &directory)?.wait(BOUND)?;
    print!("{console}");
    if !console.contains("machine: all passed") {
        bail!("on Debian's stock kernel tests failed");
    }
    Ok(())
}
