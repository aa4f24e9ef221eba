//! The guests' side of `make bench-host`: a thousand of them in one process and one network namespace, or two in
//! namespaces of their own. Prints what it measured as JSON; `bench/host` starts it and reads that.

mod attach;
mod exchange;
mod frames;
mod least;
mod pair;
mod wire;

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use exchange::{Guests, Place, What};
use pair::Pair;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Attach the ports of the input, lines PORT NETNS IFNAME.
    Attach {
        /// The agent's.
        #[arg(long)]
        socket: PathBuf,
        /// How many at a time.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
        /// Leave the guests' ends down.
        #[arg(long)]
        down: bool,
    },
    /// As many exchanges as are answered.
    Load {
        what: Asked,
        #[command(flatten)]
        guests: GuestArgs,
        /// Guests that ask at a time.
        #[arg(long, default_value_t = 64)]
        window: usize,
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// One exchange after the other.
    Paced {
        what: Asked,
        #[command(flatten)]
        guests: GuestArgs,
        #[arg(long, default_value_t = 10.0)]
        pace_ms: f64,
        #[arg(long, default_value_t = 200)]
        count: usize,
    },
    /// All ask for a lease at once.
    Storm {
        #[command(flatten)]
        guests: GuestArgs,
        #[arg(long, default_value_t = 0.1)]
        within_s: f64,
        #[arg(long, default_value_t = 30.0)]
        patience_s: f64,
    },
    /// Wait until all links have had a router advertisement.
    Served {
        #[arg(long)]
        links: String,
        #[arg(long)]
        count: usize,
        #[arg(long, default_value_t = 60.0)]
        patience_s: f64,
    },
    /// Answer Router Solicitations with the least that can, until killed.
    Least,
    /// One guest sends to another.
    Pair {
        way: Way,
        #[arg(long)]
        from: String,
        #[arg(long)]
        to: String,
        #[arg(long)]
        address: Ipv6Addr,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Asked {
    /// A lease, by four messages.
    Lease,
    /// A router advertisement.
    Router,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// Small datagrams.
    Packets,
    /// Round trips.
    Echo,
    /// A TCP stream.
    Stream,
}

#[derive(Args)]
struct GuestArgs {
    /// How the names of the guests' links begin.
    #[arg(long)]
    links: String,
    /// So many guests behind each link, with a MAC each; without, each link is a guest.
    #[arg(long)]
    behind: Option<usize>,
    /// So many clients with the link's MAC.
    #[arg(long, conflicts_with = "behind")]
    clients: Option<usize>,
}

impl GuestArgs {
    fn guests(&self) -> Result<Guests> {
        let place = match (self.behind, self.clients) {
            (Some(count), _) => Place::Behind(count),
            (None, Some(count)) => Place::OneStation(count),
            (None, None) => Place::EachLink,
        };
        Guests::new(wire::links(&self.links)?.into_values(), place)
    }
}

impl From<Asked> for What {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Lease => What::Lease,
            Asked::Router => What::Router,
        }
    }
}

/// What an echo row asks, and what a stream carries.
const ECHOES: u16 = 20_000;
const STREAM_BYTES: usize = 4 << 30;
const PACKETS_FOR: Duration = Duration::from_millis(1500);

fn main() -> Result<()> {
    let seconds = Duration::from_secs_f64;
    let told = match Cli::parse().verb {
        Verb::Attach {
            socket,
            at_once,
            down,
        } => attach::attach(&socket, at_once.max(1), down)?,
        Verb::Load {
            what,
            guests,
            window,
            seconds: length,
        } => guests
            .guests()?
            .load(what.into(), window, seconds(length))?,
        Verb::Paced {
            what,
            guests,
            pace_ms,
            count,
        } => {
            let pace = seconds(pace_ms / 1000.0);
            guests.guests()?.paced(what.into(), pace, count)?
        }
        Verb::Storm {
            guests,
            within_s,
            patience_s,
        } => guests
            .guests()?
            .storm(seconds(within_s), seconds(patience_s))?,
        Verb::Served {
            links,
            count,
            patience_s,
        } => exchange::served(&links, count, seconds(patience_s))?,
        Verb::Least => return least::answer(),
        Verb::Pair {
            way,
            from,
            to,
            address,
        } => {
            let pair = Pair {
                from: &from,
                to: &to,
                address,
            };
            match way {
                Way::Packets => pair.packets(PACKETS_FOR)?,
                Way::Echo => pair.echo(ECHOES)?,
                Way::Stream => pair.stream(STREAM_BYTES)?,
            }
        }
    };
    println!("{told}");
    Ok(())
}
