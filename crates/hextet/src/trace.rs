//! `hextet trace`: what the program on a port's link says of a frame, stage by stage.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hextet_feed::convert::uuid;
use hextet_feed::v1;
use serde_json::{Value, json};

use crate::format::{Format, FormatArgs};
use crate::local;
use crate::paths::Paths;
use crate::port::known;

/// Largest capture file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The stages in their order, and what each asks.
const STAGES: [(&str, &str); 5] = [
    ("admit", "is the port up, and is the MAC its own?"),
    (
        "parse",
        "is it a whole IPv6, IPv4 or ARP frame, without a tag, within the MTU?",
    ),
    (
        "control",
        "is it said to the network: Neighbour Discovery, MLD, DHCP?",
    ),
    ("guard", "is the source address the port's?"),
    ("deliver", "who on the network receives it?"),
];

/// Arguments of `hextet trace`.
#[derive(Args)]
pub struct TraceArgs {
    /// The port whose guest would send: an id, the beginning of one, the name of its link, or a
    /// unique name
    port: String,
    /// The frame, in words or hexadecimal digits
    #[arg(
        long,
        value_name = "WORDS",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    packet: Option<String>,
    /// A capture (pcap) with frames, or a text file with one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    print: FormatArgs,
}

/// What `--help` teaches.
pub const HELP: &str = "Examples:
  hextet trace 0a1b --packet rs
  hextet trace tap0a1b2c3d-4e --packet 'ipv6 dst=2001:db8::5 tcp dport=22'
  hextet trace 0a1b --packet 'ra hop-by-hop fragment'      what a guard must not let by
  hextet trace 0a1b --file guest.pcap

A packet is an example, or layers, with KEY=VALUE behind them, each said once; what is not said is what the example
or the port's guest would send.
  examples  rs ns ns-dad na ra redirect mld-report echo echo4 arp spoofed dhcpv6-solicit
            dhcpv6-information-request dhcpv6-advertise dhcpv4-discover dhcpv4-offer
  layers    ipv6 ipv4 arp, udp tcp icmpv6 icmp dhcpv6 dhcpv4,
            hop-by-hop destination-options routing fragment (in this order in the packet), more, ll-option
  keys      mac-src mac-dst vlan src dst hop-limit next sport dport type code target ll offset routing-type data size
  addresses also: own, link-local, service, any, all-nodes, all-routers

Nothing is sent, counted, shown to the agent or taken from the port's budget: the program runs on copies of the live rows.";

/// Runs it.
pub fn run(paths: &Paths, args: &TraceArgs) -> Result<()> {
    let packet = packet(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let reply = runtime.block_on(async {
        let agent = local::connect(paths).await?;
        let reply = known(paths, args.port.clone(), async |port| {
            let packet = packet.clone();
            agent.clone().trace(v1::TraceRequest { port, packet }).await
        });
        anyhow::Ok(reply.await?.into_inner())
    })?;
    match args.print.format {
        Format::Table => print!("{}", text(&reply)),
        Format::Json => println!("{:#}", json(&reply)),
    }
    Ok(())
}

fn packet(args: &TraceArgs) -> Result<Vec<u8>> {
    let Some(path) = &args.file else {
        return Ok(args.packet.clone().unwrap_or_default().into_bytes());
    };
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!(
            "{}: at most {FILE_BYTES_MAX} bytes are read",
            path.display()
        );
    }
    Ok(bytes)
}

fn text(reply: &v1::TraceReply) -> String {
    let mut text = String::new();
    let port = uuid("port", &reply.port).map_or_else(|_| "?".to_owned(), |id| id.to_string());
    let _ = writeln!(text, "port {port}, link {}", reply.link);
    if !reply.attached {
        let _ = writeln!(
            text,
            "The program is NOT on the link: this is what it would say."
        );
    }
    for frame in &reply.frames {
        let _ = writeln!(
            text,
            "\n{} bytes  {}",
            frame.frame.len(),
            hex(&frame.frame, 54)
        );
        for line in stages(frame) {
            let _ = writeln!(text, "  {line}");
        }
        let _ = writeln!(text, "{}", outcome(frame));
    }
    text
}

fn stages(frame: &v1::TracedFrame) -> Vec<String> {
    let decided = STAGES.iter().position(|(name, _)| *name == frame.stage);
    let lines = STAGES.iter().enumerate().map(|(at, (name, asks))| {
        let said = match decided {
            Some(decided) if at < decided => "passed".to_owned(),
            Some(decided) if at == decided => format!("{}: {}", frame.verdict, frame.why),
            _ => "not reached".to_owned(),
        };
        format!("{name:<9}{asks}\n             {said}")
    });
    lines.collect()
}

fn outcome(frame: &v1::TracedFrame) -> String {
    let to = match uuid("port", &frame.to_port) {
        Ok(id) => format!("{} (port {id})", frame.to_link),
        Err(_) => frame.to_link.clone(),
    };
    let became = match frame.kind.as_str() {
        "drop" => "Dropped".to_owned(),
        "consumed" => "Taken off: nobody needs it".to_owned(),
        _ if !frame.answer.is_empty() => format!(
            "Answered on the link it came by: {}",
            hex(&frame.answer, 86)
        ),
        _ if frame.copies > 0 => format!("Copied to {} ports", frame.copies),
        _ if !frame.reason.is_empty() => "Given to the agent, which answers".to_owned(),
        _ if !frame.to_link.is_empty() => format!("Delivered to {to}"),
        _ => "Passed".to_owned(),
    };
    if frame.reason.is_empty() {
        return format!("{became}.");
    }
    format!(
        "{became}. The agent is shown it: {}: {}",
        frame.reason, frame.reason_why
    )
}

fn json(reply: &v1::TraceReply) -> Value {
    let frames = reply.frames.iter().map(|frame| {
        json!({
            "frame": hex(&frame.frame, usize::MAX),
            "verdict": frame.verdict,
            "kind": frame.kind,
            "why": frame.why,
            "stage": frame.stage,
            "shown_to_agent": frame.reason,
            "to_link": frame.to_link,
            "to_port": uuid("port", &frame.to_port).ok().map(|id| id.to_string()),
            "copies": frame.copies,
            "proto": frame.proto,
            "extensions": frame.extensions,
            "answer": hex(&frame.answer, usize::MAX),
        })
    });
    json!({
        "port": uuid("port", &reply.port).ok().map(|id| id.to_string()),
        "link": reply.link,
        "attached": reply.attached,
        "frames": frames.collect::<Vec<_>>(),
    })
}

/// At most so many bytes in digits.
fn hex(bytes: &[u8], most: usize) -> String {
    let mut digits: String = bytes
        .iter()
        .take(most)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if bytes.len() > most {
        digits.push('…');
    }
    digits
}
