//! Options in a message: where they stand, how parts of one are put together, how they are laid out.

use std::collections::BTreeMap;

use super::{FIXED_BYTES, code};
use crate::bytes::Reader;

/// What tells DHCP from other BOOTP vendor areas (RFC 2131 §3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Length of the field `sname`.
pub(super) const SNAME_BYTES: usize = 64;
/// Length of the field `file`.
pub(super) const FILE_BYTES: usize = 128;
/// The shortest message (RFC 1542 §2.1), bytes: some clients and what stands before them take no shorter one.
const MESSAGE_BYTES_MIN: usize = 300;
/// Of option 52: `file` holds options.
const OVERLOAD_FILE: u8 = 1;
/// Of option 52: `sname` holds options.
const OVERLOAD_SNAME: u8 = 2;
/// The longest part of an option, bytes.
const PART_BYTES_MAX: usize = 255;
/// Bytes of an option besides its content.
const HEAD_BYTES: usize = 2;

/// The fixed part of a message (RFC 2131 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) op: u8,
    pub(super) htype: u8,
    pub(super) hlen: u8,
    pub(super) transaction: u32,
    pub(super) seconds: u16,
    pub(super) flags: u16,
    pub(super) ciaddr: std::net::Ipv4Addr,
    pub(super) yiaddr: std::net::Ipv4Addr,
    pub(super) siaddr: std::net::Ipv4Addr,
    pub(super) giaddr: std::net::Ipv4Addr,
    pub(super) chaddr: [u8; 16],
    pub(super) sname: [u8; SNAME_BYTES],
    pub(super) file: [u8; FILE_BYTES],
}

/// Which fields' own content can give way to options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spare {
    pub(super) sname: bool,
    pub(super) file: bool,
}

/// Options by code, the parts of each put together in order (RFC 3396 §7).
pub(super) type Options = BTreeMap<u8, Vec<u8>>;

/// The fixed part, without what of its fields is options, and all options. `None`: shorter than it must be, another cookie, an option that ends beyond its field, or
/// one that names its fields twice.
pub(super) fn parse(message: &[u8]) -> Option<(Fixed, Options)> {
    let mut reader = Reader::new(message);
    let [op, htype, hlen, _hops] = reader.array()?;
    let transaction = reader.u32()?;
    let (seconds, flags) = (reader.u16()?, reader.u16()?);
    let (ciaddr, yiaddr) = (reader.ipv4()?, reader.ipv4()?);
    let (siaddr, giaddr) = (reader.ipv4()?, reader.ipv4()?);
    let chaddr = reader.array()?;
    let (mut sname, mut file) = (reader.array()?, reader.array()?);
    if reader.array()? != COOKIE || usize::from(hlen) > chaddr.len() {
        return None;
    }
    let mut options = Options::new();
    walk(reader.rest(), &mut options)?;
    // RFC 2131 §4.1: first the options' own field, then `file`, then `sname`.
    let overload = match options.get(&code::OVERLOAD).map(Vec::as_slice) {
        None => 0,
        Some([fields @ 1..=3]) => *fields,
        Some(_) => return None,
    };
    if overload & OVERLOAD_FILE != 0 {
        walk(&file, &mut options)?;
        file = [0; FILE_BYTES];
    }
    if overload & OVERLOAD_SNAME != 0 {
        walk(&sname, &mut options)?;
        sname = [0; SNAME_BYTES];
    }
    let fixed = Fixed {
        op,
        htype,
        hlen,
        transaction,
        seconds,
        flags,
        ciaddr,
        yiaddr,
        siaddr,
        giaddr,
        chaddr,
        sname,
        file,
    };
    Some((fixed, options))
}

fn walk(field: &[u8], options: &mut Options) -> Option<()> {
    let mut reader = Reader::new(field);
    while let Some(code) = reader.u8() {
        match code {
            code::PAD => {}
            code::END => return Some(()),
            code => {
                let length = reader.u8()?;
                let content = reader.take(usize::from(length))?;
                options.entry(code).or_default().extend_from_slice(content);
            }
        }
    }
    Some(())
}

