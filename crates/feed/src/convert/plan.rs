//! Generations, keys and entries.

use std::collections::BTreeMap;

use hextet_core::dhcp::DhcpOptions;
use hextet_core::ids::{NetworkId, PortId, PortNumber, SubnetId, Vni};
use hextet_core::modes::{Dhcpv6Service, RaFlags, RaSender, SolicitWithoutAddress};
use hextet_core::plan::{
    Generation, Ipv4Route, Ipv4SubnetPlan, NetworkPlan, PlanEntry, PlanKey, PortPlan, SegmentPlan,
    SubnetPlan,
};
use hextet_core::port::FixedIp;
use hextet_core::settings::{CloudSettings, RenewalTimes};

use super::{
    Malformed, address, any_address, any_octets, ipv4_address, ipv4_prefix, mac, narrow, prefix,
    uuid,
};
use crate::v1;

impl From<Generation> for v1::Generation {
    fn from(generation: Generation) -> Self {
        v1::Generation {
            epoch: generation.epoch,
            revision: generation.revision,
        }
    }
}

impl From<v1::Generation> for Generation {
    fn from(generation: v1::Generation) -> Self {
        Generation {
            epoch: generation.epoch,
            revision: generation.revision,
        }
    }
}

impl From<PlanKey> for v1::Key {
    fn from(key: PlanKey) -> Self {
        use v1::key::Key;
        let key = match key {
            PlanKey::Cloud => Key::Cloud(true),
            PlanKey::Network(vni) => Key::Network(vni.0),
            PlanKey::Subnet(id) => Key::Subnet(id.0.as_bytes().to_vec()),
            PlanKey::Port(id) => Key::Port(id.0.as_bytes().to_vec()),
        };
        v1::Key { key: Some(key) }
    }
}

impl TryFrom<&v1::Key> for PlanKey {
    type Error = Malformed;

    fn try_from(key: &v1::Key) -> Result<Self, Malformed> {
        use v1::key::Key;
        match key.key.as_ref().ok_or(Malformed::Missing("key"))? {
            Key::Cloud(_) => Ok(PlanKey::Cloud),
            Key::Network(number) => Ok(PlanKey::Network(vni(*number)?)),
            Key::Subnet(id) => Ok(PlanKey::Subnet(SubnetId(uuid("key.subnet", id)?))),
            Key::Port(id) => Ok(PlanKey::Port(PortId(uuid("key.port", id)?))),
        }
    }
}

impl From<&PlanEntry> for v1::Entry {
    fn from(entry: &PlanEntry) -> Self {
        use v1::entry::Entry;
        let entry = match entry {
            PlanEntry::Cloud(settings) => Entry::Cloud(cloud_out(settings)),
            PlanEntry::Network(network) => Entry::Network(v1::Network {
                vni: network.vni.0,
                id: network.id.0.as_bytes().to_vec(),
                mtu: network.mtu,
                admin_state_up: network.admin_state_up,
                physical_network: network.physical_network.clone().unwrap_or_default(),
                full_dad: !network.fast_dad,
            }),
            PlanEntry::Subnet(subnet) => Entry::Subnet(subnet_out(subnet)),
            PlanEntry::Ipv4Subnet(subnet) => Entry::Ipv4Subnet(ipv4_subnet_out(subnet)),
            PlanEntry::Port(port) => Entry::Port(port_out(port)),
        };
        v1::Entry { entry: Some(entry) }
    }
}

impl TryFrom<&v1::Entry> for PlanEntry {
    type Error = Malformed;

    fn try_from(entry: &v1::Entry) -> Result<Self, Malformed> {
        use v1::entry::Entry;
        Ok(
            match entry.entry.as_ref().ok_or(Malformed::Missing("entry"))? {
                Entry::Cloud(cloud) => PlanEntry::Cloud(cloud_in(cloud)?),
                Entry::Network(network) => PlanEntry::Network(NetworkPlan {
                    vni: vni(network.vni)?,
                    id: NetworkId(uuid("network.id", &network.id)?),
                    mtu: network.mtu,
                    admin_state_up: network.admin_state_up,
                    fast_dad: !network.full_dad,
                    physical_network: Some(network.physical_network.clone())
                        .filter(|name| !name.is_empty()),
                }),
                Entry::Subnet(subnet) => PlanEntry::Subnet(subnet_in(subnet)?),
                Entry::Ipv4Subnet(subnet) => PlanEntry::Ipv4Subnet(ipv4_subnet_in(subnet)?),
                Entry::Port(port) => PlanEntry::Port(port_in(port)?),
            },
        )
    }
}

