//! Answers the guests: one thread, one protocol machine for each link. It takes frames from the punt ring, plans and
//! the time, and sends what the machines say. No decisions.

mod directory;
mod link;
mod segments;
mod telling;
mod totals;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender as Channel, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, Vni};
use hextet_core::link::LinkPlan;
use hextet_proto::{Known, LinkEvent, Reconfigurable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;
use tracing::{debug, error, trace};

use crate::host::Input;
use crate::kernel::punt::DRAIN_MAX;
use crate::kernel::{Objections, Punt, PuntReason, Sender};

use directory::Departed;
pub use directory::PlanDirectory;
use link::Served;
use segments::Ears;
pub use segments::SegmentView;
pub use totals::Totals;

/// Most events that wait for the host's thread; more stay in their links, which bound them too.
const EVENTS_WAITING_MAX: usize = 1024;
/// How soon a busy host's thread is tried again.
const EVENTS_RETRY: Duration = Duration::from_millis(20);
/// How long the host's thread waits for an answer of this one.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// What is to be served.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The links that are there.
    pub links: BTreeMap<PortId, LinkView>,
    /// Who holds which address.
    pub directory: PlanDirectory,
    /// The physical segments that NICs lead to.
    pub segments: BTreeMap<Vni, SegmentView>,
}

/// A link that is there.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// What to serve on it.
    pub plan: LinkPlan,
    /// Its host's end.
    pub ifindex: u32,
    /// Another one: the link is new or lost its guest, and nothing is known about who is there now.
    pub incarnation: u64,
    /// The guest was heard before this process began.
    pub resumed: bool,
    /// What was learned of it.
    pub learned: Vec<Known>,
    /// Its DHCPv6 client, if that follows a Reconfigure.
    pub reconfigurable: Option<Reconfigurable>,
}

/// Drops of the machines, by port and reason.
pub type Drops = BTreeMap<PortId, BTreeMap<&'static str, u64>>;

/// A link as it is now, and what others have in common with it.
#[derive(Debug)]
pub struct Shown {
    /// The machine.
    pub link: hextet_proto::Link,
    /// Other links whose DHCPv6 clients show the same DUID.
    pub same_duid: Vec<PortId>,
}

enum Command {
    View(Arc<View>),
    Part(BTreeSet<PortId>, Arc<View>),
    Learned(Arc<View>),
    Used(Vec<(PortId, Ipv6Addr)>),
    AskGroups(BTreeSet<PortId>),
    Cease(BTreeSet<PortId>, SyncSender<()>),
    Counters(SyncSender<Drops>),
    Totals(SyncSender<Totals>),
    Show(PortId, SyncSender<Option<Shown>>),
    Stop,
}

/// The serving thread, from outside.
pub struct Serve {
    commands: Channel<Command>,
    waker: UnixStream,
}

impl Serve {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread or socket left.
    pub fn start(
        punt: Punt,
        objections: Objections,
        sender: Sender,
        host: mpsc::Sender<Input>,
    ) -> std::io::Result<Self> {
        let (waker, wake) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let (commands, inbox) = channel();
        let thread = Thread {
            punt,
            sender,
            host,
            inbox,
            wake,
            links: BTreeMap::new(),
            by_ifindex: BTreeMap::new(),
            timers: BTreeSet::new(),
            directory: PlanDirectory::default(),
            departed: Departed::default(),
            events: Vec::new(),
            contests: BTreeSet::new(),
            ears: Ears::new(objections),
            totals: Totals::default(),
        };
        std::thread::Builder::new()
            .name("serve".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self { commands, waker })
    }

    /// What is to be served from now on.
    pub fn view(&self, view: Arc<View>) {
        self.send(Command::View(view));
    }

    /// The links of these ports are these from now on, the others stay.
    pub fn part(&self, ports: BTreeSet<PortId>, view: Arc<View>) {
        self.send(Command::Part(ports, view));
    }

    /// What was learned is this from now on; the view has the links that learned or forgot something, the others stay.
    pub fn learned(&self, view: Arc<View>) {
        self.send(Command::Learned(view));
    }

    /// These learned addresses were seen in use.
    pub fn used(&self, used: Vec<(PortId, Ipv6Addr)>) {
        self.send(Command::Used(used));
    }

    /// Nothing is known of the groups that the guests of these links listen to: they are asked.
    pub fn ask_groups(&self, ports: BTreeSet<PortId>) {
        if !ports.is_empty() {
            self.send(Command::AskGroups(ports));
        }
    }

