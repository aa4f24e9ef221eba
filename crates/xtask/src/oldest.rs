//! The kernel lane: the oldest kernel that a host may have, Debian 12's, in QEMU by software emulation, runs the agent's
//! tests of its programs, on crafted packets and on real links.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hextet_lab::machine::{Initrd, Kernel, Machine, arguments};

use crate::lanes::{BINARY, KERNEL, TestProgram, banner, root, run as run_command, say};

/// Enough for the test programs, the maps of a host, and some guests.
const MEMORY_MIB: u32 = 1024;
/// A server, an agent and clients that wait for their answers share them.
const PROCESSORS: &str = "2";
/// How long the machine may take for everything.
const BOUND: Duration = Duration::from_secs(600);

/// What the tests run beside what busybox has.
const PROGRAMS: [&str; 8] = [
    "bridge", "ip", "nsenter", "ping", "radvd", "ss", "tc", "unshare",
];

/// The kernel's modules that these tests want, as `/sys/module` names them.
const MODULES: [&str; 7] = [
    "8021q",
    "bonding",
    "bridge",
    "cls_bpf",
    "tun",
    "veth",
    "vhost_net",
];

/// The built test programs that the machine runs: package, kind and name, and what it calls them.
const TESTS: [(&str, &str, &str, &str); 3] = [
    ("hextet-agent", "lib", "hextet_agent", "agent"),
    ("hextet-agent", "test", "netns_fastpath", "netns_fastpath"),
    ("hextet", "test", "first_light", "first_light"),
];

/// What this kernel's machine does, in a shell that has `modules` and `hextet`: the path at which a test looks for that. tcx came
/// with Linux 6.6: what needs it is left out, and is refused.
const START: &str = r#"
mkdir -p /run/netns /var/lib /var/tmp "$(dirname "$hextet")"
ln -s /programs/hextet "$hextet"
# radvd asks who root is.
echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
export RUST_BACKTRACE=0
for module in $modules; do
  [ -d "/sys/module/$module" ] || { echo "machine: the kernel has no module $module"; failed=yes; }
done
agent kernel:: --test-threads=1 || failed=yes
netns_fastpath --test-threads=1 --skip tcx || failed=yes
echo "machine: tcx is refused"
netns_fastpath --test-threads=1 tcx_puts_expedited_rcu_back >/tmp/tcx 2>&1 && failed=yes
grep -q "value: NoTcx" /tmp/tcx || { cat /tmp/tcx; failed=yes; }
first_light --test-threads=1 stacked vhost_net || failed=yes
[ -z "$failed" ] && echo "machine: all passed"
poweroff -f
"#;

/// Runs the lane with these built test programs, and the built binary.
pub fn run(programs: &[TestProgram]) -> Result<()> {
    banner("kernel");
    let kernel = Kernel::open(&root().join(KERNEL))?;
    let directory = root().join("target/oldest");
    // A console of an earlier run would be taken for this one's.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("initrd");
    initrd(&kernel, programs, &directory)?.write(&file)?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(arguments(&kernel, &file, MEMORY_MIB, None, &directory)?);
    qemu.args(["-smp", PROCESSORS]);
    say("booting Debian's stock kernel in QEMU");
    let console = Machine::start(qemu, &directory)?.wait(BOUND)?;
    print!("{console}");
    if !console.contains("machine: all passed") {
        bail!("on Debian's stock kernel tests failed");
    }
    Ok(())
}

fn initrd(kernel: &Kernel, programs: &[TestProgram], directory: &Path) -> Result<Initrd> {
    let hextet = root().join(BINARY);
    let (modules, path) = (MODULES.join(" "), hextet.display());
    let start = format!("modules='{modules}' hextet='{path}'\n{START}");
    let mut initrd = Initrd::new(kernel, &start)?;
    initrd.modules(kernel, "nics")?;
    for program in PROGRAMS {
        initrd.program(program)?;
    }
    let mut add = |name: &str, built: &Path| {
        // What a debugger needs is most of it, and would be the machine's memory.
        let stripped = directory.join(name);
        let mut strip = Command::new("strip");
        run_command(strip.arg("-o").arg(&stripped).arg(built))?;
        initrd.built_program(name, &stripped)
    };
    for (package, kind, test, name) in TESTS {
        let built = programs.iter().find(|program| {
            program.package == package && program.kind == kind && program.name == test
        });
        add(
            name,
            &built
                .with_context(|| format!("cargo built no {test}"))?
                .path,
        )?;
    }
    add("hextet", &hextet)?;
    Ok(initrd)
}
