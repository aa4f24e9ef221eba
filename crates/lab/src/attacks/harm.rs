//! What an attack does to its victim, and how that is seen.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use anyhow::{Context, Result};

use super::bed::Bed;
use super::ear::{Ear, Sign};
use super::lease;

/// The MAC that neighbours are to be believed to have.
pub const FORGED: &str = "02:00:00:00:0b:ad";
/// Begins what a rogue router or server gives.
pub const ROGUE: &str = "2001:db8:bad:";
/// The prefix of that.
pub const ROGUE_PREFIX: &str = "2001:db8:bad::/64";
/// The name server of a rogue server.
pub const ROGUE_SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x53);
/// The address of a rogue DHCPv4 server.
const ROGUE_IPV4: &str = "10.99.0.1/24";
/// What the victim calls itself when it is to be refused it, in the /64 of its other address.
const NEW_ADDRESS: u16 = 0xadd;
const NO_ADDRESS: &str = "no address left for it";

/// What the victim has afterwards.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    /// An address of the rogue prefix.
    Address,
    /// The forged MAC for its neighbour.
    Neighbour,
    /// More routes than this.
    Routes(usize),
    /// A new address that failed duplicate address detection.
    Refused,
    /// A path MTU of 1280 to its neighbour.
    PathMtu,
    /// A DHCPv6 answer with the rogue name server.
    Answer,
    /// A DHCPv4 lease of the attacker's.
    Lease,
    /// What it sends its neighbour, taken in by the attacker.
    Stolen,
    /// Heard so many frames of this kind.
    Heard(Sign, usize),
    /// No address of the DHCPv6 server's, or not what the attacker was given besides its own.
    Leases,
    /// No address, since the DHCPv6 server has given all that it has to others.
    Pool,
}

impl Harm {
    /// Whether it is done to who is served by a DHCPv6 server.
    pub fn is_of_a_server(self) -> bool {
        matches!(self, Harm::Leases | Harm::Pool)
    }
}

/// Watches for one harm.
#[derive(Debug)]
pub struct Watch<'a> {
    bed: &'a Bed,
    harm: Harm,
    ear: Ear,
    client: Option<UdpSocket>,
    heard: usize,
}

impl<'a> Watch<'a> {
    /// Brings the victim into the state that the attack is to change, and begins to listen.
    ///
    /// # Errors
    /// When the victim cannot be looked into.
    pub fn begin(bed: &'a Bed, harm: Harm) -> Result<Self> {
        let client = matches!(harm, Harm::Answer).then(|| bed.victim.inside(client));
        let ear = match harm {
            Harm::Leases | Harm::Stolen => Ear::open(&bed.attacker),
            _ => Ear::open(&bed.victim),
        };
        let watch = Self {
            bed,
            harm,
            ear: ear?,
            client: client.transpose()?,
            heard: 0,
        };
        match harm {
            Harm::Neighbour | Harm::PathMtu => watch.meet()?,
            Harm::Stolen => {
                watch.meet()?;
                // The bridge has learned by now where the neighbour is.
                let _ = watch.ear.frames();
            }
            Harm::Lease => bed
                .attacker
                .must(&format!("ip addr add {ROGUE_IPV4} dev eth0"))?,
            _ => {}
        }
        Ok(watch)
    }

