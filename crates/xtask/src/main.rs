//! The project's own verbs: `cargo xtask test` runs every lane, `cargo xtask LANE` one of them.

mod lanes;
mod oldest;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Lanes and chores of the project", long_about = None)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Every lane in order, cheapest first; stops at the first that fails.
    Test,
    /// Formatting, clippy with warnings as errors, tidiness of the tree.
    Check,
    /// The pure crates and every unit test that sits with its code.
    Unit,
    /// The store's contract, and no acknowledged write lost.
    Store,
    /// Whole links on virtual time, from scenarios/.
    Scenarios,
    /// Every decoder on its committed corpus and on mutations of it.
    FuzzReplay,
    /// Real kernel: links, eBPF, server and agent in network namespaces (root, or sudo).
    Netns,
    /// The agent's programs on the oldest kernel that a host may have: Debian 12's, in QEMU.
    Kernel,
    /// The lab: real guests with real clients, and faults that it must see (root, or sudo).
    Interop,
    /// The openstack CLI and openstacksdk as judges of the API, PyPI's current ones and Debian's.
    Api,
    /// tempest, neutron-tempest-plugin and gophercloud as judges of the API; docs/conformance.md must tell what they say.
    Conformance {
        /// What the server's database is.
        #[arg(long, value_enum, default_value = "sqlite")]
        database: lanes::Database,
    },
    /// Builds and runs `hextet lab` with these arguments.
    Lab {
        /// Passed on to `hextet lab`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Release build and the benchmarks of bench/.
    Bench {
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Release build, and the host side measured beside its peers, each row against its target (root, or sudo).
    BenchHost {
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Release build, and a client beside the server that measures the networking API.
    BenchApi {
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Test => lanes::all(),
        Verb::Check => lanes::check(),
        Verb::Unit => lanes::tests(lanes::Lane::Unit),
        Verb::Store => lanes::tests(lanes::Lane::Store),
        Verb::Scenarios => lanes::tests(lanes::Lane::Scenarios),
        Verb::FuzzReplay => lanes::tests(lanes::Lane::FuzzReplay),
        Verb::Netns => lanes::tests(lanes::Lane::Netns),
        Verb::Kernel => lanes::kernel(),
        Verb::Interop => lanes::interop(),
        Verb::Api => lanes::api(),
        Verb::Conformance { database } => lanes::conformance(database),
        Verb::Lab { args } => lanes::lab(&args),
        Verb::Bench { args } => lanes::bench(&args),
        Verb::BenchHost { args } => lanes::bench_host(&args),
        Verb::BenchApi { args } => lanes::bench_api(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
