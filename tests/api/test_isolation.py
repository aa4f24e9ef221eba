"""What one project cannot learn of another, or do to it."""

import openstack
import pytest
from conftest import Refused, empty


@pytest.fixture
def foreign(admin, name):
    """A network of project admin with a subnet and a port."""
    network = admin.network.create_network(name=f"{name}-foreign")
    subnet = admin.network.create_subnet(
        network_id=network.id, ip_version=6, cidr="2001:db8:f::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac",
    )
    port = admin.network.create_port(network_id=network.id, name=f"{name}-foreign")
    yield network, subnet, port
    empty(admin, network)


def test_another_projects_things_are_not_there(demo, foreign):
    network, subnet, port = foreign
    for collection, item in [("networks", network), ("subnets", subnet), ("ports", port)]:
        listed = demo.network.get(f"/{collection}").json()[collection]
        assert item.id not in {found["id"] for found in listed}
        assert demo.network.get(f"/{collection}?id={item.id}").json()[collection] == []
        path = f"/{collection}/{item.id}"
        body = {collection[:-1]: {"name": "mine"}}
        for answer in (demo.network.get(path), demo.network.put(path, json=body), demo.network.delete(path)):
            assert answer.status_code == 404
            unknown = demo.network.get(f"/{collection}/5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001")
            assert answer.json()["NeutronError"]["type"] == unknown.json()["NeutronError"]["type"]


def test_nothing_is_put_on_another_projects_network(admin, demo, foreign):
    network, subnet, port = foreign
    attempts = [
        ("/ports", {"port": {"network_id": network.id}}),
        ("/subnets", {"subnet": {"network_id": network.id, "ip_version": 6, "cidr": "2001:db8:e::/64"}}),
    ]
    for path, body in attempts:
        answer = demo.network.post(path, json=body)
        assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (404, "NetworkNotFound")
    assert [found.id for found in admin.network.ports(network_id=network.id)] == [port.id]
    assert [found.id for found in admin.network.subnets(network_id=network.id)] == [subnet.id]


def test_the_command_line_of_another_project_finds_nothing(cloud, foreign):
    network, _, _ = foreign
    assert network.id not in {row["ID"] for row in cloud.openstack("network", "list")}
    for word in (network.name, network.id):
        with pytest.raises(Refused) as refused:
            cloud.openstack("network", "show", word)
        assert "No Network found" in str(refused.value)


def test_a_member_makes_nothing_for_another_project(admin, demo, name):
    wanted = {"name": name, "project_id": admin.current_project_id}
    answer = demo.network.post("/networks", json={"network": wanted})
    assert answer.status_code in (400, 403)
    assert list(admin.network.networks(name=name)) == []


def test_the_administrator_sees_all_and_makes_for_any(cloud, admin, demo, network, name):
    assert network.id in {found.id for found in admin.network.networks()}
    assert admin.network.get_network(network.id).name == network.name
    made = cloud.openstack("network", "create", "--project", "demo", f"{name}-given", cloud="hextet")
    assert made["project_id"] == demo.current_project_id
    assert demo.network.get_network(made["id"]).id == made["id"]
    demo.network.delete_network(made["id"])


def test_the_providers_side_is_shown_to_administrators_alone(admin, demo, network):
    hidden = {"provider:network_type", "provider:segmentation_id", "provider:physical_network"}
    assert not hidden & set(demo.network.get(f"/networks/{network.id}").json()["network"])
    shown = admin.network.get(f"/networks/{network.id}").json()["network"]
    assert hidden <= set(shown)
    assert shown["provider:network_type"] == "vxlan"

    port = demo.network.create_port(network_id=network.id)
    hidden = {"hextet:address_conflicts", "binding:host_id", "binding:vif_type", "binding:profile", "binding:vif_details"}
    assert not hidden & set(demo.network.get(f"/ports/{port.id}").json()["port"])
    assert hidden <= set(admin.network.get(f"/ports/{port.id}").json()["port"])
    refused = demo.network.put(f"/ports/{port.id}", json={"port": {"binding:host_id": "somewhere"}})
    assert refused.status_code == 403
    assert admin.network.get_port(port.id).binding_host_id == ""
