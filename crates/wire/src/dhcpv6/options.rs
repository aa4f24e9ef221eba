//! The option walk that both directions share (RFC 9915 §21.1).

use std::net::Ipv6Addr;

use hextet_core::domain;

use super::{IaAddress, IaKind, code};
use crate::bytes::{Reader, parse_name};

/// The next option's code and content. `None`: the message ends here. An error: it ends within an option.
pub(super) fn next<'a>(reader: &mut Reader<'a>) -> Option<Result<(u16, &'a [u8]), ()>> {
    if reader.is_empty() {
        return None;
    }
    let mut option = || {
        let code = reader.u16()?;
        let length = reader.u16()?;
        Some((code, reader.take(usize::from(length))?))
    };
    Some(option().ok_or(()))
}

/// An identity association as both directions read it.
pub(super) struct RawIa {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) t1_s: u32,
    pub(super) t2_s: u32,
    pub(super) addresses: Vec<IaAddress>,
    pub(super) status: Option<(u16, String)>,
}

/// The identity association in an option, if this code is one's.
pub(super) fn ia(option: u16, content: &[u8]) -> Option<Result<RawIa, ()>> {
    let kind = match option {
        code::IA_NA => IaKind::Na,
        code::IA_TA => IaKind::Ta,
        code::IA_PD => IaKind::Pd,
        _ => return None,
    };
    Some(parse_ia(kind, content).ok_or(()))
}

fn parse_ia(kind: IaKind, content: &[u8]) -> Option<RawIa> {
    let mut reader = Reader::new(content);
    let iaid = reader.u32()?;
    let (t1_s, t2_s) = match kind {
        IaKind::Na | IaKind::Pd => (reader.u32()?, reader.u32()?),
        IaKind::Ta => (0, 0),
    };
    let mut ia = RawIa {
        kind,
        iaid,
        t1_s,
        t2_s,
        addresses: Vec::new(),
        status: None,
    };
    while let Some(option) = next(&mut reader) {
        match option.ok()? {
            (code::IAADDR, content) => {
                let mut reader = Reader::new(content);
                ia.addresses.push(IaAddress {
                    address: reader.address()?,
                    preferred_lifetime_s: reader.u32()?,
                    valid_lifetime_s: reader.u32()?,
                });
            }
            (code::STATUS_CODE, content) => ia.status = Some(status(content)?),
            // RFC 9915 §16: what is not known is ignored.
            _ => {}
        }
    }
    Some(ia)
}

/// A Status Code option's content; the text is what of it is UTF-8.
pub(super) fn status(content: &[u8]) -> Option<(u16, String)> {
    let mut reader = Reader::new(content);
    let code = reader.u16()?;
    Some((code, String::from_utf8_lossy(reader.rest()).into_owned()))
}

/// A list of addresses, whole.
pub(super) fn addresses(content: &[u8]) -> Option<Vec<Ipv6Addr>> {
    let mut reader = Reader::new(content);
    let mut addresses = Vec::new();
    while !reader.is_empty() {
        addresses.push(reader.address()?);
    }
    Some(addresses)
}

/// A list of names, whole.
pub(super) fn names(content: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(content);
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(parse_name(&mut reader)?);
    }
    Some(names)
}

/// Appends an option whose content `fill` writes. Content above 65,535 bytes does not occur: callers' lists are short.
pub(super) fn emit(out: &mut Vec<u8>, option: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&option.to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    fill(out);
    let length = (out.len() - length_at - 2) as u16;
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

/// An identity association as both directions write it.
pub(super) struct SaidIa<'a> {
    pub(super) kind: IaKind,
    pub(super) iaid: u32,
    pub(super) t1_s: u32,
    pub(super) t2_s: u32,
    pub(super) addresses: &'a [IaAddress],
    pub(super) status: Option<(u16, &'a str)>,
}

/// Appends an identity association.
pub(super) fn emit_ia(out: &mut Vec<u8>, ia: &SaidIa<'_>) {
    let option = match ia.kind {
        IaKind::Na => code::IA_NA,
        IaKind::Ta => code::IA_TA,
        IaKind::Pd => code::IA_PD,
    };
    emit(out, option, |out| {
        out.extend_from_slice(&ia.iaid.to_be_bytes());
        if ia.kind != IaKind::Ta {
            out.extend_from_slice(&ia.t1_s.to_be_bytes());
            out.extend_from_slice(&ia.t2_s.to_be_bytes());
        }
        for address in ia.addresses {
            emit(out, code::IAADDR, |out| {
                out.extend_from_slice(&address.address.octets());
                out.extend_from_slice(&address.preferred_lifetime_s.to_be_bytes());
                out.extend_from_slice(&address.valid_lifetime_s.to_be_bytes());
            });
        }
        if let Some((code, text)) = ia.status {
            emit_status(out, code, text);
        }
    });
}

/// Appends a Status Code option.
pub(super) fn emit_status(out: &mut Vec<u8>, status: u16, text: &str) {
    emit(out, code::STATUS_CODE, |out| {
        out.extend_from_slice(&status.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    });
}

/// Appends a list of names, if it is not empty.
pub(super) fn emit_names(out: &mut Vec<u8>, option: u16, names: &[String]) {
    if !names.is_empty() {
        emit(out, option, |out| {
            for name in names {
                domain::emit(name, out);
            }
        });
    }
}