fn cloud_out(settings: &CloudSettings) -> v1::Cloud {
    v1::Cloud {
        server_duid: settings.server_duid.as_bytes().to_vec(),
        max_rtr_adv_interval_s: u32::from(settings.max_rtr_adv_interval_s),
        preferred_lifetime_s: settings.preferred_lifetime_s,
        valid_lifetime_s: settings.valid_lifetime_s,
        retrans_timer_ms: settings.retrans_timer_ms,
        dns_search: settings.dns_search.clone(),
        dhcpv6_t1_s: Some(settings.dhcpv6_times.t1_s),
        dhcpv6_t2_s: Some(settings.dhcpv6_times.t2_s),
        dhcpv4_lease_s: Some(settings.dhcpv4_lease_s),
        dhcpv4_t1_s: Some(settings.dhcpv4_times.t1_s),
        dhcpv4_t2_s: Some(settings.dhcpv4_times.t2_s),
    }
}

fn cloud_in(cloud: &v1::Cloud) -> Result<CloudSettings, Malformed> {
    let times = |t1_s: Option<u32>, t2_s: Option<u32>, default: RenewalTimes| RenewalTimes {
        t1_s: t1_s.unwrap_or(default.t1_s),
        t2_s: t2_s.unwrap_or(default.t2_s),
    };
    let dhcpv6 = RenewalTimes::of_preferred_lifetime(cloud.preferred_lifetime_s);
    let dhcpv4_lease_s = cloud.dhcpv4_lease_s.unwrap_or(cloud.valid_lifetime_s);
    let dhcpv4 = RenewalTimes::of_lease(dhcpv4_lease_s);
    Ok(CloudSettings {
        server_duid: uuid("cloud.server_duid", &cloud.server_duid)?,
        max_rtr_adv_interval_s: narrow(
            "cloud.max_rtr_adv_interval_s",
            cloud.max_rtr_adv_interval_s,
        )?,
        preferred_lifetime_s: cloud.preferred_lifetime_s,
        valid_lifetime_s: cloud.valid_lifetime_s,
        dhcpv6_times: times(cloud.dhcpv6_t1_s, cloud.dhcpv6_t2_s, dhcpv6),
        dhcpv4_lease_s,
        dhcpv4_times: times(cloud.dhcpv4_t1_s, cloud.dhcpv4_t2_s, dhcpv4),
        retrans_timer_ms: cloud.retrans_timer_ms,
        dns_search: cloud.dns_search.clone(),
    })
}

fn subnet_out(subnet: &SubnetPlan) -> v1::Subnet {
    let dhcpv6 = match subnet.dhcpv6 {
        None => v1::Dhcpv6::Off,
        Some(Dhcpv6Service::Addresses) => v1::Dhcpv6::Addresses,
        Some(Dhcpv6Service::Options) => v1::Dhcpv6::Options,
    };
    let sender = match subnet.sender {
        RaSender::Us => v1::RaSender::Us,
        RaSender::Outside => v1::RaSender::Outside,
    };
    let solicit = match subnet.solicit_without_address {
        SolicitWithoutAddress::NoAddrsAvail => v1::SolicitWithoutAddress::NoAddrsAvail,
        SolicitWithoutAddress::Silence => v1::SolicitWithoutAddress::Silence,
    };
    v1::Subnet {
        id: subnet.id.0.as_bytes().to_vec(),
        vni: subnet.vni.0,
        sequence: subnet.sequence,
        prefix: subnet.cidr.network().octets().to_vec(),
        prefix_len: u32::from(subnet.cidr.prefix_len()),
        sender: sender.into(),
        autonomous: subnet.autonomous,
        managed: subnet.managed,
        other: subnet.other,
        dhcpv6: dhcpv6.into(),
        solicit_without_address: solicit.into(),
        dns_nameservers: subnet
            .dns_nameservers
            .iter()
            .map(|server| server.octets().to_vec())
            .collect(),
        learned: subnet.learned,
        gateway_ip: subnet
            .gateway_ip
            .map(|gateway| gateway.octets().to_vec())
            .unwrap_or_default(),
        segment: subnet.segment.map(segment_out),
    }
}

