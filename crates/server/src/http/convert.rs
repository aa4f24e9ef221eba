//! Converters: one JSON value in, its canonical form out. They judge syntax; sense is judged in core.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hextet_core::dhcp::{MAY_BE_BLANK, OPT_NAME_CHARS_MAX, OPT_VALUE_CHARS_MAX};
use hextet_core::mac::Mac;
use hextet_core::modes::Ipv6Mode;
use hextet_core::network::AddressPolicy;
use hextet_core::port::{PROFILE_BYTES_MAX, VnicType};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

/// Longest name, description or other short text, characters.
pub(super) const TEXT_CHARS_MAX: usize = 255;
/// Longest name of a network type, characters.
const NETWORK_TYPE_CHARS_MAX: usize = 32;
/// Longest name of a physical network, characters.
const PHYSICAL_NETWORK_CHARS_MAX: usize = 64;
/// What Neutron's resources can be: as filters, all of them.
pub(super) const STATUSES: &[&str] = &["ACTIVE", "BUILD", "DOWN", "ERROR", "N/A"];
/// The families of subnets, as filters.
pub(super) const IP_VERSIONS: &[&str] = &["4", "6"];

pub(super) fn text(value: &Json) -> Result<Json, String> {
    let Json::String(text) = value else {
        return Err(format!("'{value}' is not a valid string"));
    };
    let length = text.chars().count();
    if length > TEXT_CHARS_MAX {
        return Err(format!(
            "a text of {length} characters exceeds maximum length of {TEXT_CHARS_MAX}"
        ));
    }
    if text.contains('\0') {
        return Err("a text with a zero character is not allowed".to_owned());
    }
    Ok(value.clone())
}

/// A text or null, which is the empty text.
pub(super) fn text_or_null(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(json!("")),
        value => text(value),
    }
}

/// A text of at most 32 characters or null.
pub(super) fn network_type(value: &Json) -> Result<Json, String> {
    short_or_null(value, NETWORK_TYPE_CHARS_MAX)
}

/// A text of at most 64 characters or null.
pub(super) fn physical_network(value: &Json) -> Result<Json, String> {
    short_or_null(value, PHYSICAL_NETWORK_CHARS_MAX)
}

fn short_or_null(value: &Json, chars_max: usize) -> Result<Json, String> {
    let Json::String(said) = value else {
        return match value {
            Json::Null => Ok(Json::Null),
            other => text(other),
        };
    };
    match said.chars().count() {
        length if length > chars_max => Err(format!(
            "a text of {length} characters exceeds maximum length of {chars_max}"
        )),
        _ => text(value),
    }
}

/// An integer, as a number or its text. 7.0 is one, too (JSON Schema 2020-12 §4.2.3).
pub(super) fn integer(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
            // Beyond, not every integer is a float.
            (float.abs() < 2_f64.powi(53)).then_some(float as i64)
        }),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// An integer or null.
pub(super) fn integer_or_null(value: &Json) -> Result<Json, String> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    integer(value)
        .map(|number| json!(number))
        .ok_or_else(|| format!("'{}' is not an integer", plain(value)))
}

/// A list of tags, none twice.
pub(super) fn tags(value: &Json) -> Result<Json, String> {
    let mut seen = BTreeSet::new();
    for item in list(value)? {
        let tag = tag(item)?;
        if !seen.insert(tag.to_owned()) {
            return Err(format!("'{tag}' is there twice"));
        }
    }
    Ok(json!(seen))
}

fn tag(value: &Json) -> Result<&str, String> {
    text(value)?;
    match value.as_str() {
        Some("") | None => Err(format!("a tag has 1 to {TEXT_CHARS_MAX} characters")),
        Some(tag) => Ok(tag),
    }
}

pub(super) fn boolean(value: &Json) -> Result<Json, String> {
    let flag = match value {
        Json::Bool(flag) => Some(*flag),
        Json::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Json::Number(number) => match number.as_u64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        _ => None,
    };
    flag.map(Json::Bool)
        .ok_or_else(|| format!("'{}' cannot be converted to boolean", plain(value)))
}

/// An integer of 0 to 2^32 - 1, as a number or its text.
pub(super) fn non_negative(value: &Json) -> Result<Json, String> {
    integer(value)
        .and_then(|number| u32::try_from(number).ok())
        .map(|number| json!(number))
        .ok_or_else(|| format!("'{}' is not an integer of 0 to {}", plain(value), u32::MAX))
}

