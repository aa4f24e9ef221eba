//! What the program says of a frame, without letting it through: the object is loaded a second time with maps of its own,
//! into which the live rows that matter to one port are copied. So nothing of the live maps is counted, spent or
//! remembered, no record reaches the agent, and no copy leaves.

use std::collections::BTreeSet;
use std::io;

use hextet_core::ids::{PortNumber, Vni};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, ProgramInput};

use super::rows::Maps;
use super::{PuntBudget, Sizes};
use crate::kernel::maps::raw::{Raw, Trace};
use crate::kernel::maps::{MEMBERS_MAX, Rows};
use crate::kernel::object::{self, Build, GUEST, fault};
use crate::kernel::punt::PuntReason;
use crate::kernel::verdict::Verdict;

/// The longest frame that is traced, bytes: what the kernel's test run takes in one page.
pub const FRAME_BYTES_MAX: usize = 3_000;
/// The shortest, bytes: an Ethernet header (the kernel takes no less).
pub const FRAME_BYTES_MIN: usize = 14;
/// Room for what the program adds to a frame that it answers, bytes.
const ANSWER_ROOM: usize = 256;
/// struct __sk_buff, bytes; `ifindex` is at 40.
const CONTEXT_BYTES: usize = 192;
const CONTEXT_IFINDEX: usize = 40;
/// A test run says that a frame came in by the loopback unless it is told otherwise.
const LOOPBACK: u32 = 1;

/// Where a verdict came from: enum stage of `bpf/maps.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Whose link it is, and whether the port may speak.
    Admit,
    /// What the frame is, layer by layer.
    Parse,
    /// What is said to the network: Neighbour Discovery, MLD, DHCP.
    Control,
    /// Whether the source is the port's.
    Guard,
    /// Who receives it.
    Deliver,
}

impl Stage {
    /// In their order.
    pub const ALL: [Stage; 5] = [
        Stage::Admit,
        Stage::Parse,
        Stage::Control,
        Stage::Guard,
        Stage::Deliver,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Admit => "admit",
            Stage::Parse => "parse",
            Stage::Control => "control",
            Stage::Guard => "guard",
            Stage::Deliver => "deliver",
        }
    }

    fn from_raw(raw: u32) -> Option<Stage> {
        let at = usize::try_from(raw).ok()?.checked_sub(1)?;
        Stage::ALL.get(at).copied()
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct TraceFrame<'a> {
    /// The frame from its Ethernet header on, [`FRAME_BYTES_MIN`] to [`FRAME_BYTES_MAX`] bytes.
    pub frame: &'a [u8],
    /// The host's end of the link that it comes in by.
    pub ifindex: u32,
    /// The port's number.
    pub port: PortNumber,
    /// The port's network.
    pub net: Vni,
    /// How much the agent is shown of a port.
    pub punt: PuntBudget,
}

/// What the program decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its verdict.
    pub verdict: Verdict,
    /// The stage that decided.
    pub stage: Stage,
    /// The ifindex that the frame, or its answer, goes to.
    pub target: Option<u32>,
    /// Why the agent would be shown the frame.
    pub reason: Option<PuntReason>,
    /// To how many ports it would be copied.
    pub copies: u32,
    /// The upper layer's protocol number, where parsing got so far.
    pub proto: Option<u8>,
    /// Extension headers that were walked.
    pub extensions: u32,
    /// The frame as it would go on: the answer, where it is answered.
    pub frame: Vec<u8>,
}

/// Runs the program on a frame with copies of these rows.
///
/// # Errors
/// The kernel's; a frame of a length that it does not take.
pub fn trace(live: &Rows, asked: &TraceFrame<'_>) -> io::Result<Traced> {
    object::quiet();
    if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&asked.frame.len()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a frame has {FRAME_BYTES_MIN} to {FRAME_BYTES_MAX} bytes"),
        ));
    }
    let rows = concerned(live, asked);
    let build = Build {
        punt: asked.punt,
        trace: true,
        dry_run: true,
    };
    let object = object::load(build, sizes(&rows), None)?;
    let maps = Maps::open(|name| map(&object, name))?;
    maps.apply(&Rows::default().diff(&rows))
        .map_err(io::Error::other)?;
    for port in &rows.seen {
        let now = 1_u64;
        let seen = map(&object, "seen")?;
        seen.update(port.0.bytes(), now.bytes(), MapFlags::ANY)
            .map_err(fault)?;
    }
    run(&object, asked)
}