fn segment_out(segment: SegmentPlan) -> v1::Segment {
    v1::Segment {
        expected: segment.expected.map(|flags| v1::RaFlags {
            autonomous: flags.autonomous,
            managed: flags.managed,
            other: flags.other,
        }),
        dhcpv6: segment.dhcpv6,
    }
}

fn segment_in(segment: &v1::Segment) -> SegmentPlan {
    SegmentPlan {
        expected: segment.expected.map(|flags| RaFlags {
            autonomous: flags.autonomous,
            managed: flags.managed,
            other: flags.other,
        }),
        dhcpv6: segment.dhcpv6,
    }
}

fn subnet_in(subnet: &v1::Subnet) -> Result<SubnetPlan, Malformed> {
    let unknown = |field, value: i32| Malformed::Range {
        field,
        value: u64::from(value.unsigned_abs()),
    };
    let dhcpv6 = match subnet.dhcpv6() {
        v1::Dhcpv6::Unspecified => return Err(unknown("subnet.dhcpv6", subnet.dhcpv6)),
        v1::Dhcpv6::Off => None,
        v1::Dhcpv6::Addresses => Some(Dhcpv6Service::Addresses),
        v1::Dhcpv6::Options => Some(Dhcpv6Service::Options),
    };
    let sender = match subnet.sender() {
        v1::RaSender::Unspecified => return Err(unknown("subnet.sender", subnet.sender)),
        v1::RaSender::Us => RaSender::Us,
        v1::RaSender::Outside => RaSender::Outside,
    };
    let solicit_without_address = match subnet.solicit_without_address() {
        v1::SolicitWithoutAddress::Unspecified => {
            return Err(unknown(
                "subnet.solicit_without_address",
                subnet.solicit_without_address,
            ));
        }
        v1::SolicitWithoutAddress::NoAddrsAvail => SolicitWithoutAddress::NoAddrsAvail,
        v1::SolicitWithoutAddress::Silence => SolicitWithoutAddress::Silence,
    };
    Ok(SubnetPlan {
        id: SubnetId(uuid("subnet.id", &subnet.id)?),
        vni: vni(subnet.vni)?,
        sequence: subnet.sequence,
        cidr: prefix("subnet.prefix", &subnet.prefix, subnet.prefix_len)?,
        sender,
        autonomous: subnet.autonomous,
        managed: subnet.managed,
        other: subnet.other,
        dhcpv6,
        solicit_without_address,
        dns_nameservers: subnet
            .dns_nameservers
            .iter()
            .map(|server| address("subnet.dns_nameservers", server))
            .collect::<Result<_, _>>()?,
        learned: subnet.learned,
        gateway_ip: match subnet.gateway_ip.as_slice() {
            [] => None,
            octets => Some(address("subnet.gateway_ip", octets)?),
        },
        segment: subnet.segment.as_ref().map(segment_in),
    })
}

fn ipv4_subnet_out(subnet: &Ipv4SubnetPlan) -> v1::Ipv4Subnet {
    let routes = subnet.host_routes.iter().map(|route| v1::Ipv4Route {
        prefix: route.destination.network().octets().to_vec(),
        prefix_len: u32::from(route.destination.prefix_len()),
        nexthop: route.nexthop.octets().to_vec(),
    });
    let servers = subnet.dns_nameservers.iter();
    v1::Ipv4Subnet {
        id: subnet.id.0.as_bytes().to_vec(),
        vni: subnet.vni.0,
        sequence: subnet.sequence,
        prefix: subnet.cidr.network().octets().to_vec(),
        prefix_len: u32::from(subnet.cidr.prefix_len()),
        dhcp: subnet.dhcp,
        gateway_ip: subnet
            .gateway_ip
            .map(|gateway| gateway.octets().to_vec())
            .unwrap_or_default(),
        dns_nameservers: servers.map(|server| server.octets().to_vec()).collect(),
        host_routes: routes.collect(),
    }
}

