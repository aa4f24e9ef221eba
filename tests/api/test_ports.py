"""Ports and their addresses."""

import ipaddress

import openstack
import pytest
from conftest import Refused
from test_subnets import eui64

SLAAC, STATEFUL = "2001:db8:a::/64", "2001:db8:b::/64"


@pytest.fixture
def subnets(demo, network):
    """A SLAAC subnet and a stateful one."""
    def make(cidr, mode):
        return demo.network.create_subnet(
            network_id=network.id, ip_version=6, cidr=cidr, ipv6_ra_mode=mode, ipv6_address_mode=mode,
        )

    return make(SLAAC, "slaac"), make(STATEFUL, "dhcpv6-stateful")


def by_subnet(port):
    """The addresses of a port by subnet."""
    return {fixed["subnet_id"]: fixed["ip_address"] for fixed in port["fixed_ips"]}


def test_the_command_line_makes_shows_changes_lists_and_deletes_a_port(cloud, network, subnets, name):
    slaac, stateful = subnets
    made = cloud.openstack("port", "create", "--network", network.name, name)
    assert (made["name"], made["status"], made["network_id"]) == (name, "DOWN", network.id)
    assert made["security_group_ids"] == []
    addresses = by_subnet(made)
    assert ipaddress.ip_address(addresses[slaac.id]) == eui64(SLAAC, made["mac_address"])
    assert ipaddress.ip_address(addresses[stateful.id]) in ipaddress.ip_network(STATEFUL)

    assert cloud.openstack("port", "show", name)["id"] == made["id"]
    listed = cloud.openstack("port", "list", "--network", network.name)
    assert [row["ID"] for row in listed] == [made["id"]]
    assert listed[0]["MAC Address"] == made["mac_address"]
    assert listed[0]["Fixed IP Addresses"] == made["fixed_ips"]

    cloud.openstack("port", "set", "--name", f"{name}-2", "--disable", name, json_output=False)
    changed = cloud.openstack("port", "show", made["id"])
    assert changed["name"] == f"{name}-2" and changed["admin_state_up"] in (False, "DOWN")
    assert changed["fixed_ips"] == made["fixed_ips"]
    cloud.openstack("port", "delete", f"{name}-2", json_output=False)
    with pytest.raises(Refused) as refused:
        cloud.openstack("port", "show", made["id"])
    assert made["id"] in str(refused.value)


def test_the_command_line_gives_and_changes_dhcp_options(cloud, demo, network, name):
    def options(port):
        return sorted(
            (option["ip_version"], option["opt_name"], option["opt_value"]) for option in port["extra_dhcp_opts"]
        )

    url = "tftp://[2001:db8::69]/x.efi"
    made = cloud.openstack(
        "port", "create", "--network", network.name,
        "--extra-dhcp-option", "name=bootfile-name,value=pxelinux.0",
        "--extra-dhcp-option", f"name=bootfile-url,value={url},ip-version=6", name,
    )
    assert options(made) == [(4, "bootfile-name", "pxelinux.0"), (6, "bootfile-url", url)]
    cloud.openstack(
        "port", "set", "--extra-dhcp-option", "name=bootfile-name,value=pxelinux.77",
        "--extra-dhcp-option", "name=server-ip-address,value=192.0.2.69", name, json_output=False,
    )
    # The command line cannot take one away: the SDK says null.
    gone = {"opt_name": "bootfile-url", "opt_value": None, "ip_version": 6}
    demo.network.update_port(made["id"], extra_dhcp_opts=[gone])
    shown = cloud.openstack("port", "show", name)
    assert options(shown) == [(4, "bootfile-name", "pxelinux.77"), (4, "server-ip-address", "192.0.2.69")]
    with pytest.raises(Refused) as refused:
        cloud.openstack("port", "set", "--extra-dhcp-option", "name=mtu,value=9", name, json_output=False)
    assert "a number of 68 to 65535" in str(refused.value)


def test_the_command_line_gives_and_takes_addresses(cloud, network, subnets, name):
    _, stateful = subnets
    wanted = "2001:db8:b::77"
    made = cloud.openstack(
        "port", "create", "--network", network.name, "--fixed-ip", f"subnet={stateful.id},ip-address={wanted}", name,
    )
    assert by_subnet(made)[stateful.id] == wanted
    cloud.openstack(
        "port", "set", "--no-fixed-ip", "--fixed-ip", f"subnet={stateful.id},ip-address=2001:db8:b::78", name,
        json_output=False,
    )
    assert by_subnet(cloud.openstack("port", "show", name))[stateful.id] == "2001:db8:b::78"


def test_a_slaac_subnet_added_later_gives_every_port_its_address(demo, network):
    port = demo.network.create_port(network_id=network.id)
    assert port.fixed_ips == []
    subnet = demo.network.create_subnet(
        network_id=network.id, ip_version=6, cidr=SLAAC, ipv6_ra_mode="slaac", ipv6_address_mode="slaac",
    )
    after = demo.network.get_port(port.id)
    assert by_subnet(after) == {subnet.id: str(eui64(SLAAC, port.mac_address))}


def test_a_given_mac_decides_the_address_and_is_one_ports_alone(demo, network, subnets):
    slaac, _ = subnets
    port = demo.network.create_port(network_id=network.id, mac_address="fa:16:3e:00:00:01")
    assert by_subnet(port)[slaac.id] == "2001:db8:a:0:f816:3eff:fe00:1"
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        demo.network.create_port(network_id=network.id, mac_address="FA:16:3E:00:00:01")
    assert "MacAddressInUse" in refused.value.response.text


