//! Guests that ask: for leases as fast as they are answered, for leases all at once, for router advertisements.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::socket::LinkAddr;
use serde_json::{Value as Json, json};

use crate::frames::{Answer, Station, dhcp_answer, is_router_advertisement, neighbour_asked};
use crate::wire::{Link, Wire};

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked for those.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a guest without an answer asks again while a host starts.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Most guests: a transaction names one by 14 of its bits.
const GUESTS_MAX: usize = 1 << 14;

/// A guest and its link.
struct Guest {
    station: Station,
    to: LinkAddr,
    /// Of its latest exchange.
    transaction: u32,
    /// When it began to ask; `None` when it does not.
    asked_at: Option<Instant>,
    sent_at: Instant,
}

/// All guests of this process.
pub struct Guests {
    wire: Wire,
    guests: Vec<Guest>,
    by_mac: HashMap<[u8; 6], usize>,
    by_address: HashMap<[u8; 16], usize>,
}

/// Where guests live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One on each link.
    EachLink,
    /// So many behind each link, with a MAC each.
    Behind(usize),
    /// So many clients with one MAC.
    OneStation(usize),
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A lease, by four messages.
    Lease,
    /// A router advertisement.
    Router,
}

impl Guests {
    /// # Errors
    /// Without links, and the socket's.
    pub fn new(links: impl Iterator<Item = Link>, place: Place) -> Result<Self> {
        let mut all = Self {
            wire: Wire::open()?,
            guests: Vec::new(),
            by_mac: HashMap::new(),
            by_address: HashMap::new(),
        };
        for link in links {
            match place {
                Place::EachLink => all.add(link.to, Station::of(link.mac)),
                Place::Behind(count) => {
                    for number in 0..count {
                        all.add(link.to, Station::of(mac(number)));
                    }
                }
                Place::OneStation(count) => {
                    for number in 0..count {
                        let station = Station::of(link.mac);
                        let identity = mac(number);
                        all.add(
                            link.to,
                            Station {
                                identity,
                                ..station
                            },
                        );
                    }
                }
            }
        }
        if all.guests.is_empty() || all.guests.len() > GUESTS_MAX {
            bail!("{} guests: 1 to {GUESTS_MAX} are allowed", all.guests.len());
        }
        Ok(all)
    }

    fn add(&mut self, to: LinkAddr, station: Station) {
        let number = self.guests.len();
        self.by_mac.insert(station.mac, number);
        self.by_address.insert(station.address, number);
        self.guests.push(Guest {
            station,
            to,
            transaction: number as u32,
            asked_at: None,
            sent_at: Instant::now(),
        });
    }

    fn ask(&mut self, number: usize, what: What) {
        let guest = &mut self.guests[number];
        // The guest's number, and above it one that is another for each exchange.
        guest.transaction = (guest.transaction + GUESTS_MAX as u32) & 0xff_ffff;
        guest.sent_at = Instant::now();
        guest.asked_at = Some(guest.sent_at);
        let frame = match what {
            What::Lease => guest.station.solicit(guest.transaction),
            What::Router => guest.station.router_solicitation(),
        };
        self.wire.queue(guest.to, frame);
    }

    /// Takes in what has come, asks on for who was advertised an address, and answers neighbours. Who is done is told, with
    /// what it waited.
    fn hear(&mut self, what: What, mut done: impl FnMut(usize, Duration)) -> Result<usize> {
        let mut replies = Vec::new();
        let (guests, by_mac, by_address) = (&mut self.guests, &self.by_mac, &self.by_address);
        let heard = self.wire.read(|_, frame| {
            if let Some(asked) = neighbour_asked(frame) {
                let guest = by_address.get(&asked).map(|number| &guests[*number]);
                replies
                    .extend(guest.and_then(|guest| Some((guest.to, guest.station.answer(frame)?))));
                return;
            }
            let number = match what {
                What::Lease => match dhcp_answer(frame) {
                    Some((transaction, answer)) => {
                        let number = transaction as usize % GUESTS_MAX;
                        let Some(guest) = guests.get(number) else {
                            return;
                        };
                        if guest.transaction != transaction {
                            return;
                        }
                        if let Answer::Advertise(advertised) = answer {
                            let request = guest.station.request(transaction, &advertised);
                            replies.push((guest.to, request));
                            return;
                        }
                        number
                    }
                    None => return,
                },
                What::Router => match frame.get(..6).and_then(|mac| by_mac.get(mac)) {
                    Some(number) if is_router_advertisement(frame) => *number,
                    _ => return,
                },
            };
            if let Some(since) = guests[number].asked_at.take() {
                done(number, since.elapsed());
            }
        })?;
        for (to, frame) in replies {
            self.wire.queue(to, frame);
        }
        Ok(heard)
    }

