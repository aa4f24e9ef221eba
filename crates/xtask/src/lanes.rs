//! The lanes. All tests are built once, by one `cargo test --no-run`, and each lane runs its own test programs. What shares nothing
//! with anything else runs side by side, each with its own words in one piece.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hextet_testdb::{Cluster, Disk};
use serde_json::Value;

use crate::oldest;

/// Where `tools/setup` puts Debian's kernel.
pub(crate) const KERNEL: &str = "target/kernel";

/// The binary that tests drive.
pub(crate) const BINARY: &str = "target/debug/hextet";

/// What guests' clients write if nobody keeps them from it, and what the next install on this machine needs.
const UNTOUCHED: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// A lane that runs test programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Unit,
    Store,
    Scenarios,
    FuzzReplay,
    Netns,
    Interop,
}

/// A built test program.
pub(crate) struct TestProgram {
    pub(crate) package: String,
    /// `lib`, `bin` or `test`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where cargo would run it: the folder of its package.
    directory: PathBuf,
}

impl TestProgram {
    /// Which lane a test program belongs to. What needs root sits in a package's `tests/` folder.
    fn lane(&self) -> Lane {
        match (self.package.as_str(), self.kind.as_str()) {
            ("hextet-store", _) => Lane::Store,
            ("hextet-server", "test") if self.name == "engines" => Lane::Store,
            ("hextet-testkit", _) => Lane::Scenarios,
            ("hextet-fuzz", _) => Lane::FuzzReplay,
            ("hextet-lab", "test") => Lane::Interop,
            ("hextet-agent" | "hextet", "test") => Lane::Netns,
            _ => Lane::Unit,
        }
    }
}

/// Every lane in order.
pub fn all() -> Result<()> {
    let start = Instant::now();
    let judges = Beside::start(
        "judges",
        Command::new(root().join("tools/setup")).arg("judges"),
    )?;
    check()?;
    let programs = build()?;
    judges.end()?;
    for lane in [
        Lane::Unit,
        Lane::Store,
        Lane::Scenarios,
        Lane::FuzzReplay,
        Lane::Netns,
    ] {
        run_lane(&programs, lane)?;
    }
    oldest::run(&programs)?;
    run_lane(&programs, Lane::Interop)?;
    lab_once()?;
    // By this name also where a lane has built this program anew meanwhile.
    let mut conformance = Command::new("/proc/self/exe");
    conformance.args(["conformance", "--database", "both"]);
    let judged = Beside::start("conformance", &mut conformance)?;
    let outcome = api();
    judged.end()?;
    outcome?;
    say(&format!(
        "every lane is green ({} s)",
        start.elapsed().as_secs()
    ));
    Ok(())
}

