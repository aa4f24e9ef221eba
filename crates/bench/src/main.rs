//! `make bench-api`: a client beside the server, and the rows of `bench/README.md`.

mod client;
mod cloud;
mod disk;
mod floor;
mod load;
mod neutron;
mod report;
mod rows;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use hextet_testdb::{Cluster, Disk};
use serde_json::json;

use report::Report;
use rows::{Bench, Size};

/// Measures the networking API of a release build, every row against its target. The databases are below the temporary
/// folder (TMPDIR), which should be on a disk.
#[derive(Parser)]
struct Cli {
    /// Rows to measure; all by default.
    rows: Vec<Rows>,
    /// Small sizes and short windows: shows that it works, judges nothing.
    #[arg(long)]
    quick: bool,
    /// The server's program.
    #[arg(long, default_value = "target/release/hextet")]
    binary: PathBuf,
    /// Where to write the figures.
    #[arg(long, default_value = "target/bench/api.json")]
    json: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// Chains of one client on SQLite, beside the disk.
    Chain,
    /// The same, and chains of eight clients.
    Chains,
    /// Lists, shows, creations, memory.
    Ports,
    /// Chains and creations on PostgreSQL.
    Postgres,
    /// The choice of addresses: large pools, and one that is nearly full.
    Addresses,
    /// A chain in a large cloud against one in a small cloud.
    Scale,
    /// The start on a large database.
    Start,
}

const FULL: Size = Size {
    windows: 7,
    window: Duration::from_millis(1500),
    steps: 200,
    few: 1000,
    many: 10_000,
    scale: 100_000,
    small: 1000,
    pool: 8192,
    ends: 50,
};
const QUICK: Size = Size {
    windows: 2,
    window: Duration::from_millis(200),
    steps: 20,
    few: 100,
    many: 1000,
    scale: 2000,
    small: 200,
    pool: 256,
    ends: 20,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target is met.
fn run(cli: &Cli) -> Result<bool> {
    let start = Instant::now();
    let binary = std::path::absolute(&cli.binary)?;
    anyhow::ensure!(binary.exists(), "{} is not built", binary.display());
    let folder = tempfile::Builder::new()
        .prefix("hextet-bench-")
        .tempdir()
        .context("no temporary folder")?;
    let mut bench = Bench {
        binary,
        folder: folder.path().to_owned(),
        size: if cli.quick { QUICK } else { FULL },
        report: Report::new(!cli.quick),
    };
    let wanted = |rows| cli.rows.is_empty() || cli.rows.contains(&rows);
    if wanted(Rows::Chain) || wanted(Rows::Chains) {
        bench.chains_sqlite(wanted(Rows::Chains))?;
    }
    if wanted(Rows::Ports) {
        bench.ports()?;
    }
    if wanted(Rows::Postgres) {
        let cluster = Cluster::start(Disk::Synced);
        bench.postgres(&cluster.database())?;
    }
    if wanted(Rows::Addresses) {
        bench.addresses()?;
    }
    if wanted(Rows::Scale) {
        bench.scale()?;
    }
    if wanted(Rows::Start) {
        bench.restart()?;
    }
    let conditions = json!({
        "cores": std::thread::available_parallelism()?.get(),
        "quick": cli.quick,
        "seconds": start.elapsed().as_secs(),
    });
    bench.report.write(&cli.json, &conditions)?;
    let (judged, missed) = bench.report.verdict();
    println!(
        "\n{} s; {} of {judged} targets met; figures in {}",
        start.elapsed().as_secs(),
        judged - missed.len(),
        cli.json.display()
    );
    for what in &missed {
        println!("missed: {what}");
    }
    Ok(missed.is_empty())
}