pub(super) fn ip_version(value: &Json) -> Result<Json, String> {
    match non_negative(value) {
        Ok(number) if number == json!(4) || number == json!(6) => Ok(number),
        _ => Err(format!("'{}' is not in [4, 6]", plain(value))),
    }
}

pub(super) fn uuid(value: &Json) -> Result<Json, String> {
    let parsed = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
    parsed
        .map(|uuid| json!(uuid.to_string()))
        .ok_or_else(|| format!("'{}' is not a valid UUID", plain(value)))
}

/// A MAC; null asks for a generated one.
pub(super) fn mac(value: &Json) -> Result<Json, String> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    let parsed = value.as_str().and_then(|text| text.parse::<Mac>().ok());
    parsed
        .map(|mac| json!(mac.to_string()))
        .ok_or_else(|| format!("'{}' is not a valid MAC address", plain(value)))
}

pub(super) fn cidr(value: &Json) -> Result<Json, String> {
    let wrong = || {
        format!(
            "'{}' is not a valid IP subnet: ADDRESS/LENGTH is wanted",
            plain(value)
        )
    };
    let (address, length) = value
        .as_str()
        .and_then(|text| text.split_once('/'))
        .ok_or_else(wrong)?;
    // The address by itself first: the parser of prefixes takes IPv4 octets with leading zeros.
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let digits = !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit());
    let length: u8 = length.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    let net = ipnet::IpNet::new(address, length).map_err(|_| wrong())?;
    Ok(json!(net.to_string()))
}

/// A subnet or null: none is given.
pub(super) fn cidr_or_null(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(Json::Null),
        value => cidr(value),
    }
}

pub(super) fn mode(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(Json::Null),
        Json::String(name) if Ipv6Mode::from_name(name).is_some() => Ok(value.clone()),
        _ => Err(format!(
            "'{}' is not in {} or null",
            plain(value),
            Ipv6Mode::NAMES.join(", ")
        )),
    }
}

pub(super) fn address_or_null(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(Json::Null),
        value => address(value),
    }
}

pub(super) fn address(value: &Json) -> Result<Json, String> {
    let parsed = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    parsed
        .map(|address| json!(address.to_string()))
        .ok_or_else(|| format!("'{}' is not a valid IP address", plain(value)))
}

/// Name servers; null is none, as in Neutron.
pub(super) fn nameservers(value: &Json) -> Result<Json, String> {
    let servers = list_or_null(value)?.iter().map(|server| {
        address(server).map_err(|_| format!("'{}' is not a valid nameserver", plain(server)))
    });
    servers.collect()
}

/// Pools as pairs of first and last address.
pub(super) fn pools(value: &Json) -> Result<Json, String> {
    let pools = list(value)?.iter().map(|pool| {
        let members = members(pool, &["start", "end"])?;
        let end = |name| {
            let end = members.get(name);
            address(end.ok_or_else(|| format!("a pool needs 'start' and 'end': '{pool}'"))?)
        };
        Ok(json!([end("start")?, end("end")?]))
    });
    pools.collect()
}

/// Device owners, none twice; any text can be one.
pub(super) fn service_types(value: &Json) -> Result<Json, String> {
    let mut seen = Vec::new();
    for item in list(value)? {
        text(item)?;
        let owner = item.as_str().unwrap_or_default();
        if owner.is_empty() {
            return Err(format!(
                "'' is no device owner: texts of 1 to {TEXT_CHARS_MAX} characters are allowed"
            ));
        }
        if seen.contains(&item) {
            return Err(format!("'{owner}' is there twice"));
        }
        seen.push(item);
    }
    Ok(value.clone())
}

/// An object of at most [`PROFILE_BYTES_MAX`] bytes of JSON; null is the empty one.
pub(super) fn profile(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(json!({})),
        Json::Object(_) => {
            let bytes = value.to_string().len();
            if bytes > PROFILE_BYTES_MAX {
                return Err(format!(
                    "an object of {bytes} bytes exceeds the maximum of {PROFILE_BYTES_MAX}"
                ));
            }
            Ok(value.clone())
        }
        _ => Err(format!("'{}' is not an object", plain(value))),
    }
}