    /// Has the victim do what the attack waits for, if it does.
    ///
    /// # Errors
    /// When the victim cannot be made to.
    pub fn provoke(&self) -> Result<()> {
        let victim = &self.bed.victim;
        match self.harm {
            Harm::Neighbour => {
                // What it was told is not forgotten before it is looked at.
                if self.done()?.is_none() {
                    self.meet()?;
                }
                Ok(())
            }
            Harm::Refused => {
                let address = self.new_address();
                victim.look(&format!("ip addr del {address}/64 dev eth0"))?;
                victim.must(&format!("ip addr add {address}/64 dev eth0"))
            }
            Harm::Answer => {
                let client = self.client.as_ref().context("a client was begun with")?;
                client.send_to(&SOLICIT, servers(victim_scope(self.bed)?))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The victim's harm in words, once it has it.
    ///
    /// # Errors
    /// When the victim cannot be looked into.
    pub fn harmed(&mut self) -> Result<Option<String>> {
        if let Harm::Heard(sign, least) = self.harm {
            self.heard += self.ear.heard(sign, self.bed);
            let heard = self.heard;
            return Ok((heard >= least).then(|| format!("the victim heard {heard} of its frames")));
        }
        self.done()
    }

    fn done(&self) -> Result<Option<String>> {
        let victim = &self.bed.victim;
        Ok(match self.harm {
            Harm::Leases => match lease::hoarded(self.bed, &self.ear) {
                Some(address) => Some(format!("the attacker was given {address}, too")),
                None => match lease::given(victim)? {
                    Some(addresses) => addresses.is_empty().then(|| NO_ADDRESS.to_owned()),
                    None => Some("no DHCPv6 server answers it".to_owned()),
                },
            },
            Harm::Pool => {
                let given = lease::given(victim)?;
                let given = given.context("no DHCPv6 server answers the victim")?;
                given.is_empty().then(|| NO_ADDRESS.to_owned())
            }
            Harm::Lease => {
                let told =
                    victim.shell("busybox udhcpc -fnq -t 2 -T 1 -i eth0 -s /bin/true 2>&1")?;
                let lease = told.lines().find(|line| line.contains("lease of 10.99."));
                lease.map(str::to_owned)
            }
            Harm::Stolen => {
                let neighbour = &self.bed.neighbour;
                victim.look(&format!("ping -6 -c 1 -W 1 {}", neighbour.global))?;
                let stolen = |frame: &Vec<u8>| {
                    frame.starts_with(&neighbour.mac.0) && frame[6..].starts_with(&victim.mac.0)
                };
                let stolen = self
                    .ear
                    .frames()
                    .iter()
                    .filter(|frame| stolen(frame))
                    .count();
                (stolen > 0).then(|| format!("the attacker took in {stolen} frames for another"))
            }
            Harm::Address => victim
                .look("ip -6 -o addr show dev eth0")?
                .contains(ROGUE)
                .then(|| format!("an address of {ROGUE_PREFIX}")),
            Harm::Neighbour => {
                let words = format!("ip -6 neigh show {} dev eth0", self.bed.neighbour.global);
                let told = victim.look(&words)?.contains(FORGED);
                told.then(|| format!("its neighbour at {FORGED}"))
            }
            Harm::Routes(most) => {
                let routes = victim.lines("ip -6 route show")?;
                (routes > most).then(|| format!("{routes} routes"))
            }
            Harm::Refused => {
                let refused = victim.look("ip -6 addr show dev eth0 dadfailed")?;
                (!refused.is_empty()).then(|| "a new address refused".to_owned())
            }
            Harm::PathMtu => {
                let words = format!("ip -6 route get {}", self.bed.neighbour.global);
                let smaller = victim.look(&words)?.contains("mtu 1280");
                smaller.then(|| "a path MTU of 1280".to_owned())
            }
            Harm::Answer => self
                .answers()
                .then(|| format!("a lease with the name server {ROGUE_SERVER}")),
            Harm::Heard(..) => None,
        })
    }

    /// Leaves nothing behind that the watch itself made.
    ///
    /// # Errors
    /// When the victim cannot be looked into.
    pub fn end(self) -> Result<()> {
        let (station, address) = match self.harm {
            Harm::Refused => (&self.bed.victim, format!("{}/64", self.new_address())),
            Harm::Lease => (&self.bed.attacker, ROGUE_IPV4.to_owned()),
            _ => return Ok(()),
        };
        station.look(&format!("ip addr del {address} dev eth0"))?;
        Ok(())
    }

    /// The victim asks for its neighbour anew.
    fn meet(&self) -> Result<()> {
        let victim = &self.bed.victim;
        victim.must("ip -6 neigh flush dev eth0")?;
        victim.look(&format!("ping -6 -c 1 -W 1 {}", self.bed.neighbour.global))?;
        Ok(())
    }

    fn new_address(&self) -> Ipv6Addr {
        let mut segments = self.bed.victim.global.segments();
        segments[4..].copy_from_slice(&[0, 0, 0, NEW_ADDRESS]);
        segments.into()
    }

    fn answers(&self) -> bool {
        let mut answer = [0; 1500];
        let Some(client) = &self.client else {
            return false;
        };
        while let Ok(length) = client.recv(&mut answer) {
            let rogue = ROGUE_SERVER.octets();
            if answer[..length].windows(16).any(|part| part == rogue) {
                return true;
            }
        }
        false
    }
}

/// A DHCPv6 client's socket (RFC 9915 §7.2), in the caller's namespace.
fn client() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 546)).context("port 546")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 §7.1).
pub fn servers(scope: u32) -> SocketAddrV6 {
    let address = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    SocketAddrV6::new(address, 547, 0, scope)
}

/// The number of the victim's interface.
fn victim_scope(bed: &Bed) -> Result<u32> {
    bed.victim
        .inside(|| Ok(nix::net::if_::if_nametoindex("eth0")?))
}

/// A SOLICIT for one address and name servers: its transaction, a client identifier (a DUID of a link-layer address), an
/// IA_NA, what is asked for.
#[rustfmt::skip]
pub const SOLICIT: [u8; 46] = [
    1, 0x5a, 0x5a, 0x5a,
    0, 1, 0, 10, 0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0xba, 0xd0,
    0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 6, 0, 2, 0, 23, 0, 8, 0, 2, 0, 0,
];
