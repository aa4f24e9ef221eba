"""A host without IPv4: a network namespace in which not even the loopback has an IPv4 address, with the real clients."""

import json
import os
import subprocess
import sys

import pytest
from conftest import Cloud

ADDRESS = "2001:db8:53::5"


def run(*words):
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{words}: {ran.stderr}"
    return ran.stdout


def get(cloud, path, token):
    """What the server answers to a client inside."""
    asking = "import sys, urllib.request as r; print(r.urlopen(r.Request(sys.argv[1], headers={'X-Auth-Token': sys.argv[2]})).read().decode())"
    return json.loads(run(*cloud.inside, sys.executable, "-c", asking, f"http://[{ADDRESS}]:9696{path}", token))


@pytest.fixture(scope="module")
def alone(tmp_path_factory, no_proxy):
    """A cloud that listens on all addresses of a namespace that has IPv6 ones alone; its clients call a global one."""
    namespace = f"hextet-api-{os.getpid()}-v6"
    run("ip", "netns", "add", namespace)
    try:
        inside = ("ip", "-n", namespace)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "flush", "dev", "lo", "scope", "host")
        run(*inside, "-6", "address", "replace", "::1/128", "dev", "lo")
        run(*inside, "-6", "address", "add", f"{ADDRESS}/128", "dev", "lo")
        addresses = json.loads(run(*inside, "-j", "address"))
        assert {info["family"] for link in addresses for info in link["addr_info"]} == {"inet6"}
        cloud = Cloud(tmp_path_factory.mktemp("v6") / "cloud", listen="[::]:9696", namespace=namespace)
        cloud.start()
        try:
            assert cloud.url == "http://[::]:9696"
            text = cloud.clouds_yaml.read_text()
            assert "auth_url: http://[::]:9696/identity/v3" in text
            cloud.clouds_yaml.write_text(text.replace("[::]", f"[{ADDRESS}]"))
            yield cloud
        finally:
            cloud.take_down()
    finally:
        run("ip", "netns", "delete", namespace)


def test_the_clients_work_and_every_address_they_are_told_has_its_brackets(alone):
    base = f"http://[{ADDRESS}]:9696"
    catalog = {service["Type"]: service for service in alone.openstack("catalog", "list")}
    for kind, url in {"network": base, "identity": f"{base}/identity"}.items():
        assert {endpoint["url"] for endpoint in catalog[kind]["Endpoints"]} == {url}
    names = ["six-a", "six-b", "six-c"]
    for name in names:
        alone.openstack("network", "create", name)
    assert sorted(row["Name"] for row in alone.openstack("network", "list")) == names
    projects = alone.hextet("identity", "project", "list", "--format", "json")
    assert {project["links"]["self"].split("/identity")[0] for project in json.loads(projects)} == {base}


def test_the_links_of_pages_have_brackets(alone):
    token = alone.openstack("token", "issue")["id"]
    page = get(alone, "/v2.0/networks?limit=1", token)
    assert page["networks_links"][0]["href"].startswith(f"http://[{ADDRESS}]:9696/v2.0/networks?")
    versions = get(alone, "/", token)
    assert versions["versions"][0]["links"][0]["href"] == f"http://[{ADDRESS}]:9696/v2.0/"
