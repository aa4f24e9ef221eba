//! The frames that guests send, and what they take from the answers. Written here, apart from `crates/wire`, so that a
//! mistake there is no mistake of its judge.

/// Multicast groups: all routers (RFC 4291 §2.7.1), all DHCP agents and servers (RFC 9915 §7.1).
const ALL_ROUTERS: [u8; 16] = group(&[0, 2]);
const ALL_DHCP_SERVERS: [u8; 16] = group(&[0, 1, 0, 2]);

/// IPv6's EtherType, its length with Ethernet's header, and where parts of it stand.
const ETHERTYPE: [u8; 2] = [0x86, 0xdd];
const NEXT_HEADER: usize = 20;
const SOURCE: usize = 22;
const PAYLOAD: usize = 54;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;
/// Of DHCPv6 messages (RFC 9915 §7.3).
const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const REPLY: u8 = 7;
/// Of DHCPv6 options (RFC 9915 §21).
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDRESS: u16 = 5;
const ELAPSED_TIME: u16 = 8;

const fn group(tail: &[u8]) -> [u8; 16] {
    let mut address = [0; 16];
    address[0] = 0xff;
    address[1] = 2;
    let mut at = 0;
    while at < tail.len() {
        address[16 - tail.len() + at] = tail[at];
        at += 1;
    }
    address
}

/// Who a guest is.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// The MAC that its frames come from.
    pub mac: [u8; 6],
    /// Its link-local address.
    pub address: [u8; 16],
    /// What its DUID is made of; another one than its MAC where several clients share a station.
    pub identity: [u8; 6],
}

impl Station {
    /// With the link-local address that follows from the MAC (RFC 4291 appendix A).
    pub fn of(mac: [u8; 6]) -> Self {
        let mut address = [0; 16];
        address[..2].copy_from_slice(&[0xfe, 0x80]);
        let [a, b, c, d, e, f] = mac;
        address[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        Self {
            mac,
            address,
            identity: mac,
        }
    }

    /// A Router Solicitation (RFC 4861 §4.1).
    pub fn router_solicitation(&self) -> Vec<u8> {
        let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        message.extend(self.mac);
        self.frame(&ALL_ROUTERS, &multicast(&ALL_ROUTERS), ICMPV6, message, 2)
    }

    /// A Neighbor Advertisement for its address, to who asked (RFC 4861 §4.4).
    fn neighbour_advertisement(&self, mac: &[u8], address: &[u8; 16]) -> Vec<u8> {
        let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
        message.extend(self.address);
        message.extend([2, 1]);
        message.extend(self.mac);
        self.frame(address, mac, ICMPV6, message, 2)
    }

    /// A SOLICIT for one address.
    pub fn solicit(&self, transaction: u32) -> Vec<u8> {
        let mut ia = vec![0, 0, 0, 1];
        ia.extend([0; 8]);
        self.dhcp(SOLICIT, transaction, &[(IA_NA, &ia)])
    }

    /// A REQUEST for what was advertised.
    pub fn request(&self, transaction: u32, advertised: &Advertised<'_>) -> Vec<u8> {
        let options = [(SERVER_ID, advertised.server), (IA_NA, advertised.ia)];
        self.dhcp(REQUEST, transaction, &options)
    }

    fn dhcp(&self, kind: u8, transaction: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = Vec::with_capacity(128);
        // Ports, length, checksum.
        message.extend([2, 34, 2, 35, 0, 0, 0, 0]);
        message.extend(((u32::from(kind) << 24) | transaction).to_be_bytes());
        let mut duid = vec![0, 3, 0, 1];
        duid.extend(self.identity);
        let own: [(u16, &[u8]); 2] = [(CLIENT_ID, &duid), (ELAPSED_TIME, &[0, 0])];
        for (code, value) in own.iter().chain(options) {
            message.extend(code.to_be_bytes());
            message.extend((value.len() as u16).to_be_bytes());
            message.extend(*value);
        }
        let length = (message.len() as u16).to_be_bytes();
        message[4..6].copy_from_slice(&length);
        self.frame(
            &ALL_DHCP_SERVERS,
            &multicast(&ALL_DHCP_SERVERS),
            UDP,
            message,
            6,
        )
    }

    /// The frame of a message whose checksum stands at `sum`.
    fn frame(
        &self,
        to: &[u8; 16],
        mac: &[u8],
        next: u8,
        mut message: Vec<u8>,
        sum: usize,
    ) -> Vec<u8> {
        let checksum = checksum(&self.address, to, next, &message).to_be_bytes();
        message[sum..sum + 2].copy_from_slice(&checksum);
        let mut frame = Vec::with_capacity(PAYLOAD + message.len());
        frame.extend(mac);
        frame.extend(self.mac);
        frame.extend(ETHERTYPE);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend([next, 255]);
        frame.extend(self.address);
        frame.extend(to);
        frame.extend(message);
        frame
    }

    /// The answer to a Neighbor Solicitation for its address; `None` for any other frame.
    pub fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let asked = neighbour_asked(frame)?;
        let from: [u8; 16] = frame.get(SOURCE..SOURCE + 16)?.try_into().ok()?;
        (asked == self.address && from != [0; 16])
            .then(|| self.neighbour_advertisement(&frame[6..12], &from))
    }
}