    /// Takes back what was advertised on these links, and waits until that is sent.
    pub fn cease(&self, ports: BTreeSet<PortId>) {
        if ports.is_empty() {
            return;
        }
        let (done, wait) = sync_channel(1);
        self.send(Command::Cease(ports, done));
        if wait.recv_timeout(REPLY_TIMEOUT).is_err() {
            error!("the serving thread does not answer");
        }
    }

    /// What the machines dropped.
    pub fn drops(&self) -> Drops {
        let (done, wait) = sync_channel(1);
        self.send(Command::Counters(done));
        wait.recv_timeout(REPLY_TIMEOUT).unwrap_or_default()
    }

    /// What all links counted; `None` when the thread has no time.
    pub fn totals(&self) -> Option<Totals> {
        let (done, wait) = sync_channel(1);
        self.send(Command::Totals(done));
        wait.recv_timeout(REPLY_TIMEOUT).ok()
    }

    /// A link as it is now; `None` where it is not served.
    pub fn show(&self, port: PortId) -> Option<Shown> {
        let (done, wait) = sync_channel(1);
        self.send(Command::Show(port, done));
        wait.recv_timeout(REPLY_TIMEOUT).ok().flatten()
    }

    fn send(&self, command: Command) {
        // Both fail only when the thread is gone, which ends the process (its panics are logged there).
        let _ = self.commands.send(command);
        let _ = (&self.waker).write(&[0]);
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.send(Command::Stop);
    }
}

struct Thread {
    punt: Punt,
    sender: Sender,
    host: mpsc::Sender<Input>,
    inbox: Receiver<Command>,
    wake: UnixStream,
    links: BTreeMap<PortId, Served>,
    by_ifindex: BTreeMap<u32, PortId>,
    timers: BTreeSet<(Instant, PortId)>,
    directory: PlanDirectory,
    departed: Departed,
    events: Vec<(PortId, LinkEvent)>,
    /// Addresses that guests want though these ports hold them; as many at most as events.
    contests: BTreeSet<(PortId, Ipv6Addr)>,
    ears: Ears,
    /// Of links that are gone, and of none.
    totals: Totals,
}

impl Thread {
    fn run(mut self) {
        loop {
            if let Err(errno) = self.wait() {
                error!(%errno, "waiting for frames failed");
                std::thread::sleep(EVENTS_RETRY);
            }
            let mut byte = [0; 64];
            while matches!((&self.wake).read(&mut byte), Ok(read) if read > 0) {}
            while let Ok(command) = self.inbox.try_recv() {
                match command {
                    Command::View(view) => self.take_view(&view),
                    Command::Part(ports, view) => self.take_part(&ports, &view),
                    Command::Learned(view) => self.take_learned(&view),
                    Command::Used(used) => self.take_used(&used),
                    Command::AskGroups(ports) => self.ask_groups(&ports),
                    Command::Cease(ports, done) => {
                        self.cease(&ports);
                        // The host's thread may have stopped waiting.
                        let _ = done.try_send(());
                    }
                    Command::Counters(done) => {
                        let drops = self.links.iter().map(|(id, link)| (*id, link.drops()));
                        let _ = done.try_send(drops.collect());
                    }
                    Command::Totals(done) => {
                        let _ = done.try_send(self.totals());
                    }
                    Command::Show(port, done) => {
                        let _ = done.try_send(self.show(port));
                    }
                    Command::Stop => return,
                }
            }
            self.take_frames();
            self.take_timers();
            self.take_contests();
            self.ears.run(&self.sender, Instant::now());
            self.give_events();
            self.give_segments();
        }
    }