fn map(object: &Object, name: &str) -> io::Result<MapHandle> {
    let found = object.maps().find(|map| map.name() == name);
    let found = found.ok_or_else(|| io::Error::other(format!("the object lacks map {name}")))?;
    MapHandle::try_from(&found).map_err(fault)
}

/// The rows that can decide about the frame: the port's own and those of its network.
fn concerned(live: &Rows, asked: &TraceFrame<'_>) -> Rows {
    let mut rows = live.clone();
    rows.ports.retain(|_, row| row.net == asked.net);
    rows.sources.retain(|(port, _), _| *port == asked.port);
    rows.learnable.retain(|(port, _)| *port == asked.port);
    rows.uplinks.retain(|net, _| *net == asked.net);
    rows.neigh.retain(|(net, _), _| *net == asked.net);
    rows.fdb.retain(|(net, _), _| *net == asked.net);
    rows.members.retain(|net, _| *net == asked.net);
    let numbers: BTreeSet<PortNumber> = rows.ports.values().map(|row| row.port).collect();
    rows.listeners.retain(|port, _| numbers.contains(port));
    rows.seen.retain(|port| *port == asked.port);
    rows
}

/// Maps just large enough.
fn sizes(rows: &Rows) -> Sizes {
    let entries = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(16);
    Sizes {
        ports: entries(rows.ports.len()),
        sources: entries(rows.sources.len().max(rows.learnable.len())),
        neighbours: entries(rows.neigh.len().max(rows.fdb.len())),
        member_chunks: entries(MEMBERS_MAX),
        counters: 64,
        punt_bytes: 4096,
    }
}

fn run(object: &Object, asked: &TraceFrame<'_>) -> io::Result<Traced> {
    let mut context = [0; CONTEXT_BYTES];
    if asked.ifindex > LOOPBACK {
        context[CONTEXT_IFINDEX..CONTEXT_IFINDEX + 4].copy_from_slice(asked.ifindex.bytes());
    }
    let mut out = vec![0; asked.frame.len() + ANSWER_ROOM];
    let program = object
        .progs_mut()
        .find(|program| program.name() == GUEST)
        .ok_or_else(|| io::Error::other("the object lacks its program"))?;
    let output = program
        .test_run(ProgramInput {
            context_in: Some(&mut context),
            data_in: Some(asked.frame),
            data_out: Some(&mut out),
            ..Default::default()
        })
        .map_err(fault)?;
    let frame = output.data.map(|data| data.to_vec()).unwrap_or_default();
    let record = record(&map(object, "traces")?)?;
    let unknown = || io::Error::other("the program's record is of another schema");
    Ok(Traced {
        verdict: Verdict::from_raw(record.verdict).ok_or_else(unknown)?,
        stage: Stage::from_raw(record.stage).ok_or_else(unknown)?,
        target: Some(record.target).filter(|target| *target > 0),
        reason: PuntReason::from_raw(record.reason),
        copies: record.copies,
        proto: (record.stage > Stage::Parse as u32 + 1).then_some(record.proto as u8),
        extensions: record.extensions,
        frame,
    })
}

/// The record of the run, from whichever CPU it was on.
fn record(traces: &MapHandle) -> io::Result<Trace> {
    let values = traces
        .lookup_percpu(0u32.bytes(), MapFlags::ANY)
        .map_err(fault)?;
    let records = values.iter().flatten();
    let mut records = records.filter_map(|bytes| Trace::from_bytes(bytes));
    records
        .find(|record| record.verdict > 0)
        .ok_or_else(|| io::Error::other("the program left no record"))
}