pub(super) fn vnic_type(value: &Json) -> Result<Json, String> {
    match value.as_str() {
        Some(name) if VnicType::NAMES.contains(&name) => Ok(value.clone()),
        _ => Err(format!(
            "'{}' is not in {}",
            plain(value),
            VnicType::NAMES.join(", ")
        )),
    }
}

pub(super) fn data_plane_status(value: &Json) -> Result<Json, String> {
    match value {
        Json::Null => Ok(Json::Null),
        Json::String(text) if text == "ACTIVE" || text == "DOWN" => Ok(value.clone()),
        _ => Err(format!("'{}' is not in ACTIVE, DOWN or null", plain(value))),
    }
}

pub(super) fn address_policy(value: &Json) -> Result<Json, String> {
    match value.as_str() {
        Some(name) if AddressPolicy::NAMES.contains(&name) => Ok(value.clone()),
        _ => Err(format!(
            "'{}' is not in {}",
            plain(value),
            AddressPolicy::NAMES.join(", ")
        )),
    }
}

/// Routes; null is none, as in Neutron.
pub(super) fn host_routes(value: &Json) -> Result<Json, String> {
    let routes = list_or_null(value)?.iter().map(|route| {
        let members = members(route, &["destination", "nexthop"])?;
        let member = |name| {
            let member = members.get(name);
            member.ok_or_else(|| format!("a route needs 'destination' and 'nexthop': '{route}'"))
        };
        let (destination, nexthop) = (cidr(member("destination")?)?, address(member("nexthop")?)?);
        Ok(json!({"destination": destination, "nexthop": nexthop}))
    });
    routes.collect()
}

pub(super) fn fixed_ips(value: &Json) -> Result<Json, String> {
    let entries = list(value)?.iter().map(|entry| {
        let given = members(entry, &["subnet_id", "ip_address", "delete_subnet"])?;
        let mut entry = Map::new();
        for (name, member) in given {
            let checked = match name.as_str() {
                "subnet_id" => uuid(member)?,
                "ip_address" => address(member)?,
                _ => boolean(member)?,
            };
            entry.insert(name.clone(), checked);
        }
        Ok(Json::Object(entry))
    });
    entries.collect()
}

/// DHCP options; null is none. What they are and whether their values fit is judged in core.
pub(super) fn extra_dhcp_opts(value: &Json) -> Result<Json, String> {
    let entries = list_or_null(value)?.iter().map(|entry| {
        let given = members(entry, &["opt_name", "opt_value", "ip_version"])?;
        let (Some(name), Some(value)) = (given.get("opt_name"), given.get("opt_value")) else {
            return Err(format!(
                "an option needs 'opt_name' and 'opt_value': '{entry}'"
            ));
        };
        line(name, OPT_NAME_CHARS_MAX)?;
        let blank = value == "" && MAY_BE_BLANK.iter().any(|known| name == known);
        if !value.is_null() && !blank {
            line(value, OPT_VALUE_CHARS_MAX)?;
        }
        let version = given.get("ip_version").map_or(Ok(json!(4)), ip_version)?;
        Ok(json!({"opt_name": name, "opt_value": value, "ip_version": version}))
    });
    entries.collect()
}

/// A text of 1 to so many characters, none of which is a control character, without a space at either end.
fn line(value: &Json, chars_max: usize) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let plain = !text.chars().any(char::is_control) && text.trim() == text;
    if plain && (1..=chars_max).contains(&text.chars().count()) {
        return Ok(());
    }
    Err(format!(
        "'{value}' is not a text of 1 to {chars_max} characters in one line, without spaces at its ends"
    ))
}

/// A member that is there, even if it is null: for the types that requests are read into.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

fn list(value: &Json) -> Result<&[Json], String> {
    match value {
        Json::Array(items) => Ok(items),
        _ => Err(format!("'{value}' is not a list")),
    }
}

fn list_or_null(value: &Json) -> Result<&[Json], String> {
    match value {
        Json::Null => Ok(&[]),
        value => list(value),
    }
}

fn members<'a>(value: &'a Json, known: &[&str]) -> Result<&'a Map<String, Json>, String> {
    let Json::Object(members) = value else {
        return Err(format!("'{value}' is not an object"));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!(
            "'{unknown}' is not known here: {} are",
            known.join(", ")
        )),
        None => Ok(members),
    }
}

/// A value as it is quoted back: texts without their quotes.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        value => value.to_string(),
    }
}