/// Formatting and clippy; the tree's tidiness is a test of this package and runs in the unit lane too.
pub fn check() -> Result<()> {
    banner("check");
    run(cargo(&["fmt", "--all", "--check"]))?;
    run(cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// One lane of test programs.
pub fn tests(lane: Lane) -> Result<()> {
    run_lane(&build()?, lane)
}

/// The agent's own tests, those of the netns lane, and the whole system on NICs that this machine's kernel lacks: on Debian's
/// stock kernel, the oldest that hosts may have.
pub fn kernel() -> Result<()> {
    oldest::run(&build()?)
}

/// The lab's own tests, then the lab itself with a verdict.
pub fn interop() -> Result<()> {
    tests(Lane::Interop)?;
    lab_once()
}

/// The command line and the SDK against the built binary: PyPI's current ones and Debian's, side by side, each on a
/// cloud of its own.
pub fn api() -> Result<()> {
    banner("api");
    let current = root().join("target/venv/bin/python");
    let debian = Path::new("/usr/bin/python3");
    let edge = root().join("target/edge/venv/bin/python");
    for (python, wanted) in [
        (current.as_path(), "openstack, openstackclient, pytest"),
        (debian, "openstack, openstackclient, pytest"),
        (&edge, "prometheus_client, pytest, schemathesis"),
    ] {
        let complete = Command::new(python)
            .args(["-c", &format!("import {wanted}")])
            .stderr(Stdio::null())
            .status();
        if !complete.is_ok_and(|status| status.success()) {
            bail!(
                "{} cannot import {wanted}: run tools/setup first",
                python.display()
            );
        }
    }
    build_binary()?;
    let beside = api_tests(debian, "tests/api")
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("could not start Debian's Python")?;
    let first = run(api_tests(&current, "tests/api"));
    let second = beside.wait_with_output()?;
    print!("{}", String::from_utf8_lossy(&second.stdout));
    first?;
    if !second.status.success() {
        bail!("with Debian's clients the api lane failed");
    }
    run(api_tests(&edge, "tests/edge"))
}

/// Something that runs beside the lanes, and what it says, which is shown when it has ended.
struct Beside {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Beside {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let folder = root().join("target/lanes");
        std::fs::create_dir_all(&folder)?;
        let output = folder.join(name);
        let file = std::fs::File::create(&output)?;
        say(&format!("beside what follows: {name}"));
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .current_dir(root())
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self {
            name,
            child,
            output,
        })
    }

    /// Waits for it; its failure is the lanes'.
    fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        print!("{}", String::from_utf8_lossy(&std::fs::read(&self.output)?));
        if !status.success() {
            bail!("{} failed ({status})", self.name);
        }
        Ok(())
    }
}

impl Drop for Beside {
    /// Nothing goes on when a lane has failed.
    fn drop(&mut self) {
        let _ = self.child.wait();
    }
}

fn api_tests(python: &Path, tests: &str) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", tests])
        .current_dir(root());
    command
}

/// What a server's database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Database {
    Sqlite,
    Postgresql,
    /// One after the other.
    Both,
}

/// tempest and gophercloud against the built binary.
pub fn conformance(database: Database) -> Result<()> {
    if database == Database::Both {
        conformance(Database::Sqlite)?;
        return conformance(Database::Postgresql);
    }
    banner("conformance");
    let python = root().join("target/conformance/venv/bin/python");
    if !python.exists() {
        bail!("the conformance lane has no Python environment: run tools/setup first");
    }
    build_binary()?;
    let mut judges = Command::new(python);
    judges.arg("tests/conformance/run.py").current_dir(root());
    // Its server ends with it.
    let cluster = (database == Database::Postgresql).then(|| Cluster::start(Disk::Unsynced));
    if let Some(cluster) = &cluster {
        judges.arg("--database").arg(cluster.database());
    }
    run(judges)
}

/// The lab in the foreground, with a guest on Debian's kernel.
pub fn lab(args: &[String]) -> Result<()> {
    build_binary()?;
    run(as_root(&root().join(BINARY))
        .arg("lab")
        .arg("--kernel")
        .arg(root().join(KERNEL))
        .args(args))
}

/// The benchmarks, on a release build of their own.
pub fn bench(args: &[String]) -> Result<()> {
    banner("bench");
    run(cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "hextet",
    ]))?;
    run(as_root(&root().join("bench/run")).args(args))
}

/// The speed of the networking API: the shipped program, and a client of its own process.
pub fn bench_api(args: &[String]) -> Result<()> {
    banner("bench-api");
    build_measured()?;
    // Where /tmp is in memory, /var/tmp is not.
    run(Command::new(root().join("target/release/hextet-bench"))
        .args(args)
        .env("TMPDIR", "/var/tmp")
        .current_dir(root()))
}

/// The speed of the host side: the shipped program, and guests of a process of their own.
pub fn bench_host(args: &[String]) -> Result<()> {
    banner("bench-host");
    build_measured()?;
    run(as_root(&root().join("bench/host")).args(args))
}

/// The shipped program and what loads it.
fn build_measured() -> Result<()> {
    for package in ["hextet", "hextet-bench"] {
        // One after the other: together they would be built with each other's features.
        run(cargo(&[
            "build",
            "--quiet",
            "--release",
            "--package",
            package,
        ]))?;
    }
    Ok(())
}

