//! What the API changes: subnets, ports and their addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hextet_core::dhcp::{self, DhcpOptions, ExtraDhcpOptRequest};
use hextet_core::ids::{PortId, PortNumber, SubnetId};
use hextet_core::link::link_plan;
use hextet_core::mac::Mac;
use hextet_core::modes::{AddressSource, Ipv6Modes, RaSender};
use hextet_core::plan::{Ipv4SubnetPlan, PlanEntry, PlanKey, PortPlan, SubnetPlan};
use hextet_core::port::FixedIp;
use hextet_proto::Link;
use ipnet::Ipv6Net;
use uuid::Uuid;

use super::{Port, VNI, World};

impl World {
    /// A subnet appears; where its addresses come from the MAC, every port gets one.
    pub fn add_subnet(&mut self, name: &str, cidr: Ipv6Net, modes: Ipv6Modes, dns: Vec<Ipv6Addr>) {
        let row = modes.row().expect("a combination that the API accepts");
        let flags = row.flags.filter(|_| row.sender == RaSender::Us);
        let sequence = self.plan.entries.len() as u64;
        let id = SubnetId(Uuid::from_u128(1000 + u128::from(sequence)));
        let subnet = SubnetPlan {
            id,
            vni: VNI,
            sequence,
            cidr,
            sender: row.sender,
            autonomous: flags.is_some_and(|flags| flags.autonomous),
            managed: flags.is_some_and(|flags| flags.managed),
            other: flags.is_some_and(|flags| flags.other),
            dhcpv6: Some(row.dhcpv6),
            solicit_without_address: row.solicit_without_address,
            dns_nameservers: dns,
            learned: row.learned,
            gateway_ip: None,
            segment: None,
        };
        self.plan
            .entries
            .insert(PlanKey::Subnet(id), PlanEntry::Subnet(subnet));
        self.subnets.insert(name.to_owned(), (id, row.port_address));
        self.withdrawn.retain(|prefix| *prefix != cidr);
        if row.port_address == AddressSource::Eui64 {
            for port in self.port_plans_mut() {
                let ip_address = port.mac.eui64(cidr).into();
                port.fixed_ips.push(FixedIp {
                    subnet_id: id,
                    ip_address,
                });
            }
        }
        self.announce();
    }

    /// An IPv4 subnet appears; its id, network and place in the order of creation are given here.
    pub fn add_ipv4_subnet(&mut self, mut subnet: Ipv4SubnetPlan) {
        subnet.sequence = self.plan.entries.len() as u64;
        subnet.id = SubnetId(Uuid::from_u128(1000 + u128::from(subnet.sequence)));
        subnet.vni = VNI;
        let entry = PlanEntry::Ipv4Subnet(subnet.clone());
        self.plan.entries.insert(PlanKey::Subnet(subnet.id), entry);
        self.announce();
    }

    /// The port has this IPv4 address instead of those that it had.
    pub fn readdress(&mut self, name: &str, address: Ipv4Addr) {
        let id = self.ports[name].id;
        let subnet_id = self.ipv4_subnet_of(address);
        for port in self.port_plans_mut().filter(|port| port.id == id) {
            port.fixed_ips.retain(|fixed| fixed.ip_address.is_ipv6());
            port.fixed_ips.push(FixedIp {
                subnet_id,
                ip_address: address.into(),
            });
        }
        self.announce();
    }

    /// What the port's guest is told by DHCP changes, as the API has it.
    ///
    /// # Errors
    /// What the API says to it.
    pub fn tell(&mut self, name: &str, option: ExtraDhcpOptRequest) -> Result<(), String> {
        let id = self.ports[name].id;
        let told = self.told.entry(id).or_default();
        *told = dhcp::merge(told, &[option]).map_err(|refusal| refusal.to_string())?;
        let options = DhcpOptions::of(told);
        for port in self.port_plans_mut().filter(|port| port.id == id) {
            port.dhcp_options = options.clone();
        }
        self.announce();
        Ok(())
    }

    fn ipv4_subnet_of(&self, address: Ipv4Addr) -> SubnetId {
        let mut subnets = self.plan.ipv4_subnets();
        let found = subnets.find(|subnet| subnet.cidr.contains(&address));
        found.expect("an address of a subnet").id
    }

    /// A subnet is deleted; ports lose their addresses of it.
    pub fn remove_subnet(&mut self, name: &str) {
        let (id, _) = self.subnets.remove(name).expect("a known subnet");
        if let Some(PlanEntry::Subnet(subnet)) = self.plan.entries.remove(&PlanKey::Subnet(id)) {
            self.withdrawn.push(subnet.cidr);
        }
        for port in self.port_plans_mut() {
            port.fixed_ips.retain(|fixed| fixed.subnet_id != id);
        }
        self.announce();
    }

    /// A port appears, with these addresses besides those from its MAC.
    pub fn add_port(&mut self, name: &str, mac: Mac, addresses: &[IpAddr]) {
        let number = self.ports.len() as u32 + 1;
        let id = PortId(Uuid::from_u128(2000 + u128::from(number)));
        let mut fixed_ips = Vec::new();
        for subnet in self.plan.subnets() {
            let from_mac = self
                .subnets
                .values()
                .any(|(known, source)| *known == subnet.id && *source == AddressSource::Eui64);
            if from_mac {
                fixed_ips.push(FixedIp {
                    subnet_id: subnet.id,
                    ip_address: mac.eui64(subnet.cidr).into(),
                });
            }
            let given = addresses.iter().filter(
                |address| matches!(address, IpAddr::V6(address) if subnet.cidr.contains(address)),
            );
            fixed_ips.extend(given.map(|address| FixedIp {
                subnet_id: subnet.id,
                ip_address: *address,
            }));
        }
        for address in addresses {
            if let IpAddr::V4(ipv4) = address {
                fixed_ips.push(FixedIp {
                    subnet_id: self.ipv4_subnet_of(*ipv4),
                    ip_address: *address,
                });
            }
        }
        let port = PortPlan {
            dhcp_options: hextet_core::dhcp::DhcpOptions::default(),
            id,
            number: PortNumber(number),
            vni: VNI,
            mac,
            admin_state_up: true,
            port_security_enabled: true,
            fixed_ips,
        };
        self.plan
            .entries
            .insert(PlanKey::Port(id), PlanEntry::Port(port));
        let plan = link_plan(&self.plan, id, &[]).expect("the plan is whole");
        let port = Port {
            id,
            link: Link::new(plan, number.into()),
            guest: None,
            events: Vec::new(),
            seen: false,
            learned: BTreeMap::new(),
            passed: BTreeMap::new(),
        };
        self.ports.insert(name.to_owned(), port);
        self.announce();
    }

    /// The port is administratively let in or shut out.
    pub fn set_admin_state(&mut self, name: &str, up: bool) {
        let id = self.ports[name].id;
        for port in self.port_plans_mut().filter(|port| port.id == id) {
            port.admin_state_up = up;
        }
        self.announce();
    }
}
