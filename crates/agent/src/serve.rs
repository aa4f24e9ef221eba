//! Answers the guests: one thread, one protocol machine for each link. It takes frames from the punt ring, plans and
//! the time, and sends what the machines say. No decisions.

mod directory;
mod frames;
mod link;
mod segments;
mod telling;
mod totals;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender as Channel, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, Vni};
use hextet_core::link::LinkPlan;
use hextet_proto::{Known, Reconfigurable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;
use tracing::error;

use crate::host::Input;
use crate::kernel::{Objections, Punt, Sender};

use directory::Departed;
pub use directory::PlanDirectory;
use frames::Outlets;
use link::Served;
use segments::Ears;
pub use segments::SegmentView;
pub use totals::{Totals, Unheard};

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
            host,
            inbox,
            wake,
            links: BTreeMap::new(),
            by_ifindex: BTreeMap::new(),
            directory: PlanDirectory::default(),
            departed: Departed::default(),
            forgotten: Departed::default(),
            outlets: Outlets::new(sender, Ears::new(objections)),
            totals: Totals::default(),
        };
        std::thread::Builder::new()
            .name("serve".to_owned())
            .spawn(move || thread.run(punt))?;
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
    host: mpsc::Sender<Input>,
    inbox: Receiver<Command>,
    wake: UnixStream,
    links: BTreeMap<PortId, Served>,
    by_ifindex: BTreeMap<u32, PortId>,
    directory: PlanDirectory,
    departed: Departed,
    /// The same of learned addresses.
    forgotten: Departed,
    outlets: Outlets,
    /// Of links that are gone, and of none.
    totals: Totals,
}

impl Thread {
    fn run(mut self, mut punt: Punt) {
        loop {
            let woken = self.wait(&punt).unwrap_or_else(|errno| {
                error!(%errno, "waiting for frames failed");
                std::thread::sleep(EVENTS_RETRY);
                true
            });
            if woken && self.take_commands().is_break() {
                return;
            }
            self.take_frames(&mut punt);
            self.take_timers();
            self.take_contests();
            self.outlets.run_ears();
            self.give_events();
            self.give_segments();
        }
    }

    /// Until a frame, a command, or the next deadline; whether there may be a command.
    fn wait(&self, punt: &Punt) -> nix::Result<bool> {
        let mut timeout = self
            .outlets
            .next()
            .map(|at| at.saturating_duration_since(Instant::now()));
        if self.outlets.are_waiting() {
            timeout = Some(timeout.map_or(EVENTS_RETRY, |t| t.min(EVENTS_RETRY)));
        }
        let timeout = match timeout {
            None => PollTimeout::NONE,
            // A millisecond more than the truncated value, so that the deadline has passed then.
            Some(wait) => PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX),
        };
        let mut fds = [
            PollFd::new(punt.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => Ok(false),
            other => other.map(|_| fds[1].any() == Some(true)),
        }
    }

    /// All that wait; a break says to stop.
    fn take_commands(&mut self) -> ControlFlow<()> {
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
                Command::Stop => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    fn take_timers(&mut self) {
        let now = Instant::now();
        while let Some(id) = self.outlets.pop_due(now) {
            if let Some(served) = self.links.get_mut(&id) {
                served.timer = None;
            }
            self.drain(id, now);
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
        for (id, address) in self.outlets.take_contests() {
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
}
