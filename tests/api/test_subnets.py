"""Subnets: every combination of the two IPv6 modes, gateways, pools, and what is refused."""

import csv
import ipaddress

import openstack
import pytest
from conftest import ROOT, Refused

PREFIX = "2001:db8:1::/64"


def rows():
    """The mode table, one row a combination."""
    text = (ROOT / "crates/core/specs/ipv6_modes.tsv").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    table = list(csv.DictReader(lines, delimiter="\t"))
    assert len(table) == 16
    return table


def modes(row):
    """The two attributes of a row, without those that are unset."""
    pairs = {"ipv6_ra_mode": row["ra_mode"], "ipv6_address_mode": row["address_mode"]}
    return {attribute: mode for attribute, mode in pairs.items() if mode != "-"}


def eui64(prefix, mac):
    """RFC 4291 appendix A."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    interface = octets[:3] + b"\xff\xfe" + octets[3:]
    return ipaddress.ip_network(prefix)[int.from_bytes(interface, "big")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['ra_mode']}+{row['address_mode']}")
def test_each_combination_of_modes_is_as_the_table_says(demo, network, row):
    wanted = {"network_id": network.id, "ip_version": 6, "cidr": PREFIX, **modes(row)}
    answer = demo.network.post("/subnets", json={"subnet": wanted})
    if row["verdict"] == "refused":
        assert answer.status_code == 400
        assert answer.json()["NeutronError"]["type"] == "InvalidInput"
        assert list(demo.network.subnets(network_id=network.id)) == []
        return
    assert answer.status_code == 201, answer.text
    subnet = answer.json()["subnet"]
    for attribute in ("ipv6_ra_mode", "ipv6_address_mode"):
        assert subnet[attribute] == wanted.get(attribute)
    port = demo.network.create_port(network_id=network.id)
    [fixed] = port.fixed_ips
    assert fixed["subnet_id"] == subnet["id"]
    address = ipaddress.ip_address(fixed["ip_address"])
    assert (address == eui64(PREFIX, port.mac_address)) == (row["port_address"] == "eui64")
    assert address in ipaddress.ip_network(PREFIX)


@pytest.mark.parametrize("mode, length, good", [
    ("slaac", 64, True), ("slaac", 63, False), ("slaac", 80, False),
    ("dhcpv6-stateless", 63, False), ("dhcpv6-stateless", 80, False),
    ("dhcpv6-stateful", 63, True), ("dhcpv6-stateful", 80, True), ("dhcpv6-stateful", 127, False),
])
def test_slaac_needs_64_bits_and_stateful_takes_any_length_with_room(demo, network, mode, length, good):
    wanted = {
        "network_id": network.id, "ip_version": 6, "cidr": f"2001:db8:2::/{length}",
        "ipv6_ra_mode": mode, "ipv6_address_mode": mode,
    }
    answer = demo.network.post("/subnets", json={"subnet": wanted})
    if good:
        assert answer.status_code == 201, answer.text
    else:
        assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (400, "InvalidInput")


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"])
def test_the_command_line_makes_a_subnet_of_each_mode(cloud, network, name, mode):
    made = cloud.openstack(
        "subnet", "create", "--network", network.name, "--ip-version", "6", "--subnet-range", PREFIX,
        "--ipv6-ra-mode", mode, "--ipv6-address-mode", mode, "--dns-nameserver", "2001:db8::53", name,
    )
    assert (made["ipv6_ra_mode"], made["ipv6_address_mode"]) == (mode, mode)
    assert (made["cidr"], made["gateway_ip"], made["ip_version"]) == (PREFIX, "2001:db8:1::1", 6)
    assert made["allocation_pools"] == [{"start": "2001:db8:1::2", "end": "2001:db8:1:0:ffff:ffff:ffff:ffff"}]
    assert made["dns_nameservers"] == ["2001:db8::53"]
    assert made["enable_dhcp"] is True
    assert made["id"] in cloud.openstack("network", "show", network.id)["subnets"]


def test_the_command_line_shows_changes_lists_and_deletes_a_subnet(cloud, network, name):
    made = cloud.openstack(
        "subnet", "create", "--network", network.name, "--ip-version", "6", "--subnet-range", PREFIX, name,
    )
    assert cloud.openstack("subnet", "show", name)["id"] == made["id"]
    cloud.openstack(
        "subnet", "set", "--name", f"{name}-2", "--dns-nameserver", "2001:db8::1:53", name, json_output=False,
    )
    changed = cloud.openstack("subnet", "show", made["id"])
    assert (changed["name"], changed["dns_nameservers"]) == (f"{name}-2", ["2001:db8::1:53"])
    listed = cloud.openstack("subnet", "list", "--network", network.name, "--ip-version", "6")
    assert [(row["ID"], row["Subnet"]) for row in listed] == [(made["id"], PREFIX)]
    cloud.openstack("subnet", "delete", f"{name}-2", json_output=False)
    with pytest.raises(Refused):
        cloud.openstack("subnet", "show", made["id"])


def test_the_command_line_says_what_neutron_would(cloud, network, name):
    with pytest.raises(Refused) as refused:
        cloud.openstack(
            "subnet", "create", "--network", network.name, "--ip-version", "6", "--subnet-range", PREFIX,
            "--ipv6-ra-mode", "slaac", "--ipv6-address-mode", "dhcpv6-stateful", name,
        )
    assert "BadRequestException: 400" in str(refused.value)
    assert "ipv6_ra_mode" in str(refused.value) and "ipv6_address_mode" in str(refused.value)


@pytest.mark.parametrize("attributes, status, error", [
    ({"cidr": "2001:db8:1::/65", "ipv6_address_mode": "slaac"}, 400, "InvalidInput"),
    ({"cidr": "192.0.2.0/24"}, 400, "InvalidInput"),
    ({"cidr": "ff00::/64"}, 400, "InvalidInput"),
    ({"cidr": "not a prefix"}, 400, "HTTPBadRequest"),
    ({"ip_version": 5}, 400, "HTTPBadRequest"),
    ({"ipv6_ra_mode": "perhaps"}, 400, "HTTPBadRequest"),
    ({"enable_dhcp": False, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}, 400, "InvalidInput"),
    ({"gateway_ip": "192.0.2.1"}, 400, "InvalidInput"),
    ({"allocation_pools": [{"start": "2001:db8:9::1", "end": "2001:db8:9::2"}]}, 400, "OutOfBoundsAllocationPool"),
    ({"allocation_pools": [{"start": "2001:db8:1::9", "end": "2001:db8:1::2"}]}, 400, "InvalidAllocationPool"),
    ({"gateway_ip": "2001:db8:1::5",
      "allocation_pools": [{"start": "2001:db8:1::2", "end": "2001:db8:1::9"}]},
     409, "GatewayConflictWithAllocationPools"),
    ({"dns_nameservers": ["2001:db8::1"] * 2}, 400, "HTTPBadRequest"),
    ({"dns_nameservers": [f"2001:db8::{n}" for n in range(1, 12)]}, 400, "DNSNameServersExhausted"),
    ({"host_routes": [{"destination": "::/0", "nexthop": "2001:db8:1::2"}]}, 400, "InvalidInput"),
    ({"network_id": "5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001"}, 404, "NetworkNotFound"),
    ({"shoe": 1}, 400, "HTTPBadRequest"),
])
def test_a_refused_subnet_is_not_made(demo, network, attributes, status, error):
    wanted = {"network_id": network.id, "ip_version": 6, "cidr": PREFIX, **attributes}
    answer = demo.network.post("/subnets", json={"subnet": wanted})
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (status, error), answer.text
    assert list(demo.network.subnets(network_id=network.id)) == []


def test_the_command_line_makes_an_ipv4_subnet_with_routes_and_a_port_on_it(cloud, network, name):
    made = cloud.openstack(
        "subnet", "create", "--network", network.name, "--subnet-range", "192.0.2.0/24", "--dns-nameserver", "192.0.2.9",
        "--host-route", "destination=198.51.100.0/24,gateway=192.0.2.8", name,
    )
    assert (made["ip_version"], made["gateway_ip"], made["enable_dhcp"]) == (4, "192.0.2.1", True)
    assert made["allocation_pools"] == [{"start": "192.0.2.2", "end": "192.0.2.254"}]
    assert made["host_routes"] == [{"destination": "198.51.100.0/24", "nexthop": "192.0.2.8"}]
    assert made["ipv6_ra_mode"] is None and made["ipv6_address_mode"] is None
    port = cloud.openstack("port", "create", "--network", network.name, f"{name}-p")
    assert [fixed["subnet_id"] for fixed in port["fixed_ips"]] == [made["id"]]
    last = int(port["fixed_ips"][0]["ip_address"].removeprefix("192.0.2."))
    assert 2 <= last <= 254
    cloud.openstack("subnet", "set", "--no-host-route", "--gateway", "192.0.2.254", "--no-allocation-pool",
                    "--allocation-pool", "start=192.0.2.2,end=192.0.2.250", name, json_output=False)
    changed = cloud.openstack("subnet", "show", name)
    assert (changed["host_routes"], changed["gateway_ip"]) == ([], "192.0.2.254")


def test_a_network_may_give_later_subnets_to_the_ports_that_there_are(cloud, demo, network, name):
    port = demo.network.create_port(network_id=network.id)
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="192.0.2.0/24")
    assert demo.network.get_port(port.id).fixed_ips == []
    assert demo.network.find_extension("hextet-address-policy").alias == "hextet-address-policy"
    cloud.openstack(
        "network", "set", "--extra-property", "type=str,name=hextet:address_policy,value=all-ports", network.name,
        json_output=False,
    )
    shown = demo.network.get(f"/networks/{network.id}").json()["network"]
    assert shown["hextet:address_policy"] == "all-ports"
    later = demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="198.51.100.0/24")
    [fixed] = demo.network.get_port(port.id).fixed_ips
    assert fixed["subnet_id"] == later.id
    full = demo.network.post("/subnets", json={"subnet": {
        "network_id": network.id, "ip_version": 6, "cidr": PREFIX, "allocation_pools": [],
    }})
    assert (full.status_code, full.json()["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")


def test_prefixes_of_a_network_do_not_overlap_and_those_of_two_may(demo, network, name):
    demo.network.create_subnet(network_id=network.id, ip_version=6, cidr=PREFIX)
    with pytest.raises(openstack.exceptions.BadRequestException) as refused:
        demo.network.create_subnet(network_id=network.id, ip_version=6, cidr="2001:db8:1::/80")
    assert "overlap" in str(refused.value).lower()
    other = demo.network.create_network(name=f"{name}-other")
    subnet = demo.network.create_subnet(network_id=other.id, ip_version=6, cidr=PREFIX)
    demo.network.delete_subnet(subnet)
    demo.network.delete_network(other)


def test_the_modes_and_the_prefix_do_not_change(demo, network):
    subnet = demo.network.create_subnet(
        network_id=network.id, ip_version=6, cidr=PREFIX, ipv6_ra_mode="slaac", ipv6_address_mode="slaac",
    )
    for attribute, value in [("ipv6_ra_mode", "dhcpv6-stateful"), ("cidr", "2001:db8:2::/64")]:
        answer = demo.network.put(f"/subnets/{subnet.id}", json={"subnet": {attribute: value}})
        assert answer.status_code == 400
        assert attribute in answer.json()["NeutronError"]["message"]
    after = demo.network.get_subnet(subnet.id)
    assert (after.ipv6_ra_mode, after.cidr) == ("slaac", PREFIX)


def test_a_stateful_subnet_in_use_is_not_deleted_and_a_slaac_one_is(demo, network):
    def subnet(cidr, mode):
        return demo.network.create_subnet(
            network_id=network.id, ip_version=6, cidr=cidr, ipv6_ra_mode=mode, ipv6_address_mode=mode,
        )

    stateful, slaac = subnet(PREFIX, "dhcpv6-stateful"), subnet("2001:db8:2::/64", "slaac")
    port = demo.network.create_port(network_id=network.id)
    assert {fixed["subnet_id"] for fixed in port.fixed_ips} == {stateful.id, slaac.id}
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        demo.network.delete_subnet(stateful, ignore_missing=False)
    assert "SubnetInUse" in refused.value.response.text
    demo.network.delete_subnet(slaac, ignore_missing=False)
    port = demo.network.get_port(port.id)
    assert [fixed["subnet_id"] for fixed in port.fixed_ips] == [stateful.id]