def test_an_address_is_one_ports_alone_until_that_port_is_gone(demo, network, subnets):
    _, stateful = subnets
    fixed = [{"subnet_id": stateful.id, "ip_address": "2001:db8:b::42"}]
    first = demo.network.create_port(network_id=network.id, fixed_ips=fixed)
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        demo.network.create_port(network_id=network.id, fixed_ips=fixed)
    assert "IpAddressAlreadyAllocated" in refused.value.response.text
    demo.network.delete_port(first)
    second = demo.network.create_port(network_id=network.id, fixed_ips=fixed)
    assert by_subnet(second)[stateful.id] == "2001:db8:b::42"


@pytest.mark.parametrize("attributes, status, error", [
    ({"fixed_ips": [{"ip_address": "2001:db8:ffff::1"}]}, 400, "InvalidIpForNetwork"),
    ({"fixed_ips": [{"subnet_id": "STATEFUL", "ip_address": "2001:db8:a::1"}]}, 400, "InvalidIpForSubnet"),
    ({"fixed_ips": [{"subnet_id": "SLAAC", "ip_address": "2001:db8:a::1"}]}, 400, "AllocationOnAutoAddressSubnet"),
    ({"fixed_ips": [{"subnet_id": "5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001"}]}, 404, "SubnetNotFound"),
    ({"mac_address": "not a mac"}, 400, "HTTPBadRequest"),
    ({"network_id": "5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001"}, 404, "NetworkNotFound"),
    ({"security_groups": ["5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001"]}, 400, "HTTPBadRequest"),
    ({"allowed_address_pairs": [{"ip_address": "2001:db8::/32"}]}, 400, "HTTPBadRequest"),
    ({"port_security_enabled": "shut"}, 400, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "lease-time", "opt_value": "60"}]}, 400, "InvalidInput"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]}, 400, "HTTPBadRequest"),
    ({"shoe": 1}, 400, "HTTPBadRequest"),
])
def test_a_refused_port_is_not_made(demo, network, subnets, attributes, status, error):
    ids = {"SLAAC": subnets[0].id, "STATEFUL": subnets[1].id}
    for fixed in attributes.get("fixed_ips", []):
        if fixed.get("subnet_id") in ids:
            fixed["subnet_id"] = ids[fixed["subnet_id"]]
    wanted = {"network_id": network.id, **attributes}
    answer = demo.network.post("/ports", json={"port": wanted})
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (status, error), answer.text
    assert list(demo.network.ports(network_id=network.id)) == []


def test_a_full_subnet_says_so(demo, network):
    demo.network.create_subnet(
        network_id=network.id, ip_version=6, cidr="2001:db8:c::/126",
        ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful",
    )
    # ::0 is the network, ::1 the gateway.
    taken = {demo.network.create_port(network_id=network.id).fixed_ips[0]["ip_address"] for _ in range(2)}
    assert taken == {"2001:db8:c::2", "2001:db8:c::3"}
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        demo.network.create_port(network_id=network.id)
    assert "IpAddressGenerationFailure" in refused.value.response.text


def test_filters_of_ports(demo, network, subnets):
    slaac, stateful = subnets
    first = demo.network.create_port(network_id=network.id, name="first", device_id="vm-1")
    second = demo.network.create_port(network_id=network.id, name="second", device_id="vm-2")

    def ids(**filters):
        return {port.id for port in demo.network.ports(network_id=network.id, **filters)}

    assert ids() == {first.id, second.id}
    assert ids(device_id="vm-1") == {first.id}
    assert ids(name="second") == {second.id}
    assert ids(mac_address=first.mac_address.upper()) == {first.id}
    assert ids(fixed_ips=f"ip_address={by_subnet(second)[stateful.id]}") == {second.id}
    assert ids(fixed_ips=f"subnet_id={slaac.id}") == {first.id, second.id}
    assert ids(status="ACTIVE") == set()


def test_ports_made_in_one_request_are_all_made_or_none(demo, network, subnets):
    _, stateful = subnets
    address = [{"subnet_id": stateful.id, "ip_address": "2001:db8:b::9"}]
    same = {"network_id": network.id, "fixed_ips": address}
    assert demo.network.post("/ports", json={"ports": [same, same]}).status_code == 409
    assert list(demo.network.ports(network_id=network.id)) == []
    two = {"ports": [{"network_id": network.id}, {"network_id": network.id}]}
    assert demo.network.post("/ports", json=two).status_code == 201


def test_ports_are_found_by_a_part_of_an_address_and_by_when_they_changed(cloud, demo, network):
    demo.network.create_subnet(network_id=network.id, ip_version=6, cidr="2001:db8:77::/64")
    fixed = [{"ip_address": f"2001:db8:77::{part}"} for part in ("abc:1", "def:1")]
    first, second = [demo.network.create_port(network_id=network.id, fixed_ips=[one]) for one in fixed]
    rows = cloud.openstack("port", "list", "--network", network.id, "--fixed-ip", "ip-substring=77::abc")
    assert [row["ID"] for row in rows] == [first.id]

    def since(time):
        answer = demo.network.get(f"/ports?network_id={network.id}&changed_since={time}")
        return {port["id"] for port in answer.json()["ports"]}

    assert since(first.updated_at) == {first.id, second.id}
    assert since("2999-01-01T00:00:00Z") == set()