    /// As many exchanges as are answered, with so many guests at once in one.
    ///
    /// # Errors
    /// The socket's.
    pub fn load(&mut self, what: What, window: usize, length: Duration) -> Result<Json> {
        let mut idle: VecDeque<usize> = (0..self.guests.len()).collect();
        let (start, mut looked_at) = (Instant::now(), Instant::now());
        let (mut asking, mut lost) = (0, 0u64);
        let mut waits = Vec::with_capacity(1 << 20);
        while start.elapsed() < length {
            while asking < window
                && let Some(number) = idle.pop_front()
            {
                self.ask(number, what);
                asking += 1;
            }
            self.wire.flush()?;
            let heard = self.hear(what, |number, wait| {
                waits.push(wait);
                idle.push_back(number);
                asking -= 1;
            })?;
            if heard == 0 {
                self.wire.wait(LOOK_EVERY)?;
            }
            if looked_at.elapsed() >= LOOK_EVERY {
                looked_at = Instant::now();
                for (number, guest) in self.guests.iter_mut().enumerate() {
                    if guest.asked_at.is_some_and(|at| at.elapsed() > PATIENCE) {
                        guest.asked_at = None;
                        idle.push_back(number);
                        asking -= 1;
                        lost += 1;
                    }
                }
            }
        }
        Ok(told(waits, lost, start.elapsed()))
    }

    /// One exchange after the other, each by the next guest, so often.
    ///
    /// # Errors
    /// The socket's.
    pub fn paced(&mut self, what: What, pace: Duration, count: usize) -> Result<Json> {
        let start = Instant::now();
        let (mut waits, mut lost) = (Vec::with_capacity(count), 0);
        for round in 0..count {
            let begun = Instant::now();
            self.ask(round % self.guests.len(), what);
            let mut answered = false;
            while !answered && begun.elapsed() < PATIENCE {
                self.wire.flush()?;
                let heard = self.hear(what, |_, wait| {
                    waits.push(wait);
                    answered = true;
                })?;
                if heard == 0 {
                    self.wire.wait(LOOK_EVERY)?;
                }
            }
            lost += u64::from(!answered);
            while begun.elapsed() < pace {
                std::thread::sleep(pace.saturating_sub(begun.elapsed()));
            }
        }
        Ok(told(waits, lost, start.elapsed()))
    }

    /// All guests ask for a lease within the time given. Ends when all have theirs, or after the patience given.
    ///
    /// # Errors
    /// The socket's.
    pub fn storm(&mut self, within: Duration, patience: Duration) -> Result<Json> {
        let start = Instant::now();
        let (total, mut begun, mut leased) = (self.guests.len(), 0, 0);
        let mut waits = Vec::new();
        let (mut last_asked, mut last_leased) = (start, start);
        while leased < total && start.elapsed() < patience {
            let due = start.elapsed().as_secs_f64() / within.as_secs_f64() * total as f64;
            while begun < total && (begun as f64) <= due {
                self.ask(begun, What::Lease);
                begun += 1;
                last_asked = Instant::now();
            }
            self.ask_again();
            self.wire.flush()?;
            let heard = self.hear(What::Lease, |_, wait| {
                waits.push(wait);
                leased += 1;
                last_leased = Instant::now();
            })?;
            if heard == 0 {
                self.wire.wait(Duration::from_millis(1))?;
            }
        }
        let after = last_leased.saturating_duration_since(last_asked);
        let mut told = told(waits, (total - leased) as u64, start.elapsed());
        told["after_last_ms"] = json!(after.as_secs_f64() * 1000.0);
        Ok(told)
    }

    /// After SOL_TIMEOUT, a second (RFC 9915 §7.6); a wait goes on counting from the first question.
    fn ask_again(&mut self) {
        for guest in &mut self.guests {
            if guest.asked_at.is_some() && guest.sent_at.elapsed() > PATIENCE {
                guest.sent_at = Instant::now();
                let frame = guest.station.solicit(guest.transaction);
                self.wire.queue(guest.to, frame);
            }
        }
    }
}

/// Waits until so many links with such names have had a router advertisement, asking for it again and again. Says `ready`
/// when it listens.
///
/// # Errors
/// When that takes longer than the patience given, and the socket's.
pub fn served(prefix: &str, count: usize, patience: Duration) -> Result<Json> {
    let mut wire = Wire::open()?;
    let mut served: HashMap<usize, Duration> = HashMap::new();
    println!("ready");
    let start = Instant::now();
    let mut asked_at: Option<Instant> = None;
    while served.len() < count {
        if start.elapsed() > patience {
            bail!("{} of {count} links were served", served.len());
        }
        if asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            asked_at = Some(Instant::now());
            for link in crate::wire::links(prefix)?.into_values() {
                if !served.contains_key(&link.to.ifindex()) {
                    wire.queue(link.to, Station::of(link.mac).router_solicitation());
                }
            }
            wire.flush()?;
        }
        let heard = wire.read(|link, frame| {
            if is_router_advertisement(frame) {
                served.entry(link).or_insert_with(|| start.elapsed());
            }
        })?;
        if heard == 0 {
            wire.wait(Duration::from_millis(5))?;
        }
    }
    Ok(told(served.into_values().collect(), 0, start.elapsed()))
}

fn told(mut waits: Vec<Duration>, lost: u64, took: Duration) -> Json {
    waits.sort();
    let at = |part: f64| {
        let rank = (waits.len() as f64 * part) as usize;
        waits
            .get(rank.min(waits.len().saturating_sub(1)))
            .map_or(0.0, |wait| wait.as_secs_f64() * 1e6)
    };
    json!({
        "count": waits.len(),
        "lost": lost,
        "seconds": took.as_secs_f64(),
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "max_us": at(1.0),
    })
}

/// A MAC of a guest that has no link of its own.
fn mac(number: usize) -> [u8; 6] {
    let [.., a, b] = number.to_be_bytes();
    [0x02, 0x68, 0x78, 0, a, b]
}
