"""Networks, version discovery, extensions."""

import json
import urllib.request

import openstack
import pytest
from conftest import SDK, Refused

# What works; anything listed beyond it would be a promise.
EXTENSIONS = {
    "binding", "data-plane-status", "empty-string-filtering", "extra_dhcp_opt", "filter-validation",
    "hextet-address-policy", "hextet-fast-dad", "hextet-observed-addresses", "hextet-unknown-dhcp-opts",
    "ip-substring-filtering", "ip_allocation", "l2_adjacency", "net-mtu", "net-mtu-writable",
    "network-ip-availability", "network-ip-availability-details", "pagination", "port-mac-address-regenerate",
    "port-security",
    "project-id", "provider", "quota-check-limit", "quota-check-limit-default", "quota_details", "quotas",
    "revision-if-match", "sorting", "standard-attr-description", "standard-attr-revisions", "standard-attr-tag",
    "standard-attr-timestamp", "subnet-external-network", "subnet-service-types", "tag-creation",
    "tag-ports-during-bulk-creation",
}


def test_versions_are_told_without_a_token(cloud):
    with urllib.request.urlopen(f"{cloud.url}/") as answer:
        versions = json.load(answer)["versions"]
    assert [(version["id"], version["status"]) for version in versions] == [("v2.0", "CURRENT")]
    assert versions[0]["links"][0]["href"] == f"{cloud.url}/v2.0/"


def test_the_extension_list_holds_what_works(cloud, demo):
    listed = cloud.openstack("extension", "list", "--network")
    assert {extension["Alias"] for extension in listed} == EXTENSIONS
    assert demo.network.find_extension("net-mtu").alias == "net-mtu"
    assert demo.network.find_extension("router") is None


def test_the_command_line_makes_shows_changes_lists_and_deletes_a_network(cloud, name):
    made = cloud.openstack("network", "create", name)
    assert (made["name"], made["status"], made["mtu"], made["subnets"]) == (name, "ACTIVE", 1430, [])
    assert made["admin_state_up"] in (True, "UP") and made["shared"] is False
    by_name = cloud.openstack("network", "show", name)
    assert by_name["id"] == made["id"]
    assert cloud.openstack("network", "show", made["id"])["name"] == name

    cloud.openstack("network", "set", "--description", "of a test", name, json_output=False)
    assert cloud.openstack("network", "show", name)["description"] == "of a test"
    cloud.openstack("network", "set", "--name", f"{name}-2", "--mtu", "1400", "--disable", name, json_output=False)
    changed = cloud.openstack("network", "show", made["id"])
    assert (changed["name"], changed["mtu"]) == (f"{name}-2", 1400)
    assert changed["admin_state_up"] in (False, "DOWN")
    assert changed["revision_number"] > made["revision_number"]

    assert made["id"] in {row["ID"] for row in cloud.openstack("network", "list")}
    rows = cloud.openstack("network", "list", "--name", f"{name}-2")
    assert [row["ID"] for row in rows] == [made["id"]]
    assert cloud.openstack("network", "list", "--name", name) == []
    cloud.openstack("network", "delete", f"{name}-2", json_output=False)
    with pytest.raises(Refused) as refused:
        cloud.openstack("network", "show", made["id"])
    assert made["id"] in str(refused.value)


def test_filters_and_fields_of_the_sdk(demo, network):
    def ids(**filters):
        return {found.id for found in demo.network.networks(**filters)}

    assert network.id in ids()
    if SDK > (0, 101):
        assert ids(id=network.id) == {network.id}
    else:
        with pytest.raises(openstack.exceptions.InvalidResourceQuery):
            ids(id=network.id)
    assert ids(name=network.name, is_admin_state_up=True) == {network.id}
    assert ids(name=network.name, is_admin_state_up=False) == set()
    assert network.id in ids(project_id=network.project_id)
    assert ids(project_id="nobody") == set()
    shown = demo.network.get(f"/networks/{network.id}?fields=id&fields=mtu").json()["network"]
    assert shown == {"id": network.id, "mtu": 1430}
    refused = demo.network.get("/networks?shoe=1")
    assert refused.status_code == 400
    assert refused.json()["NeutronError"]["type"] == "HTTPBadRequest"


def test_the_sdk_reads_a_sorted_list_page_by_page(demo, network):
    made = [demo.network.create_port(network_id=network.id, name=letter) for letter in "dacbe"]
    answers = []
    by_name = {"sort_key": "name", "sort_dir": "desc"} if SDK > (0, 101) else {}
    pages = [port.name for port in demo.network.ports(network_id=network.id, limit=2, **by_name)]
    assert (pages if by_name else sorted(pages, reverse=True)) == ["e", "d", "c", "b", "a"]
    path = f"/ports?network_id={network.id}&limit=2"
    while path:
        answer = demo.network.get(path).json()
        answers.append([port["id"] for port in answer["ports"]])
        links = {link["rel"]: link["href"] for link in answer["ports_links"]}
        path = links.get("next")
    assert [len(page) for page in answers] == [2, 2, 1]
    assert sum(answers, []) == sorted(port.id for port in made)
    unsorted = demo.network.get("/ports?sort_key=fixed_ips&sort_dir=asc")
    assert (unsorted.status_code, unsorted.json()["NeutronError"]["type"]) == (400, "HTTPBadRequest")