/// A message whose options take at most `message_bytes_max` with the fixed part, at least [`FIXED_BYTES`] and some. Options come in
/// the order of their importance: what has no room in the options' own field goes to `file` and `sname`, one that is
/// a list is split there if it must be (RFC 3396), and what then has no room is left out, whole. Gives back how many were.
/// A field with a content of its own takes options only where that is `spare`, as the client reads it elsewhere.
pub(super) fn emit(
    fixed: &Fixed,
    options: &[(u8, Vec<u8>)],
    message_bytes_max: usize,
    spare: Spare,
) -> (Vec<u8>, usize) {
    let room = message_bytes_max.saturating_sub(FIXED_BYTES);
    let total: usize = options
        .iter()
        .map(|(_, content)| laid_out(content.len()))
        .sum();
    let mut left_out = 0;
    let (mut own, mut file, mut sname) = (Vec::new(), Vec::new(), Vec::new());
    if total < room {
        for (code, content) in options {
            put(&mut own, *code, content);
        }
    } else {
        let free = |field: &[u8], spare: bool| {
            let used = field.iter().any(|byte| *byte != 0) && !spare;
            if used { 0 } else { field.len() - 1 }
        };
        // Each field ends with END; the first names the others (3 bytes).
        let mut fields = [
            (&mut own, room.saturating_sub(1 + 3)),
            (&mut file, free(&fixed.file, spare.file)),
            (&mut sname, free(&fixed.sname, spare.sname)),
        ];
        for (code, content) in options {
            if !place(&mut fields, *code, content) {
                left_out += 1;
            }
        }
        let overload = u8::from(!file.is_empty()) * OVERLOAD_FILE
            + u8::from(!sname.is_empty()) * OVERLOAD_SNAME;
        if overload != 0 {
            put(&mut own, code::OVERLOAD, &[overload]);
        }
    }
    let mut out = Vec::with_capacity(FIXED_BYTES + own.len() + 1);
    emit_fixed(&mut out, fixed, sname, file);
    out.extend_from_slice(&own);
    out.push(code::END);
    out.resize(out.len().max(MESSAGE_BYTES_MIN), code::PAD);
    (out, left_out)
}

fn emit_fixed(out: &mut Vec<u8>, fixed: &Fixed, sname: Vec<u8>, file: Vec<u8>) {
    out.extend_from_slice(&[fixed.op, fixed.htype, fixed.hlen, 0]);
    out.extend_from_slice(&fixed.transaction.to_be_bytes());
    out.extend_from_slice(&fixed.seconds.to_be_bytes());
    out.extend_from_slice(&fixed.flags.to_be_bytes());
    out.extend_from_slice(&fixed.ciaddr.octets());
    out.extend_from_slice(&fixed.yiaddr.octets());
    out.extend_from_slice(&fixed.siaddr.octets());
    out.extend_from_slice(&fixed.giaddr.octets());
    out.extend_from_slice(&fixed.chaddr);
    for (mut options, own) in [(sname, &fixed.sname[..]), (file, &fixed.file[..])] {
        if options.is_empty() {
            out.extend_from_slice(own);
            continue;
        }
        options.push(code::END);
        options.resize(own.len(), 0);
        out.extend_from_slice(&options);
    }
    out.extend_from_slice(&COOKIE);
}

/// Bytes that an option of this content takes.
fn laid_out(content: usize) -> usize {
    content + HEAD_BYTES * content.div_ceil(PART_BYTES_MAX).max(1)
}

/// Whether clients must put parts of this option together (RFC 3397 §2, RFC 3442).
fn is_split(option: u8) -> bool {
    matches!(
        option,
        code::DOMAIN_SEARCH | code::CLASSLESS_ROUTES | code::CLASSLESS_ROUTES_MICROSOFT
    )
}

/// Whole in the first field that has room; else, if it may be split, over all of them in their order.
fn place(fields: &mut [(&mut Vec<u8>, usize)], option: u8, content: &[u8]) -> bool {
    let free = |(field, size): &(&mut Vec<u8>, usize)| size.saturating_sub(field.len());
    if let Some((field, _)) = fields
        .iter_mut()
        .find(|field| free(field) >= laid_out(content.len()))
    {
        put(field, option, content);
        return true;
    }
    let parts: usize = fields
        .iter()
        .map(|field| free(field).saturating_sub(HEAD_BYTES).min(PART_BYTES_MAX))
        .sum();
    if !is_split(option) || parts < content.len() {
        return false;
    }
    let mut rest = content;
    for field in fields {
        let part = free(field)
            .saturating_sub(HEAD_BYTES)
            .min(PART_BYTES_MAX)
            .min(rest.len());
        if part > 0 {
            let (head, tail) = rest.split_at(part);
            put(field.0, option, head);
            rest = tail;
        }
    }
    true
}

/// An option, in parts where it is longer than one takes.
fn put(out: &mut Vec<u8>, option: u8, content: &[u8]) {
    if content.is_empty() {
        out.extend_from_slice(&[option, 0]);
    }
    for part in content.chunks(PART_BYTES_MAX) {
        out.extend_from_slice(&[option, part.len() as u8]);
        out.extend_from_slice(part);
    }
}
