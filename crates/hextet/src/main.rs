//! The binary: the command line of the whole system. No logic of its own beyond starting things and asking them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use hextet_core::errors::chain;

mod api;
mod db;
mod down;
mod format;
mod identity;
mod local;
mod logs;
mod paths;
mod port;
mod run;
mod trace;
mod up;

use crate::paths::Paths;

/// Virtual networks that speak IPv6 first: the OpenStack Networking API, and a fast path on each host.
#[derive(Parser)]
#[command(
    name = "hextet",
    version,
    after_help = "Example: a cloud on this machine, and a guest on it\n  \
        hextet up &\n  \
        export OS_CLIENT_CONFIG_FILE=/var/lib/hextet/clouds.yaml OS_CLOUD=hextet\n  \
        openstack network create net1\n  \
        openstack subnet create --network net1 --ip-version 6 --subnet-range 2001:db8:1::/64 \\\n      \
            --ipv6-ra-mode slaac --ipv6-address-mode slaac sub1\n  \
        openstack port create --network net1 port1\n  \
        ip netns add guest1\n  \
        hextet port attach port1 --netns guest1\n\n\
        Exit codes: 0 done, 1 refused or failed (the reason is on stderr), 2 usage."
)]
struct Cli {
    /// Where this instance keeps everything
    #[arg(
        long,
        global = true,
        env = "HEXTET_DIR",
        default_value = "/var/lib/hextet",
        value_name = "DIR"
    )]
    dir: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run server and agent on this machine, in the foreground
    #[command(
        after_help = "Example:\n  hextet --dir /var/lib/hextet up --listen '[::1]:9696'\n\n\
        When both work, one line is printed: ready URL PATH-OF-CLOUDS.YAML\n\
        SIGTERM stops both; guests' links and their traffic stay. `hextet down` takes them off."
    )]
    Up(up::UpArgs),

    /// Stop a running `up`, detach all, take everything off this host; the database stays
    #[command(after_help = "Example:\n  hextet --dir /var/lib/hextet down\n\n\
        A later `hextet up` on the same directory finds networks, subnets and ports as they were.")]
    Down,

    /// Run the server alone
    #[command(
        after_help = "Example:\n  hextet server --config /var/lib/hextet/server.toml\n\n\
        `hextet up` writes a configuration to start from; hextet.example.toml lists every key. \
        --check-config reads it, says what is wrong with it, and starts nothing."
    )]
    Server(ServerArgs),

    /// Run the agent alone
    #[command(
        after_help = "Example:\n  hextet agent --config /var/lib/hextet/agent.toml\n\n\
        `hextet up` writes a configuration to start from; hextet.example.toml lists every key. With\n\
        metrics_listen = \"[::1]:9699\" in it, Prometheus reads this host\'s figures at http://[::1]:9699/metrics.\n\n\
        --replace puts this program in the place of the agent that runs with that configuration, in the same process:\n\
        guests' traffic and the agent's socket go on. A program that could not start is refused, and the other goes on. --check-config says whether this one could."
    )]
    Agent(AgentArgs),

    /// Put ports on this host, take them off, list them
    #[command(
        subcommand,
        after_help = "Example: a guest is plugged in, looked at and unplugged\n  \
        hextet port attach port1 --netns guest1\n  \
        hextet port list\n  \
        hextet port detach port1"
    )]
    Port(port::PortCommand),

    /// Ask the fast path what becomes of a packet of a port's guest, stage by stage
    #[command(after_help = trace::HELP)]
    Trace(trace::TraceArgs),

    /// Copy the database, put a copy back, check it
    #[command(
        subcommand,
        after_help = "Example: a copy every night, of a running server\n  \
        hextet db backup /backup/hextet-$(date +%F).db\n\n\
        These are for SQLite. A database on PostgreSQL is copied with pg_dump."
    )]
    Db(db::DbCommand),

    /// Users, projects, roles, application credentials and tokens
    #[command(
        subcommand,
        after_help = "Example: a project with a user who works there\n  \
        hextet identity project create blue\n  \
        hextet identity user create bob --project blue --role member\n\n\
        It signs in with the administrator of clouds.yaml in --dir, or with OS_* where OS_AUTH_URL is set, as the\n\
        openstack command does, whose verbs do the same."
    )]
    Identity(identity::IdentityCommand),

    /// Show everything at work: guests with real clients in network namespaces
    #[command(after_help = "Example:\n  hextet lab --once\n\n\
        Without --once the lab stays up to be looked at, until Ctrl-C.")]
    Lab(hextet_lab::LabArgs),
}

#[derive(Args)]
struct ServerArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Only say whether the configuration can be used
    #[arg(long)]
    check_config: bool,
}

#[derive(Args)]
struct AgentArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Take the place of the running agent
    #[arg(long)]
    replace: bool,

    /// With --replace: the program that takes it; this one by default
    #[arg(long, value_name = "FILE", requires = "replace")]
    program: Option<PathBuf>,

    /// Only say whether this program could run here with the configuration, beside an agent that does or not
    #[arg(long, conflicts_with = "replace")]
    check_config: bool,
}

#[derive(Args)]
struct ConfigArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = ExitCode::SUCCESS;
    // Database, keys, passwords, sockets: what these processes make is for their owner alone.
    if matches!(
        cli.command,
        Command::Up(_) | Command::Server(_) | Command::Agent(_) | Command::Db(_)
    ) {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    }
    let paths = match Paths::new(&cli.dir) {
        Ok(paths) => paths,
        Err(error) => return failed(&error),
    };
    let outcome = match cli.command {
        Command::Up(args) => up::run(&paths, &args).map(|()| done),
        Command::Down => down::run(&paths).map(|()| done),
        Command::Server(args) => run::server(&args.config.config, args.check_config).map(|()| done),
        Command::Agent(args) if args.replace => {
            run::replace_agent(&args.config.config, args.program.as_deref()).map(|()| done)
        }
        Command::Agent(args) if args.check_config => {
            run::check_agent(&args.config.config).map(|()| done)
        }
        Command::Agent(args) => run::agent(&args.config.config).map(|()| done),
        Command::Port(command) => port::run(&paths, command).map(|()| done),
        Command::Trace(args) => trace::run(&paths, &args).map(|()| done),
        Command::Identity(command) => identity::run(&paths, command).map(|()| done),
        Command::Db(command) => db::run(&paths, command),
        Command::Lab(args) => hextet_lab::run(args),
    };
    outcome.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("hextet: {}", chain(error.as_ref()));
    ExitCode::FAILURE
}
