//! The host's thread: the one owner of ledger, fast path and links. Everything that happens comes in as an [`Input`]; after
//! each, the host is brought to what the ledger says, the serving thread is told, and a report is made.

mod carriers;
mod claims;
mod explain;
mod figures;
mod find;
mod groups;
mod learned;
mod lines;
mod local;
mod news;
mod part;
mod pass;
mod plan;
mod rounds;
mod scene;
mod segments;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hextet_core::ids::{PortId, Vni};
use hextet_core::report::{ClaimOutcome, HostReport};
use hextet_feed::sync::PlanDelta;
use hextet_feed::v1;
use hextet_proto::{LinkEvent, SegmentSeen};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;

use crate::claims::Taps;
use crate::config::Config;
use crate::kernel::links::{LinkChange, LinkSeen};
use crate::kernel::memory;
use crate::kernel::{Fastpath, FastpathError, Punt, Sender};
use crate::ledger::{Found, Ledger, LedgerError, State, Target};
use crate::metrics::{Figures, Passes};
use crate::reconcile::{Addresses, LinkProblem, Segments};
use crate::serve::{PlanDirectory, Serve};
use crate::uplink::FeedState;
use carriers::Carrier;
use claims::Claims;
use groups::GroupAge;
use learned::Conflicts;
use lines::Lines;
use news::take_links;
use rounds::Rounds;

pub(crate) use local::take_off;
pub(crate) use pass::fastpath_config;
pub use scene::Scene;

/// Most inputs that wait; whoever comes then waits.
pub const INPUTS_MAX: usize = 256;
/// Most inputs that one pass answers.
const INPUTS_PER_PASS: usize = 64;
/// How long after a pass with failures the next one comes by itself.
const FAILURE_RETRY: Duration = Duration::from_secs(2);
/// A pass of so many changes leaves much memory behind that it needed for itself.
const LARGE_PASS: usize = 256;
/// How long after such a pass its memory is given back: what follows it may need some again.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);
/// What guests make the agent remember is written at most this often.
const LEARNED_WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// What guests make the agent report is told at most this often.
const LEARNED_TELL_INTERVAL: Duration = Duration::from_secs(1);

/// What can happen.
pub enum Input {
    /// The server changed the plan.
    Delta(PlanDelta),
    /// Links of this host changed.
    Links(Vec<LinkChange>),
    /// Guests were heard.
    Events(Vec<(PortId, LinkEvent)>),
    /// Routers of physical segments were heard, or no longer.
    Segments(BTreeMap<Vni, SegmentSeen>),
    /// What the server says of a tap that was claimed.
    Claimed(String, ClaimOutcome),
    /// Somebody of this host asks.
    Local(Local),
    /// The process ends; nothing is torn down.
    Stop,
}

/// A question, of the command line for the most part, and where its answer goes.
pub enum Local {
    /// This link carries this port.
    Attach(PortId, Target, oneshot::Sender<Result<(), tonic::Status>>),
    /// No link here carries this port.
    Detach(PortId, oneshot::Sender<Result<(), tonic::Status>>),
    /// Every port.
    List(oneshot::Sender<v1::ListPortsReply>),
    /// Everything about one port, named by id, the beginning of one, or link.
    Show(
        String,
        oneshot::Sender<Result<Box<v1::ShowPortReply>, tonic::Status>>,
    ),
    /// What frames of a port are to be judged with.
    Trace(String, oneshot::Sender<Result<Box<Scene>, tonic::Status>>),
    /// How new the plan is.
    Status(oneshot::Sender<v1::StatusReply>),
    /// What there is to measure; `None` where a part of it cannot be had now.
    Figures(oneshot::Sender<Option<Box<Figures>>>),
    /// What a server is greeted with: it is the uplink that asks.
    Greet(oneshot::Sender<Vec<v1::Hello>>),
    /// Everything is taken off.
    Down(oneshot::Sender<Result<(), tonic::Status>>),
}

