//! What DHCP alone says: IPv4, a name, options.

use super::{Column, Judged, joined, list};
use crate::options::listed;
use crate::promised::Promised;
use crate::seen::Seen;

/// The columns of IPv4; a guest that was promised none has none to be right about.
pub(super) fn ipv4(column: Column, promised: &Promised, seen: &Seen) -> Judged {
    let got = &seen.ipv4;
    let Some(wanted) = &promised.ipv4 else {
        return ("none".to_owned(), list(&got.addresses), None);
    };
    match column {
        Column::Ipv4Routes => {
            let missing = wanted.routes.difference(&got.routes);
            let odd = got.routes.difference(&wanted.routes);
            let mut reasons: Vec<String> =
                missing.map(|route| format!("no route {route}")).collect();
            reasons.extend(odd.map(|route| format!("{route} was not promised")));
            (list(&wanted.routes), list(&got.routes), joined(&reasons))
        }
        Column::Ipv4Dns => {
            let reason = (got.dns != wanted.dns).then(|| "resolv.conf differs".to_owned());
            (list(&wanted.dns), list(&got.dns), reason)
        }
        Column::PingIpv4 => {
            let reason = (!got.ping.answered).then(|| "no answer".to_owned());
            let promise = format!("{} answers, {} bytes", promised.neighbour, promised.mtu);
            (promise, got.ping.says.clone(), reason)
        }
        _ => {
            let reason =
                (got.addresses != [wanted.address]).then(|| "the addresses differ".to_owned());
            (wanted.address.to_string(), list(&got.addresses), reason)
        }
    }
}

/// What the guest calls itself.
pub(super) fn host_name(promised: &Promised, seen: &Seen) -> Judged {
    let reason = (seen.host_name != promised.host_name).then(|| "the names differ".to_owned());
    (list(&promised.host_name), list(&seen.host_name), reason)
}

/// What its client passed on of the port's options.
pub(super) fn options(promised: &Promised, seen: &Seen) -> Judged {
    let wrong = promised
        .options
        .iter()
        .filter(|(name, value)| seen.options.get(*name) != Some(value));
    let reasons: Vec<String> = wrong.map(|(name, _)| format!("{name} differs")).collect();
    let got = listed(&seen.options);
    (listed(&promised.options), got, joined(&reasons))
}