    /// Until a frame, a command, or the next deadline.
    fn wait(&self) -> nix::Result<()> {
        let mut timeout = self
            .timers
            .first()
            .map(|(at, _)| *at)
            .into_iter()
            .chain(self.ears.next())
            .min()
            .map(|at| at.saturating_duration_since(Instant::now()));
        if !self.events.is_empty() || !self.ears.untold.is_empty() {
            timeout = Some(timeout.map_or(EVENTS_RETRY, |t| t.min(EVENTS_RETRY)));
        }
        let timeout = match timeout {
            None => PollTimeout::NONE,
            // A millisecond more than the truncated value, so that the deadline has passed then.
            Some(wait) => PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX),
        };
        let mut fds = [
            PollFd::new(self.punt.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn take_frames(&mut self) {
        loop {
            let now = Instant::now();
            let mut touched = BTreeSet::new();
            let (links, by_ifindex, directory) =
                (&mut self.links, &self.by_ifindex, &self.directory);
            let (ears, punts) = (&mut self.ears, &mut self.totals.punts);
            let drained = self.punt.drain(|record| {
                *punts.entry(record.reason).or_default() += 1;
                if record.reason == PuntReason::SegmentRa {
                    return ears.hear(record.net, record.ifindex, record.frame, now);
                }
                let Some(id) = by_ifindex.get(&record.ifindex) else {
                    return;
                };
                let Some(served) = links.get_mut(id) else {
                    return;
                };
                // A frame that waited while the link was given to another port.
                if served.number() != record.port {
                    return;
                }
                trace!(port = %id, reason = record.reason.name(), "frame");
                match record.reason {
                    PuntReason::FirstFrame => {
                        served.contained(|link| link.handle_first_frame(now), now);
                    }
                    PuntReason::Source => {
                        let frame = record.frame;
                        served.contained(|link| link.handle_source(frame, directory, now), now);
                    }
                    _ => {
                        served
                            .contained(|link| link.handle_frame(record.frame, directory, now), now);
                    }
                }
                touched.insert(*id);
            });
            for id in touched {
                self.drain(id, now);
            }
            self.totals.stale += drained
                .as_ref()
                .map_or(0, |drained| drained.discarded as u64);
            match drained {
                Ok(drained) if drained.shown + drained.discarded >= DRAIN_MAX => {}
                Ok(_) => return,
                Err(error) => {
                    error!(%error, "the punt ring cannot be read");
                    return;
                }
            }
        }
    }

    fn take_timers(&mut self) {
        let now = Instant::now();
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            if let Some(served) = self.links.get_mut(&id) {
                served.timer = None;
            }
            self.drain(id, now);
        }
    }

    fn take_learned(&mut self, view: &View) {
        let now = Instant::now();
        self.directory = view.directory.clone();
        for (id, link) in &view.links {
            if let Some(served) = self.links.get_mut(id) {
                served.take_learned(link);
                served.take_directory(&self.directory, now);
                self.drain(*id, now);
            }
        }
    }

    fn take_used(&mut self, used: &[(PortId, Ipv6Addr)]) {
        let now = Instant::now();
        for (id, address) in used {
            if let Some(served) = self.links.get_mut(id) {
                served.contained(|link| link.handle_used(*address, now), now);
                self.drain(*id, now);
            }
        }
    }

    /// Who holds an address that another guest wants is asked whether it still does.
    fn take_contests(&mut self) {
        let now = Instant::now();
        for (id, address) in std::mem::take(&mut self.contests) {
            if let Some(served) = self.links.get_mut(&id) {
                served.contained(|link| link.handle_contest(address, now), now);
                self.drain(id, now);
            }
        }
    }

    fn ask_groups(&mut self, ports: &BTreeSet<PortId>) {
        let now = Instant::now();
        for id in ports {
            if let Some(served) = self.links.get_mut(id) {
                served.contained(|link| link.handle_unknown_groups(now), now);
                self.drain(*id, now);
            }
        }
    }

    fn cease(&mut self, ports: &BTreeSet<PortId>) {
        let now = Instant::now();
        for id in ports {
            if let Some(served) = self.links.get_mut(id) {
                served.contained(|link| link.handle_cease(now), now);
                self.drain(*id, now);
            }
        }
    }

    /// Sends what a link has to say, takes its events, and notes when it has more.
    fn drain(&mut self, id: PortId, now: Instant) {
        let Some(served) = self.links.get_mut(&id) else {
            return;
        };
        let ifindex = served.ifindex;
        self.ears.ask(served, now);
        while let Some(Some(frame)) = served.contained(|link| link.poll_transmit(now), now) {
            if let Err(error) = self.sender.send(ifindex, &frame) {
                // Lost, as on any link; the guest asks again.
                self.totals.unsent += 1;
                debug!(port = %id, %error, "frame not sent");
            }
        }
        while self.events.len() < EVENTS_WAITING_MAX
            && let Some(Some(event)) = served.contained(hextet_proto::Link::poll_event, now)
        {
            if let LinkEvent::Conflict {
                address,
                holder: Some(holder),
            } = event
            {
                self.contests.insert((holder, address));
            }
            self.events.push((id, event));
        }
        let next = served
            .contained(|link| link.poll_timeout(), now)
            .flatten()
            .map(|(at, _)| at);
        if next != served.timer {
            if let Some(old) = served.timer {
                self.timers.remove(&(old, id));
            }
            if let Some(new) = next {
                self.timers.insert((new, id));
            }
            served.timer = next;
        }
    }
}
