//! `hextet port`: bind a port to this host and say which link carries it; take it off; list.

mod libvirt;
mod list;
mod show;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use hextet_core::ids::PortId;
use hextet_feed::v1;

use crate::api::{Api, Port};
use crate::format::{Format, FormatArgs};
use crate::local::{self, Agent, refused};
use crate::paths::Paths;

/// How long a port may take to become ACTIVE.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest name of a port, octets (Neutron has 255 characters).
const NAME_MAX: usize = 4 * 255;
/// How often it is asked for.
const POLL: Duration = Duration::from_millis(50);

/// The subcommands of `hextet port`.
#[derive(Subcommand)]
pub enum PortCommand {
    /// Bind a port to this host, and make or adopt the link that carries it
    #[command(after_help = "Examples:\n  \
        hextet port attach port1 --netns guest1\n      \
            makes a pair of links; the guest's end is eth0 in the network namespace guest1\n  \
        hextet port attach port1 --tap tap7\n      \
            takes the tap that QEMU or libvirt uses\n\n\
        Returns when the port is ACTIVE, or says why it is not. Attaching again what is attached changes nothing.")]
    Attach(AttachArgs),
    /// Take a port off this host, and unbind it
    #[command(after_help = "Example:\n  hextet port detach port1\n\n\
        A link that attach made is removed; a tap is set down and stays.")]
    Detach(DetachArgs),
    /// List the ports that this host carries: wanted against seen, carrier, drops
    #[command(after_help = "Examples:\n  hextet port list\n  hextet port list -f json")]
    List(ListArgs),
    /// Explain one port: what was promised, installed and seen, and what is wrong, in words
    #[command(after_help = "Examples:\n  \
        hextet port show tap0a1b2c3d-4e\n  \
        hextet port show 0a1b -f json\n  \
        hextet port show port1\n\n\
        It asks the agent of this host, and needs the server only for a port's name.")]
    Show(ShowArgs),
    /// Print a port as the interface element of a libvirt domain
    #[command(
        after_help = "Example: a domain with a NIC for port1, on a tap that outlives the guest\n  \
        hextet port libvirt-xml port1 > nic.xml\n  \
        ip tuntap add dev tap1f2e3d4c-5b mode tap      # the name is in nic.xml\n  \
        hextet port attach port1 --tap tap1f2e3d4c-5b\n  \
        virsh attach-device guest1 nic.xml --config\n\n\
        A tap of that name (tap and the first 11 characters of the port's id) needs no attach where the port is bound to\n\
        this host (openstack port set --host HOST port1): the agent adopts it when it appears, before the guest starts\n\
        or after. Where the host may claim (claim_hosts in server.toml) the tap itself binds a port that is bound to none.\n\
        So with --managed, which leaves the tap to libvirt (its system's, as root), there is nothing else to do.\n\n\
        Any user who may see the port may ask: with OS_* where OS_AUTH_URL is set, else as the administrator of\n\
        clouds.yaml in --dir."
    )]
    LibvirtXml(libvirt::LibvirtXmlArgs),
}

/// Arguments of `hextet port attach`.
#[derive(Args)]
pub struct AttachArgs {
    /// A port's id or unique name
    port: String,
    #[command(flatten)]
    link: LinkArgs,
    /// With --netns: the name of the guest's end
    #[arg(long, default_value = "eth0", conflicts_with = "tap")]
    ifname: String,
    /// With --netns: leave the guest's end down
    #[arg(long, conflicts_with = "tap")]
    down: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct LinkArgs {
    /// Make a pair of links, with the guest's end in this network namespace
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
    /// Adopt this tap
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
}

/// Arguments of `hextet port detach`.
#[derive(Args)]
pub struct DetachArgs {
    /// A port's id or unique name
    port: String,
}

/// Arguments of `hextet port list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    print: FormatArgs,
}

/// Arguments of `hextet port show`.
#[derive(Args)]
pub struct ShowArgs {
    /// An id, the beginning of one, the name of its link, or a unique name
    port: String,
    #[command(flatten)]
    print: FormatArgs,
}

/// Runs one of them.
pub fn run(paths: &Paths, command: PortCommand) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            PortCommand::Attach(args) => attach(paths, args).await,
            PortCommand::Detach(args) => detach(paths, args).await,
            PortCommand::Show(args) => show(paths, args).await,
            PortCommand::LibvirtXml(args) => libvirt::run(paths, &args).await,
            PortCommand::List(args) => {
                let mut agent = local::connect(paths).await?;
                let ports = local::ports(&mut agent).await?;
                match args.print.format {
                    Format::Table => println!("{}", list::table(&ports)),
                    Format::Json => println!("{:#}", list::json(&ports)),
                }
                Ok(())
            }
        }
    })
}

