"""What clients of the API are shown of a real guest's own addresses. A cloud in a network namespace of its own, and a guest
in another."""

import json
import os
import subprocess
import sys
import time

import pytest
from conftest import SDK, Cloud, environment
from test_ipv6_only import run

OBSERVED = "hextet:observed_addresses"
PREFIX = "2001:db8:9"
# The guest forms it; it asks nobody.
FORMED = f"{PREFIX}::7:1"

# How long the guest and the host may take, seconds.
WITHIN = 90

# Runs where the cloud is: the SDK's answers to these questions, each a path, then what its own object has.
ASKING = """
import json, sys
import openstack
files = {"config_files": [sys.argv[1]], "secure_files": [], "vendor_files": []}
config = openstack.config.OpenStackConfig(load_envvars=False, **files)
network = openstack.connection.Connection(config=config.get_one(cloud="hextet-demo")).network
told = [network.get(path) for path in sys.argv[3:]]
port = network.get_port(sys.argv[2]).to_dict()
print(json.dumps([[answer.status_code, answer.json()] for answer in told] + [port]))
"""


@pytest.fixture
def host(tmp_path, no_proxy):
    """A cloud, and the name of an empty namespace for a guest."""
    namespace, guest = (f"hextet-api-{os.getpid()}-{role}" for role in ("host", "guest"))
    made = []
    try:
        for name in (namespace, guest):
            run("ip", "netns", "add", name)
            made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        cloud = Cloud(tmp_path / "cloud", namespace=namespace)
        cloud.start()
        try:
            yield cloud, guest
        finally:
            cloud.take_down()
    finally:
        for name in made:
            run("ip", "netns", "delete", name)


def sdk(cloud, port, *paths):
    """What the SDK is told at these paths, and the port as its own object has it."""
    ran = subprocess.run(
        [*cloud.inside, sys.executable, "-c", ASKING, cloud.clouds_yaml, port, *paths],
        capture_output=True, text=True, timeout=WITHIN, check=False, env=environment(),
    )
    assert ran.returncode == 0, ran.stderr
    *told, port = json.loads(ran.stdout)
    return told, port


def test_the_clients_read_which_addresses_a_guest_formed_and_are_told_that_they_filter_nothing(host):
    cloud, guest = host
    cloud.openstack("network", "create", "net")
    cloud.openstack(
        "subnet", "create", "--network", "net", "--ip-version", "6", "--subnet-range", f"{PREFIX}::/64",
        "--ipv6-ra-mode", "slaac", "--ipv6-address-mode", "slaac", "subnet",
    )
    port = cloud.openstack("port", "create", "--network", "net", "one")["id"]
    cloud.hextet("port", "attach", "one", "--netns", guest)
    run("ip", "-n", guest, "address", "add", f"{FORMED}/64", "dev", "eth0")

    path = f"/ports/{port}"
    until = time.monotonic() + WITHIN
    shown = {}
    while not shown.get(OBSERVED):
        assert time.monotonic() < until, f"the API never shows {FORMED}: {shown}"
        [[_, shown]], _ = sdk(cloud, port, path)
        shown = shown["port"]
    assert [entry["ip_address"] for entry in shown[OBSERVED]] == [FORMED]
    assert [fixed["ip_address"] for fixed in shown["fixed_ips"]] != [FORMED]

    member, collection, filtered = f"{path}?fields={OBSERVED}", f"/ports?fields={OBSERVED}", f"/ports?{OBSERVED}={FORMED}"
    told, known = sdk(cloud, port, member, collection, filtered)
    only = {OBSERVED: shown[OBSERVED]}
    assert told[:2] == [[200, {"port": only}], [200, {"ports": [only]}]]
    status, refusal = told[2]
    assert (status, refusal["NeutronError"]["type"]) == (400, "HTTPBadRequest")
    assert OBSERVED in refusal["NeutronError"]["message"]
    # Today's SDK has in its own objects what it has no name for, too; Debian's and the command line leave it out.
    assert known.get(OBSERVED) == (shown[OBSERVED] if SDK >= (4, 0) else None)
    assert FORMED not in json.dumps(cloud.openstack("port", "show", "one"))