/// Why the host's thread cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The kernel's BPF.
    #[error(transparent)]
    Fastpath(#[from] FastpathError),
    /// Sockets, threads, or the lock of the state directory.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Ends of the host's thread.
pub struct Ports {
    /// What happens.
    pub inputs: mpsc::Receiver<Input>,
    /// For the serving thread.
    pub input: mpsc::Sender<Input>,
    /// Everything that there is to report.
    pub reports: watch::Sender<Arc<HostReport>>,
    /// Taps that the server is to be asked for.
    pub claims: watch::Sender<Taps>,
    /// Whether the server answers.
    pub feed: Arc<FeedState>,
}

/// The thread's state.
pub struct Host {
    config: Arc<Config>,
    ports: Ports,
    ledger: Ledger,
    state: State,
    fastpath: Fastpath,
    serve: Serve,
    /// Says on physical segments where guests are.
    announcer: Sender,
    /// The links that carry ports, as last seen.
    carriers: BTreeMap<PortId, Carrier>,
    /// All links, as the last pass left them and as changes told since.
    known: BTreeMap<u32, LinkSeen>,
    /// Ports that were attached, and who waits for the pass that brings it about.
    attaching: Vec<(PortId, oneshot::Sender<Result<(), tonic::Status>>)>,
    problems: BTreeMap<PortId, LinkProblem>,
    segments: Segments,
    /// What was heard of them.
    heard: BTreeMap<Vni, SegmentSeen>,
    failures: BTreeMap<PortId, String>,
    /// A failure of no single port.
    failure: Option<String>,
    incarnations: u64,
    /// Ports whose guests are others than before the pass.
    lost: BTreeSet<PortId>,
    unwritten_since: Option<Instant>,
    /// Since when guests did something that the server is to hear of.
    untold_since: Option<Instant>,
    conflicts: Conflicts,
    /// What guests cause in the log.
    lines: Lines,
    claims: Claims,
    /// When it was looked which learned addresses are in use.
    looked_at: Instant,
    passes: Passes,
    ledger_failures: u64,
    group_age: GroupAge,
    rounds: Rounds,
    /// Ports whose table of groups was made anew: their guests are to be asked.
    unasked: BTreeSet<PortId>,
    passed_at: Instant,
    /// When it was looked for namespaces that are not there.
    namespaces_looked_at: Instant,
    /// When a large pass left free memory behind.
    littered_at: Option<Instant>,
    directory: PlanDirectory,
    /// Everything was taken off: nothing is done any more.
    down: bool,
}

impl Host {
    /// Reads the ledger and opens the fast path; nothing of a guest's is touched yet.
    ///
    /// # Errors
    /// The disk's and the kernel's.
    pub fn new(config: Arc<Config>, ports: Ports) -> Result<Self, StartError> {
        let ledger = Ledger::open(&config.state_dir)?;
        let state = match ledger.read()? {
            Found::State(state) => *state,
            Found::Nothing => State::default(),
            Found::Corrupt(why, aside) => {
                error!(%why, kept = %aside.display(), "the ledger is unreadable: nothing is touched until a plan comes");
                State::default()
            }
        };
        let fastpath = Fastpath::open(&pass::fastpath_config(&config))?;
        let punt: Punt = fastpath.punt()?;
        let io = |what| move |source| StartError::Io { what, source };
        let sender = || Sender::new().map_err(io("open a packet socket"));
        let announcer = sender()?;
        let serve = Serve::start(punt, fastpath.objections()?, sender()?, ports.input.clone())
            .map_err(io("start the serving thread"))?;
        Ok(Self {
            config,
            ports,
            ledger,
            state,
            fastpath,
            serve,
            announcer,
            carriers: BTreeMap::new(),
            known: BTreeMap::new(),
            attaching: Vec::new(),
            problems: BTreeMap::new(),
            segments: Segments::new(),
            heard: BTreeMap::new(),
            failures: BTreeMap::new(),
            failure: None,
            incarnations: 0,
            lost: BTreeSet::new(),
            unwritten_since: None,
            untold_since: None,
            conflicts: Conflicts::default(),
            lines: Lines::default(),
            claims: Claims::default(),
            looked_at: Instant::now(),
            passes: Passes::default(),
            ledger_failures: 0,
            group_age: GroupAge::new(Instant::now()),
            rounds: Rounds::new(Instant::now()),
            unasked: BTreeSet::new(),
            passed_at: Instant::now(),
            namespaces_looked_at: Instant::now(),
            littered_at: None,
            directory: PlanDirectory::default(),
            down: false,
        })
    }

    /// Until it is asked to stop.
    pub fn run(mut self, runtime: &tokio::runtime::Handle) {
        self.bring_about();
        loop {
            let wait = self
                .until_pass()
                .min(self.until_write())
                .min(self.until_told())
                .min(self.until_look())
                .min(self.until_round())
                .min(self.until_namespaces())
                .min(self.until_given_back())
                .min(self.group_age.until(Instant::now()));
            let first = runtime
                .block_on(async { tokio::time::timeout(wait, self.ports.inputs.recv()).await });
            let mut next = match first {
                Ok(None) => break,
                Ok(Some(input)) => Some(input),
                Err(_) => None,
            };
            // A question is answered after what came before it has been brought about.
            let mut questions = Vec::new();
            let mut deltas = Vec::new();
            let mut heard = Vec::new();
            let mut links = Vec::new();
            let mut changed = false;
            let mut left = INPUTS_PER_PASS;
            while let Some(input) = next {
                match input {
                    Input::Delta(delta) => deltas.push(delta),
                    Input::Links(changes) => links.extend(changes),
                    Input::Events(events) => heard.extend(events),
                    Input::Segments(seen) => {
                        changed = true;
                        self.take_segments(seen);
                    }
                    Input::Claimed(tap, outcome) => self.take_claim(&tap, outcome),
                    Input::Local(question) => questions.push(question),
                    Input::Stop => {
                        self.take_events(heard);
                        self.take_deltas(deltas);
                        return self.write();
                    }
                }
                left -= 1;
                if left == 0 {
                    break;
                }
                next = self.ports.inputs.try_recv().ok();
            }
            self.follow(changed, deltas, &links, heard);
            for question in questions {
                self.answer(question);
            }
            self.bring_attached_about();
            if self.until_look().is_zero() {
                self.look();
            }
            self.age_groups();
            self.make_round();
            self.look_for_namespaces();
            if self.until_write().is_zero() {
                self.write();
            }
            if self.until_told().is_zero() {
                self.tell();
            }
            self.give_back();
        }
        self.write();
    }

    /// A pass where one is due, else what of the news needs less.
    fn follow(
        &mut self,
        mut changed: bool,
        deltas: Vec<PlanDelta>,
        links: &[LinkChange],
        mut heard: Vec<(PortId, LinkEvent)>,
    ) {
        let mut part = None;
        if !deltas.is_empty() {
            // What guests did they did under the plan as it was.
            self.learn(std::mem::take(&mut heard));
            part = self.take_deltas(deltas);
            changed |= part.is_none();
        }
        let state = &self.state;
        let port_of = |name: &str| state.port_of_link(name);
        let news = take_links(links, &mut self.known, &mut self.carriers, port_of);
        self.announce(&news.elsewhere);
        if changed || news.others || self.until_pass().is_zero() {
            self.take_events(heard);
            return self.bring_about();
        }
        self.learn(heard);
        if let Some(part) = part {
            self.bring_part_about(part);
        }
        if !news.ports.is_empty() {
            self.bring_some_about(&news.ports);
        }
        if !news.carriers.is_empty() {
            self.tell_of(&news.carriers);
        }
    }

    /// One pass, then all who must hear of it.
    fn bring_about(&mut self) {
        self.passed_at = Instant::now();
        // Without a plan nothing is known about what may be touched.
        if self.down || self.state.plan.cloud().is_none() {
            return;
        }
        if self.state.expire(now_s()) {
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        self.pass();
        self.directory = PlanDirectory::new(&self.state);
        let mut view = self.view(self.carriers.keys(), &Addresses::new(&self.state));
        view.segments = self.segment_views();
        self.serve.view(Arc::new(view));
        self.serve.ask_groups(std::mem::take(&mut self.unasked));
        self.tell();
    }

    /// What there is to report, if it is another than before.
    fn tell(&mut self) {
        self.untold_since = None;
        if self.down {
            return;
        }
        let report = Arc::new(self.report());
        self.ports.reports.send_if_modified(|old| {
            let new = **old != *report;
            *old = report;
            new
        });
    }

    /// How long until a pass is due by itself.
    fn until_pass(&self) -> Duration {
        let mut wait = self.config.resync;
        if self.down || self.state.plan.cloud().is_none() {
            return wait.saturating_sub(self.passed_at.elapsed());
        }
        if self.failure.is_some() || !self.failures.is_empty() {
            wait = wait.min(FAILURE_RETRY);
        }
        let wait = wait.saturating_sub(self.passed_at.elapsed());
        match self.state.next_expiry_s() {
            Some(expiry) => wait.min(Duration::from_secs(expiry.saturating_sub(now_s()))),
            None => wait,
        }
    }

    /// How long until what was learned is written.
    fn until_write(&self) -> Duration {
        match self.unwritten_since {
            Some(since) => LEARNED_WRITE_INTERVAL.saturating_sub(since.elapsed()),
            None => Duration::MAX,
        }
    }

    /// How long until the memory that a large pass freed is given back.
    fn until_given_back(&self) -> Duration {
        match self.littered_at {
            Some(at) => GIVE_BACK_AFTER.saturating_sub(at.elapsed()),
            None => Duration::MAX,
        }
    }

    fn give_back(&mut self) {
        if self.until_given_back().is_zero() {
            self.littered_at = None;
            memory::give_free_pages_back();
        }
    }

    /// How long until what guests did is told.
    fn until_told(&self) -> Duration {
        match self.untold_since {
            Some(since) => LEARNED_TELL_INTERVAL.saturating_sub(since.elapsed()),
            None => Duration::MAX,
        }
    }

    fn write(&mut self) {
        if self.down || self.state == State::default() {
            self.unwritten_since = None;
            return;
        }
        match self.ledger.write(&self.state) {
            Ok(()) => self.unwritten_since = None,
            Err(error) => {
                self.ledger_failures += 1;
                error!(
                    error = hextet_core::errors::chain(&error),
                    "the ledger cannot be written"
                );
                // Tried again with the next write of what was learned.
                self.unwritten_since = Some(Instant::now());
            }
        }
    }
}

/// Unix time: what was withdrawn is withdrawn across restarts.
fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
