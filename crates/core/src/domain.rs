//! Domain names and how they stand in packets (RFC 1035 §3.1, §4.1.4).

use std::collections::BTreeMap;

/// The longest name without its final zero (RFC 1035 §2.3.4), octets.
const NAME_BYTES_MAX: usize = 254;
/// The longest label (RFC 1035 §2.3.4), octets.
const LABEL_BYTES_MAX: usize = 63;
/// The two highest bits of an octet that begins a pointer (RFC 1035 §4.1.4).
const POINTER: u16 = 0xc000;
/// Pointers reach no farther.
const POINTED_MAX: usize = 0x3fff;

/// Most domains of a search list.
const SEARCH_MAX: usize = 8;
/// Most octets of a search list that is not compressed: so it fits an RA and an answer of DHCPv6 with all that these say besides.
const SEARCH_BYTES_MAX: usize = 512;

/// Checks the domains that guests search.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn check_search(domains: &[String]) -> Result<(), (String, String)> {
    if domains.len() > SEARCH_MAX {
        let allowed = format!("up to {SEARCH_MAX} domains are allowed");
        return Err((domains.len().to_string(), allowed));
    }
    if let Some(domain) = domains.iter().find(|domain| !is_domain(domain)) {
        let allowed =
            "domain names of letters, digits and hyphens, without a dot at the end, are allowed";
        return Err((domain.clone(), allowed.to_owned()));
    }
    // A length octet before each label instead of the dots, and a zero at the end.
    let octets: usize = domains.iter().map(|domain| domain.len() + 2).sum();
    if octets > SEARCH_BYTES_MAX {
        let allowed = format!("domains of {SEARCH_BYTES_MAX} octets together are allowed");
        return Err((format!("{octets} octets"), allowed));
    }
    Ok(())
}

/// Labels of 1 to 63 octets, 253 together (RFC 1035 §2.3.4), as host names have them (RFC 1123 §2.1).
fn is_domain(domain: &str) -> bool {
    let host = |label: &&str| {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let labels = labels(domain).filter(|_| !domain.ends_with('.'));
    labels.is_some_and(|labels| labels.iter().all(host))
}

/// Whether this is a name of labels of letters, digits, `-` and `_`, with or without a dot at the end.
pub fn is_name(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    labels(name).is_some_and(|labels| labels.iter().all(|label| label.bytes().all(plain)))
}

/// Appends a name, not compressed, as RFC 8106 §5.2 and RFC 9915 §10 want it. One with an empty label, or of more octets than a
/// name has, is left out.
pub fn emit(name: &str, out: &mut Vec<u8>) {
    for label in labels(name).unwrap_or_default() {
        emit_label(label, out);
    }
    if labels(name).is_some() {
        out.push(0);
    }
}

/// A search list of DHCPv4 (RFC 3397 §2): names whose ends stood before are pointers to these.
pub fn emit_compressed<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for name in names {
        let Some(mut rest) = labels(name) else {
            continue;
        };
        loop {
            let Some(first) = rest.first() else {
                out.push(0);
                break;
            };
            // Names are compared without regard to case (RFC 1035 §2.3.3).
            let end = rest
                .iter()
                .map(|label| label.to_ascii_lowercase())
                .collect();
            if let Some(at) = seen.get(&end) {
                out.extend_from_slice(&(POINTER | *at as u16).to_be_bytes());
                break;
            }
            if out.len() <= POINTED_MAX {
                seen.insert(end, out.len());
            }
            emit_label(first, &mut out);
            rest.remove(0);
        }
    }
    out
}

fn emit_label(label: &str, out: &mut Vec<u8>) {
    out.push(label.len() as u8);
    out.extend_from_slice(label.as_bytes());
}

/// A name's labels; `None` where one is empty or too long, or all together are.
fn labels(name: &str) -> Option<Vec<&str>> {
    let labels: Vec<&str> = name.strip_suffix('.').unwrap_or(name).split('.').collect();
    let total: usize = labels.iter().map(|label| label.len() + 1).sum();
    let fits = |label: &&str| (1..=LABEL_BYTES_MAX).contains(&label.len());
    (total <= NAME_BYTES_MAX && labels.iter().all(fits)).then_some(labels)
}

#[cfg(test)]
mod tests;