fn lab_once() -> Result<()> {
    banner("lab");
    untouched(|| lab(&["--once", "--scenarios", "--attacks"].map(str::to_owned)))
}

/// With the whole workspace in view, so that dependencies are built with the same features as for the tests.
fn build_binary() -> Result<()> {
    say("building the binary");
    run(cargo(&["build", "--quiet", "--workspace", "--bins"]))
}

/// Builds every test program of the workspace, and the binary that some of them drive.
fn build() -> Result<Vec<TestProgram>> {
    build_binary()?;
    build_tests(&["--workspace"])
}

/// Builds the test programs of these packages.
fn build_tests(of: &[&str]) -> Result<Vec<TestProgram>> {
    say("building the test programs");
    let mut command = cargo(&["test", "--no-run", "--quiet", "--message-format=json"]);
    command.args(of);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("could not start cargo")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: Vec<TestProgram> = messages
        .filter_map(|message| test_program(&message))
        .collect();
    if programs.is_empty() {
        bail!("cargo named no test program");
    }
    Ok(programs)
}

fn test_program(message: &Value) -> Option<TestProgram> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let directory = manifest.parent()?.to_owned();
    let text = std::fs::read_to_string(&manifest).ok()?;
    let package = text
        .lines()
        .find_map(|line| line.strip_prefix("name = "))?
        .trim_matches('"')
        .to_owned();
    Some(TestProgram {
        package,
        kind: message["target"]["kind"][0].as_str()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        path: PathBuf::from(message["executable"].as_str()?),
        directory,
    })
}

fn run_lane(programs: &[TestProgram], lane: Lane) -> Result<()> {
    banner(&format!("{lane:?}").to_lowercase());
    let mine: Vec<&TestProgram> = programs
        .iter()
        .filter(|program| program.lane() == lane)
        .collect();
    if mine.is_empty() {
        bail!("the {lane:?} lane has no test program");
    }
    untouched(|| {
        mine.into_iter()
            .try_for_each(|program| run_tests(program, lane))
    })
}

fn run_tests(program: &TestProgram, lane: Lane) -> Result<()> {
    say(&format!(
        "{} ({} {})",
        program.package, program.kind, program.name
    ));
    let needs_root = matches!(lane, Lane::Netns | Lane::Interop);
    let mut command = if needs_root {
        as_root(&program.path)
    } else {
        Command::new(&program.path)
    };
    if needs_root {
        // Namespaces and pinned maps are shared by the machine: one at a time.
        command.arg("--test-threads=1");
        // Those of the kernel lane.
        command.args(["--skip", "stacked", "--skip", "vhost_net"]);
    }
    run(command
        .current_dir(&program.directory)
        .env("CARGO_MANIFEST_DIR", &program.directory))
}

/// Does this, and sees to it that the machine's own files are as before.
fn untouched(lane: impl FnOnce() -> Result<()>) -> Result<()> {
    let read = || UNTOUCHED.map(|path| std::fs::read(path).ok());
    let before = read();
    lane()?;
    let after = read();
    for ((path, before), after) in UNTOUCHED.iter().zip(before).zip(after) {
        if before != after {
            bail!("this lane changed the machine's {path}: a guest's client wrote it");
        }
    }
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The program itself for root, through sudo for everybody else.
fn as_root(program: &Path) -> Command {
    if nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command
        .args(["--preserve-env=PATH,HOME,RUST_LOG,HEXTET_UPDATE"])
        .arg(program);
    command
}

pub(crate) fn run(mut command: impl std::borrow::BorrowMut<Command>) -> Result<()> {
    let command = command.borrow_mut();
    let status = command
        .status()
        .with_context(|| format!("could not start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?} failed ({status})", command.get_program());
    }
    Ok(())
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package sits in crates/")
        .to_owned()
}

pub(crate) fn banner(lane: &str) {
    println!("\n== {lane}");
}

pub(crate) fn say(what: &str) {
    println!("-- {what}");
}
