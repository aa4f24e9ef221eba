use super::*;

fn subnet(cidr: &str, pools: &[(&str, &str)]) -> Subnet {
    let pools = pools.iter().map(|(start, end)| AddressRange {
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    });
    let cidr: IpNet = cidr.parse().unwrap();
    Subnet {
        id: SubnetId(uuid::Uuid::from_u128(1)),
        name: "s".to_owned(),
        description: String::new(),
        tags: std::collections::BTreeSet::new(),
        project_id: ProjectId("p".to_owned()),
        network_id: NetworkId(uuid::Uuid::from_u128(2)),
        ip_version: if cidr.addr().is_ipv4() { 4 } else { 6 },
        cidr,
        gateway_ip: None,
        allocation_pools: pools.collect(),
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        service_types: Vec::new(),
        enable_dhcp: true,
        modes: crate::modes::Ipv6Modes {
            ra: None,
            address: None,
        },
        revision_number: 0,
        created_at: String::new(),
        updated_at: String::new(),
        sequence: 1,
    }
}

#[test]
fn totals_are_arithmetic_on_pools_and_prefix() {
    for (cidr, pools, total, in_subnet, in_pools) in [
        (
            "2001:db8::/64",
            vec![("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")],
            "18446744073709551615",
            "18446744073709551616",
            "18446744073709551615",
        ),
        (
            "2001:db8::/48",
            vec![],
            "1208925819614629174706176",
            "1208925819614629174706176",
            "0",
        ),
        (
            "::/0",
            vec![],
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211455",
            "0",
        ),
        (
            "10.0.0.0/24",
            vec![("10.0.0.2", "10.0.0.10"), ("10.0.0.20", "10.0.0.20")],
            "10",
            "254",
            "10",
        ),
        ("10.0.0.0/24", vec![], "256", "254", "0"),
        ("10.0.0.0/32", vec![], "1", "0", "0"),
    ] {
        let counted = Usage::default().subnet(&subnet(cidr, &pools));
        let details = counted.ip_availability_details;
        assert_eq!(counted.total_ips.to_string(), total, "{cidr}");
        assert_eq!(details.total_ips_in_subnet.to_string(), in_subnet, "{cidr}");
        let pooled = details.total_ips_in_allocation_pool;
        assert_eq!(pooled.to_string(), in_pools, "{cidr}");
    }
}