async fn show(paths: &Paths, args: ShowArgs) -> Result<()> {
    let agent = local::connect(paths).await?;
    let shown = known(paths, args.port, async |port| {
        let request = v1::ShowPortRequest { port };
        agent.clone().show_port(request).await
    });
    let shown = shown.await?.into_inner();
    match args.print.format {
        Format::Table => print!("{}", show::text(&shown)),
        Format::Json => println!("{:#}", show::json(&shown)),
    }
    Ok(())
}

/// Asks the agent about a port; where the agent knows none by this text, about the one of that name in the API.
pub async fn known<T>(
    paths: &Paths,
    port: String,
    ask: impl AsyncFn(String) -> Result<T, tonic::Status>,
) -> Result<T> {
    let status = match ask(port.clone()).await {
        Err(status) if status.code() == tonic::Code::NotFound && port.len() <= NAME_MAX => status,
        answer => return answer.map_err(refused),
    };
    let named = async {
        Api::sign_in(&paths.clouds_yaml())
            .await?
            .find_port(&port)
            .await
    };
    match named.await {
        Ok(found) => {
            found.check_carried()?;
            ask(found.id.to_string()).await.map_err(refused)
        }
        Err(why) => bail!("{}; by name: {why:#}", status.message()),
    }
}

async fn attach(paths: &Paths, args: AttachArgs) -> Result<()> {
    let mut agent = local::connect(paths).await?;
    let host = local::status(&mut agent).await?.host;
    let api = Api::sign_in(&paths.clouds_yaml()).await?;
    let port = api.find_port(&args.port).await?;
    port.check_carried()?;
    let bound_here = bind(&api, &port, &host).await?;
    let request = v1::AttachRequest {
        port: port.id.0.as_bytes().to_vec(),
        target: Some(target(args)),
    };
    if let Err(status) = agent.attach(request).await {
        if bound_here {
            api.bind(port.id, "").await?;
        }
        return Err(refused(status));
    }
    wait_active(&api, &mut agent, port.id).await
}

/// Binds the port unless it is bound here already; true if it was not.
async fn bind(api: &Api, port: &Port, host: &str) -> Result<bool> {
    if port.host == host {
        return Ok(false);
    }
    if !port.host.is_empty() {
        bail!(
            "port {} is bound to host {}: detach it there first",
            port.id,
            port.host
        );
    }
    api.bind(port.id, host).await?;
    Ok(true)
}

fn target(args: AttachArgs) -> v1::Target {
    use v1::target::Target;
    let target = match (args.link.netns, args.link.tap) {
        (Some(name), _) => Target::Netns(v1::NetnsTarget {
            name,
            ifname: args.ifname,
            down: args.down,
        }),
        (None, tap) => Target::Tap(v1::TapTarget {
            name: tap.unwrap_or_default(),
        }),
    };
    v1::Target {
        target: Some(target),
    }
}

async fn wait_active(api: &Api, agent: &mut Agent, id: PortId) -> Result<()> {
    let started = Instant::now();
    loop {
        match api.port(id).await? {
            Some(port) if port.status == "ACTIVE" => return Ok(()),
            Some(_) => {}
            None => bail!("port {id} was deleted meanwhile"),
        }
        if started.elapsed() > ACTIVE_TIMEOUT {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    let here = local::ports(agent).await?;
    let here = here.iter().find(|port| port.port == id.0.as_bytes());
    let why = match here {
        None => "the agent does not know it".to_owned(),
        Some(port) if !port.planned => "the agent has not heard of its binding".to_owned(),
        Some(port) => match &port.down {
            Some(why) => why.clone(),
            None => "the server has not heard that the link is up".to_owned(),
        },
    };
    bail!("port {id} is attached and not ACTIVE: {why}")
}

async fn detach(paths: &Paths, args: DetachArgs) -> Result<()> {
    let mut agent = local::connect(paths).await?;
    let host = local::status(&mut agent).await?.host;
    let api = Api::sign_in(&paths.clouds_yaml()).await?;
    let port = api.find_port(&args.port).await?;
    let request = v1::DetachRequest {
        port: port.id.0.as_bytes().to_vec(),
    };
    let detached = agent.detach(request).await;
    if port.host == host {
        api.bind(port.id, "").await?;
    }
    match detached {
        // Bound without a link: taking the binding away is all there is to do.
        Err(status) if port.host != host => Err(refused(status)),
        Err(status) if status.code() != tonic::Code::NotFound => Err(refused(status)),
        _ => Ok(()),
    }
}