fn ipv4_subnet_in(subnet: &v1::Ipv4Subnet) -> Result<Ipv4SubnetPlan, Malformed> {
    let gateway_ip = match subnet.gateway_ip.as_slice() {
        [] => None,
        octets => Some(ipv4_address("ipv4_subnet.gateway_ip", octets)?),
    };
    let servers = subnet.dns_nameservers.iter();
    let servers = servers.map(|server| ipv4_address("ipv4_subnet.dns_nameservers", server));
    let routes = subnet.host_routes.iter().map(|route| {
        let field = "ipv4_subnet.host_routes.prefix";
        Ok(Ipv4Route {
            destination: ipv4_prefix(field, &route.prefix, route.prefix_len)?,
            nexthop: ipv4_address("ipv4_subnet.host_routes.nexthop", &route.nexthop)?,
        })
    });
    Ok(Ipv4SubnetPlan {
        id: SubnetId(uuid("ipv4_subnet.id", &subnet.id)?),
        vni: vni(subnet.vni)?,
        sequence: subnet.sequence,
        cidr: ipv4_prefix("ipv4_subnet.prefix", &subnet.prefix, subnet.prefix_len)?,
        dhcp: subnet.dhcp,
        gateway_ip,
        dns_nameservers: servers.collect::<Result<_, _>>()?,
        host_routes: routes.collect::<Result<_, Malformed>>()?,
    })
}

fn port_out(port: &PortPlan) -> v1::Port {
    v1::Port {
        id: port.id.0.as_bytes().to_vec(),
        number: port.number.0,
        vni: port.vni.0,
        mac: port.mac.0.to_vec(),
        admin_state_up: port.admin_state_up,
        unguarded: !port.port_security_enabled,
        fixed_ips: port
            .fixed_ips
            .iter()
            .map(|fixed| v1::FixedIp {
                subnet_id: fixed.subnet_id.0.as_bytes().to_vec(),
                address: any_octets(fixed.ip_address),
            })
            .collect(),
        dhcpv4_options: options_out(&port.dhcp_options.v4),
        dhcpv6_options: options_out(&port.dhcp_options.v6),
        boot_server: port
            .dhcp_options
            .boot_server
            .map(any_octets)
            .unwrap_or_default(),
        unknown_dhcp_options: port.dhcp_options.unknown.clone(),
    }
}

fn options_out<C: Copy + Into<u32>>(options: &BTreeMap<C, Vec<u8>>) -> Vec<v1::DhcpOption> {
    let options = options.iter().map(|(code, content)| v1::DhcpOption {
        code: (*code).into(),
        content: content.clone(),
    });
    options.collect()
}

/// Those whose code is none of the family's are an error.
fn options_in<C: Ord + TryFrom<u32>>(
    field: &'static str,
    options: &[v1::DhcpOption],
) -> Result<BTreeMap<C, Vec<u8>>, Malformed> {
    let options = options.iter().map(|option| {
        let code = C::try_from(option.code).map_err(|_| Malformed::Range {
            field,
            value: u64::from(option.code),
        })?;
        Ok((code, option.content.clone()))
    });
    options.collect()
}

fn port_in(port: &v1::Port) -> Result<PortPlan, Malformed> {
    if port.number == 0 {
        return Err(Malformed::Range {
            field: "port.number",
            value: 0,
        });
    }
    let fixed_ips = port.fixed_ips.iter().map(|fixed| {
        Ok(FixedIp {
            subnet_id: SubnetId(uuid("port.fixed_ips.subnet_id", &fixed.subnet_id)?),
            ip_address: any_address("port.fixed_ips.address", &fixed.address)?,
        })
    });
    Ok(PortPlan {
        id: PortId(uuid("port.id", &port.id)?),
        number: PortNumber(port.number),
        vni: vni(port.vni)?,
        mac: mac("port.mac", &port.mac)?,
        admin_state_up: port.admin_state_up,
        port_security_enabled: !port.unguarded,
        fixed_ips: fixed_ips.collect::<Result<_, Malformed>>()?,
        dhcp_options: DhcpOptions {
            v4: options_in("port.dhcpv4_options.code", &port.dhcpv4_options)?,
            v6: options_in("port.dhcpv6_options.code", &port.dhcpv6_options)?,
            boot_server: match port.boot_server.as_slice() {
                [] => None,
                octets => Some(any_address("port.boot_server", octets)?),
            },
            unknown: port.unknown_dhcp_options.clone(),
        },
    })
}

fn vni(number: u32) -> Result<Vni, Malformed> {
    let vni = Vni(number);
    if (Vni::MIN..=Vni::MAX).contains(&vni) {
        Ok(vni)
    } else {
        Err(Malformed::Range {
            field: "vni",
            value: u64::from(number),
        })
    }
}