/// An advertisement with no more than its header (RFC 4861 §4.2), to who sent this Router Solicitation; `None` for any other
/// frame.
pub fn bare_advertisement(frame: &[u8]) -> Option<Vec<u8>> {
    icmp(frame, 133)?;
    let to: [u8; 16] = frame.get(SOURCE..SOURCE + 16)?.try_into().ok()?;
    let mut message = vec![0; 16];
    message[0] = 134;
    let router = Station::of([2, 0, 0, 0, 0, 1]);
    Some(router.frame(&to, &frame[6..12], ICMPV6, message, 2))
}

/// The address that a Neighbor Solicitation asks for.
pub fn neighbour_asked(frame: &[u8]) -> Option<[u8; 16]> {
    let message = icmp(frame, 135)?;
    message.get(8..24)?.try_into().ok()
}

/// Whether it is a Router Advertisement.
pub fn is_router_advertisement(frame: &[u8]) -> bool {
    icmp(frame, 134).is_some()
}

fn icmp(frame: &[u8], kind: u8) -> Option<&[u8]> {
    let message = frame.get(PAYLOAD..)?;
    (frame[NEXT_HEADER] == ICMPV6 && message.first() == Some(&kind)).then_some(message)
}

/// What an ADVERTISE says.
#[derive(Clone, Copy, Debug)]
pub struct Advertised<'a> {
    server: &'a [u8],
    ia: &'a [u8],
}

/// What a server says.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It has an address.
    Advertise(Advertised<'a>),
    /// It is the client's now.
    Reply,
}

/// An answer with an address, and its transaction; `None` for any other frame.
pub fn dhcp_answer(frame: &[u8]) -> Option<(u32, Answer<'_>)> {
    let datagram = frame.get(PAYLOAD..)?;
    if frame[NEXT_HEADER] != UDP || datagram.get(..4)? != [2, 35, 2, 34] {
        return None;
    }
    let message = datagram.get(8..)?;
    let head = u32::from_be_bytes(message.get(..4)?.try_into().ok()?);
    let options = message.get(4..)?;
    let ia = option(options, IA_NA)?;
    option(ia.get(12..)?, IA_ADDRESS)?;
    let answer = match (head >> 24) as u8 {
        ADVERTISE => Answer::Advertise(Advertised {
            server: option(options, SERVER_ID)?,
            ia,
        }),
        REPLY => Answer::Reply,
        _ => return None,
    };
    Some((head & 0xff_ffff, answer))
}

fn option(mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let code = u16::from_be_bytes(options.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(options.get(2..4)?.try_into().ok()?));
        let value = options.get(4..4 + length)?;
        if code == wanted {
            return Some(value);
        }
        options = &options[4 + length..];
    }
}

/// The MAC of a group (RFC 2464 §7).
fn multicast(group: &[u8; 16]) -> [u8; 6] {
    [0x33, 0x33, group[12], group[13], group[14], group[15]]
}

/// RFC 8200 §8.1.
fn checksum(from: &[u8; 16], to: &[u8; 16], next: u8, message: &[u8]) -> u16 {
    let mut sum = message.len() as u32 + u32::from(next);
    for part in [from.as_slice(), to, message] {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        }
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !sum as u16
}