def test_the_command_line_and_the_sdk_tag_networks_subnets_and_ports(cloud, demo, network):
    subnet = demo.network.create_subnet(network_id=network.id, ip_version=6, cidr="2001:db8::/64")
    port = cloud.openstack("port", "create", "--network", network.id, "--tag", "born", f"{network.name}-p")
    assert port["tags"] == ["born"]
    tag = network.name
    for noun, thing in [("network", network.id), ("subnet", subnet.id), ("port", port["id"])]:
        cloud.openstack(noun, "set", "--tag", tag, "--tag", "blue", thing, json_output=False)
        assert set(cloud.openstack(noun, "show", thing)["tags"]) >= {tag, "blue"}
        rows = cloud.openstack(noun, "list", "--tags", f"{tag},blue")
        assert [row["ID"] for row in rows] == [thing]
        assert cloud.openstack(noun, "list", "--tags", tag, "--not-tags", "blue") == []
        cloud.openstack(noun, "unset", "--tag", "blue", thing, json_output=False)
        assert "blue" not in cloud.openstack(noun, "show", thing)["tags"]
    made = cloud.openstack("network", "create", "--tag", "fresh", f"{tag}-2")
    assert cloud.openstack("network", "show", made["id"])["tags"] == ["fresh"]
    cloud.openstack("network", "delete", made["id"], json_output=False)
    demo.network.set_tags(network, ["x", "y"])
    assert sorted(demo.network.get_network(network).tags) == ["x", "y"]
    if SDK > (0, 101):
        demo.network.remove_all_tags(network)
    else:
        network.remove_all_tags(demo.network)
    assert demo.network.get_network(network).tags == []


@pytest.mark.parametrize("attributes, error", [
    ({"mtu": 1431}, "InvalidInput"),
    ({"name": "x" * 256}, "HTTPBadRequest"),
    ({"admin_state_up": "perhaps"}, "HTTPBadRequest"),
    ({"shoe": 1}, "HTTPBadRequest"),
    ({"id": "5a1a4b8e-6f3a-4a39-8c58-0a7d1e0f0001"}, "HTTPBadRequest"),
])
def test_a_refused_network_is_not_made_and_the_attribute_is_named(demo, name, attributes, error):
    wanted = {"name": name, **attributes}
    answer = demo.network.post("/networks", json={"network": wanted})
    assert answer.status_code == 400
    body = answer.json()["NeutronError"]
    assert body["type"] == error
    assert next(iter(attributes)) in body["message"].lower()
    assert [network for network in demo.network.networks() if network.name == wanted["name"]] == []


@pytest.mark.parametrize("ip_version, cidr, least", [(4, "192.0.2.0/24", 68), (6, "2001:db8::/64", 1280)])
def test_a_network_too_small_for_a_subnet_gets_none_and_one_with_a_subnet_no_such_mtu(
        demo, network, ip_version, cidr, least):
    demo.network.update_network(network, mtu=least - 1)
    subnet = {"network_id": network.id, "ip_version": ip_version, "cidr": cidr}
    small = demo.network.post("/subnets", json={"subnet": subnet})
    demo.network.update_network(network, mtu=least)
    demo.network.create_subnet(**subnet)
    shrunk = demo.network.put(f"/networks/{network.id}", json={"network": {"mtu": least - 1}})
    for refused in (small, shrunk):
        assert (refused.status_code, refused.json()["NeutronError"]["type"]) == (409, "NetworkMTUSubnetConflict")
    assert demo.network.get_network(network.id).mtu == least


def test_what_does_not_work_yet_is_refused_by_name(demo, name):
    for attribute, value in [("shared", True), ("router:external", True), ("qos_policy_id", "x"), ("tags", ["a"])]:
        answer = demo.network.post("/networks", json={"network": {"name": name, attribute: value}})
        assert answer.status_code in (400, 403), attribute
        assert attribute in answer.json()["NeutronError"]["message"]
    for path in ("/routers", "/security-groups", "/floatingips", "/subnetpools"):
        assert demo.network.get(path).status_code == 404


def test_networks_made_in_one_request_are_all_made_or_none(demo, name):
    both = {"networks": [{"name": f"{name}-a"}, {"name": f"{name}-b"}]}
    made = demo.network.post("/networks", json=both)
    assert made.status_code == 201
    for network in made.json()["networks"]:
        demo.network.delete_network(network["id"])
    one_bad = {"networks": [{"name": name}, {"name": name, "mtu": 65536}]}
    assert demo.network.post("/networks", json=one_bad).status_code == 400
    assert list(demo.network.networks(name=name)) == []


def test_a_stale_revision_is_refused(demo, network):
    stale = f"revision_number={network.revision_number + 7}"
    refused = demo.network.put(
        f"/networks/{network.id}", json={"network": {"name": "x"}}, headers={"If-Match": stale},
    )
    assert refused.status_code == 412
    assert refused.json()["NeutronError"]["type"] == "RevisionNumberConstraintFailed"
    assert demo.network.get_network(network.id).name == network.name


def test_a_network_with_a_port_is_not_deleted(demo, network):
    demo.network.create_port(network_id=network.id)
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        demo.network.delete_network(network)
    assert "NetworkInUse" in str(refused.value.response.text)
    assert demo.network.get_network(network.id).id == network.id
