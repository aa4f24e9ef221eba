//! The steps about IPv4.

use std::net::Ipv4Addr;

use hextet_core::ids::{SubnetId, Vni};
use hextet_core::plan::{Ipv4Route, Ipv4SubnetPlan};
use hextet_wire::dhcpv4::{ServerMessage, ServerMessageKind};
use uuid::Uuid;

use super::{parse, same};
use crate::guest::Guest;
use crate::world::ClientConfig;

/// `gateway=A`, `dns=A`, `route=DESTINATION,NEXTHOP`, `nodhcp`. The world gives it its id.
pub(super) fn subnet(cidr: &str, options: &[&str]) -> Result<Ipv4SubnetPlan, String> {
    let mut subnet = Ipv4SubnetPlan {
        id: SubnetId(Uuid::nil()),
        vni: Vni(0),
        sequence: 0,
        cidr: parse(cidr)?,
        dhcp: true,
        gateway_ip: None,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
    };
    for option in options {
        match option.split_once('=') {
            Some(("gateway", address)) => subnet.gateway_ip = Some(parse(address)?),
            Some(("dns", address)) => subnet.dns_nameservers.push(parse(address)?),
            Some(("route", route)) => {
                let (destination, nexthop) = route
                    .split_once(',')
                    .ok_or("DESTINATION,NEXTHOP is wanted")?;
                subnet.host_routes.push(Ipv4Route {
                    destination: parse(destination)?,
                    nexthop: parse(nexthop)?,
                });
            }
            None if *option == "nodhcp" => subnet.dhcp = false,
            _ => return Err(format!("no such option: {option}")),
        }
    }
    Ok(subnet)
}

/// Whether the option is the DHCPv4 client's. Each makes the guest have one.
pub(super) fn client_option(client: &mut ClientConfig, option: &str) -> Result<bool, String> {
    let mut config = client.dhcpv4.clone().unwrap_or_default();
    match option.split_once('=') {
        None if option == "dhcp4" => {}
        None if option == "broadcast4" => config.broadcast = true,
        None if option == "rapid4" => config.rapid_commit = true,
        Some(("id4", hex)) => {
            let bytes =
                (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16));
            config.client_id = bytes
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?;
        }
        Some(("held4", address)) => config.held = Some(parse(address)?),
        _ => return Ok(false),
    }
    client.dhcpv4 = Some(config);
    Ok(true)
}

/// `answers 2`, `refusals 1`, `broadcasts 0` count; `none`: no lease; else what is leased:
/// `10.0.0.5/24 router=10.0.0.1 dns=… mtu=1430 lease=5400 t1=2700 t2=4725 search=… server=… route=DESTINATION,NEXTHOP routes=2
/// name=host-10-0-0-5 boot=192.0.2.69 boot-name=… boot-file=pxelinux.0 option66=TEXT`.
pub(super) fn expect(guest: &Guest, wanted: &[&str]) -> Result<(), String> {
    let client = guest.dhcpv4.as_ref().ok_or("no DHCPv4 client runs")?;
    let count = |filter: fn(&(bool, ServerMessage)) -> bool| {
        client
            .answers
            .iter()
            .filter(|answer| filter(answer))
            .count()
    };
    match (wanted, client.lease()) {
        (["answers", number], _) => same(number, &client.answers.len()),
        (["refusals", number], _) => same(
            number,
            &count(|(_, answer)| answer.kind == ServerMessageKind::Nak),
        ),
        (["broadcasts", number], _) => same(number, &count(|(to_all, _)| *to_all)),
        (["none"], None) => Ok(()),
        (["none"], Some(lease)) => Err(format!("seen: {}", lease.yiaddr)),
        (_, None) => Err("no lease".to_owned()),
        ([address, rest @ ..], Some(lease)) => {
            let length = lease.subnet.map(|subnet| subnet.prefix_len());
            same(
                address,
                &format!("{}/{}", lease.yiaddr, length.ok_or("no subnet mask")?),
            )?;
            rest.iter().try_for_each(|word| expect_field(lease, word))
        }
        ([], _) => Err("what is wanted?".to_owned()),
    }
}

fn expect_field(lease: &ServerMessage, word: &str) -> Result<(), String> {
    let (key, value) = word.split_once('=').ok_or("KEY=VALUE is wanted")?;
    let times = lease.lease.ok_or("no times")?;
    let list = |addresses: &[Ipv4Addr]| {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.join(",")
    };
    let seen = match key {
        "router" => lease
            .router
            .map_or("none".to_owned(), |router| router.to_string()),
        "dns" => list(&lease.dns_servers),
        "mtu" => lease.mtu.map_or("none".to_owned(), |mtu| mtu.to_string()),
        "lease" => times.lease_time_s.to_string(),
        "t1" => times.renewal_time_s.to_string(),
        "t2" => times.rebinding_time_s.to_string(),
        "search" => lease.dns_search.join(","),
        "server" => lease.server.to_string(),
        "name" => lease.host_name.clone(),
        "boot" => lease.boot.server.to_string(),
        "boot-name" => super::options::text(&lease.boot.server_name),
        "boot-file" => super::options::text(&lease.boot.file),
        "routes" => lease.routes.len().to_string(),
        "route" => {
            let texts = lease
                .routes
                .iter()
                .map(|route| format!("{},{}", route.destination, route.router));
            let texts: Vec<String> = texts.collect();
            if texts.iter().any(|text| text == value) {
                return Ok(());
            }
            texts.join(" ")
        }
        _ => match key.strip_prefix("option").map(str::parse) {
            Some(Ok(code)) => super::options::seen(lease.extra.get(&code)),
            _ => return Err(format!("no such field: {key}")),
        },
    };
    if seen == value {
        Ok(())
    } else {
        Err(format!("{key}={seen}"))
    }
}
