//! The steps about `extra_dhcp_opts`.

use hextet_core::dhcp::ExtraDhcpOptRequest;

use super::{parse, same};
use crate::guest::Guest;

/// `NAME=VALUE`; without a value the option goes.
pub(super) fn request(version: &str, option: &str) -> Result<ExtraDhcpOptRequest, String> {
    let (name, value) = option.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok(ExtraDhcpOptRequest {
        opt_name: name.to_owned(),
        opt_value: Some(value.to_owned()).filter(|value| !value.is_empty()),
        ip_version: parse(version)?,
    })
}

/// `option59=TEXT` of the last answer to the DHCPv6 client.
pub(super) fn expect(guest: &Guest, wanted: &[&str]) -> Result<(), String> {
    let last = guest.answers.last().ok_or("no answer was heard")?;
    wanted.iter().try_for_each(|word| {
        let (key, value) = word.split_once('=').ok_or("KEY=VALUE is wanted")?;
        let code = key.strip_prefix("option").ok_or("optionCODE is wanted")?;
        let code: u16 = parse(code)?;
        let said = last.extra.iter().find(|(known, _)| *known == code);
        same(value, &seen(said.map(|(_, content)| content)))
    })
}

/// An option's content as scripts write it: a text, else octets in hexadecimal; `none` where it was not said.
pub(super) fn seen(content: Option<&Vec<u8>>) -> String {
    content.map_or("none".to_owned(), |content| text(content))
}

pub(super) fn text(content: &[u8]) -> String {
    if content.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(content).into_owned();
    }
    let octets = content.iter().map(|octet| format!("{octet:02x}"));
    octets.collect::<Vec<_>>().join(":")
}
