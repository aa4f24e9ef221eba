//! The lab: a cloud in network namespaces of its own, guests with real clients, and what each guest got against what
//! the API promised.
//!
//! It stands on the public doors only: the `hextet` command, `clouds.yaml`, the HTTP API, and the guests' own tools.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

pub mod api;
pub mod attacks;
pub mod client;
pub mod cloud;
pub mod clouds;
pub mod emulated;
pub mod guest;
pub mod interrupt;
pub mod ipv4;
pub mod jail;
pub mod lab;
pub mod machine;
pub mod networks;
pub mod options;
pub mod promised;
pub mod run;
pub mod scenarios;
pub mod seen;
pub mod segment;
pub mod show;
pub mod verdict;
pub mod watch;

use crate::interrupt::Interrupt;
use crate::lab::{Lab, say};
use crate::machine::Kernel;

/// Programs that the guests are made of, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 15] = [
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("ping", "iputils-ping"),
    ("rdisc6", "ndisc6"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcpcd", "dhcpcd5"),
    ("dhcp6c", "wide-dhcpv6-client"),
    ("udhcpc", "udhcpc"),
    (client::NETWORKD, "systemd"),
    ("NetworkManager", "network-manager"),
    ("dbus-daemon", "dbus-daemon"),
    ("setpriv", "util-linux"),
    ("radvd", "radvd"),
    ("sysctl", "procps"),
];

/// The same of a guest that is a machine.
const MACHINE_PROGRAMS: [(&str, &str); 3] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox"),
    ("ldd", "libc-bin"),
];

/// Arguments of `hextet lab`.
#[derive(Args, Clone, Debug)]
pub struct LabArgs {
    /// End with a verdict: exit code 0 only if every line is right
    #[arg(long)]
    pub once: bool,

    /// Besides, try the attacks of thc-ipv6, ipv6toolkit and perfdhcp on a plain bridge and on the cloud
    #[arg(long)]
    pub attacks: bool,

    /// Besides, guests in trouble, and what the host says of each; a client that follows a Reconfigure
    #[arg(long)]
    pub scenarios: bool,

    /// One of the lab's networks and no other; may be said several times
    #[arg(long = "network", value_name = "NAME")]
    pub networks: Vec<String>,

    /// Leave the lab's files (logs, database, clients' files) for a look afterwards
    #[arg(long)]
    pub keep_files: bool,

    /// A kernel for a guest in QEMU, as tools/setup puts it into target/kernel; without it there is no such guest
    #[arg(long, value_name = "DIR")]
    pub kernel: Option<PathBuf>,

    /// The hextet binary under trial; this one by default
    #[arg(long, value_name = "PATH")]
    pub hextet: Option<PathBuf>,
}

/// Runs the lab. Must not be called from an async runtime's thread.
///
/// # Errors
/// When the lab itself cannot run: not as root, a program missing, the cloud not starting.
pub fn run(args: LabArgs) -> Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes network namespaces: run it as root");
    }
    let kernel = args.kernel.as_deref().map(Kernel::open).transpose()?;
    need_programs(kernel.is_some(), args.attacks)?;
    let hextet = match args.hextet {
        Some(path) => path,
        None => std::env::current_exe().context("path of this program")?,
    };
    let interrupt = Interrupt::listen()?;
    let mut networks = networks::named(&args.networks)?;
    networks.extend(
        args.attacks
            .then_some(attacks::NETWORKS)
            .into_iter()
            .flatten(),
    );
    networks.extend(args.scenarios.then_some(scenarios::NETWORK));
    let lab = Lab::start(
        &hextet,
        &networks,
        kernel.as_ref(),
        args.keep_files,
        interrupt.clone(),
    )?;
    say("looking into every guest");
    let mut lines = lab.judge()?;
    println!("{}", show::tables(&lab, &lines));
    let mut summary = show::summary(&lines);
    let mut all_right = true;
    if args.scenarios {
        let rows = scenarios::run(&lab, &interrupt)?;
        println!("{}", scenarios::table(&rows));
        summary = format!("{summary}; {}", scenarios::summary(&rows));
        all_right = rows.iter().all(scenarios::Row::is_right);
    }
    if args.attacks {
        let rows = attacks::run(&lab, &interrupt)?;
        println!("{}", attacks::table(&rows));
        say("looking into every guest again");
        lines = lab.judge()?;
        let again = show::summary(&lines);
        summary = format!("{summary}; {}; {again} afterwards", attacks::summary(&rows));
        all_right &= rows.iter().all(attacks::Row::is_right);
        if !lines.iter().all(verdict::Line::is_right) {
            println!("{}", show::tables(&lab, &lines));
        }
    }
    if !args.once {
        println!("{summary}\n{}", show::invitation(&lab));
        interrupt.wait();
        say("taking everything down");
    }
    lab.end()?;
    println!("{summary}");
    all_right &= lines.iter().all(verdict::Line::is_right);
    Ok(ExitCode::from(u8::from(!all_right)))
}

/// All missing programs at once, with where to get them; `machine` and `attacks`: those of a machine, of attackers, too.
fn need_programs(machine: bool, attacks: bool) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A user's PATH may lack them, though a client needs them all the same.
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .collect();
    let machine = machine.then_some(MACHINE_PROGRAMS);
    let attackers = attacks.then(attacks::programs).into_iter().flatten();
    let missing: BTreeSet<String> = PROGRAMS
        .into_iter()
        .chain(machine.into_iter().flatten())
        .chain(attackers)
        .filter(|(program, _)| !folders.iter().any(|folder| folder.join(program).exists()))
        .map(|(program, package)| format!("{program} (package {package})"))
        .collect();
    if !missing.is_empty() {
        let missing: Vec<String> = missing.into_iter().collect();
        bail!("missing programs: {}", missing.join(", "));
    }
    Ok(())
}
