"""A cloud of its own for these tests: `hextet up` in a temporary folder, on loopback, judged from outside.

The judges are the unmodified `openstack` command and openstacksdk, set up by nothing but the clouds.yaml that
`hextet up` writes. They are of two ages: `cargo xtask api` runs these tests with the ones of requirements.txt and with
Debian's. What an old client has no words for the tests say by its version. Root is needed, because the agent that `up` starts loads its fast path. Nothing here is skipped: what
cannot run fails and says why.
"""

import importlib.metadata
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import uuid

import openstack
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# How long the cloud may take to come up, seconds.
READY_WITHIN = 60

# How long one command may take, seconds.
COMMAND_WITHIN = 60


def release(package):
    """The installed release of a client, as numbers that compare."""
    return tuple(int(number) for number in importlib.metadata.version(package).split(".")[:2])


# The judges' releases.
SDK = release("openstacksdk")
CLI = release("python-openstackclient")


class Refused(Exception):
    """The command line said no: the message is what it wrote to standard error."""


class Cloud:
    """A running `hextet up`; in a network namespace, if one is named."""

    def __init__(self, directory, listen="[::1]:0", namespace=None):
        self.directory = directory
        self.listen = listen
        self.inside = ["ip", "netns", "exec", namespace] if namespace else []
        self.binary = pathlib.Path(os.environ.get("HEXTET", ROOT / "target/debug/hextet"))
        assert self.binary.exists(), f"{self.binary} is not built: run `cargo build -p hextet`"
        self.log = directory.parent / "up.log"
        self.process = None
        self.url = None
        self.clouds_yaml = None

    def start(self):
        """Starts it and waits for the line that says that it works."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, self.binary, "--dir", self.directory, "up", "--listen", self.listen],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment(),
            )
        lines = queue.Queue()

        def read():
            for line in self.process.stdout:
                lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        try:
            words = lines.get(timeout=READY_WITHIN).split()
        except queue.Empty:
            words = []
        if len(words) != 3 or words[0] != "ready":
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"hextet up did not become ready: {words}\n{self.log.read_text()}")
        self.url, self.clouds_yaml = words[1], pathlib.Path(words[2])

    def stop(self):
        """Ends it as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=COMMAND_WITHIN) == 0, self.log.read_text()

    def take_down(self):
        """Takes everything off this host."""
        down = subprocess.run(
            [*self.inside, self.binary, "--dir", self.directory, "down"],
            capture_output=True, text=True, timeout=COMMAND_WITHIN, env=environment(),
        )
        if self.process.poll() is None:
            try:
                self.process.wait(timeout=COMMAND_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert down.returncode == 0, f"hextet down: {down.stderr}\n{self.log.read_text()}"

    def hextet(self, *words, stdin=None, **variables):
        """Runs our own command line: its text; `Refused` with what it said when it fails."""
        ran = subprocess.run(
            [*self.inside, self.binary, "--dir", self.directory, *words],
            input=stdin, capture_output=True, text=True, timeout=COMMAND_WITHIN, env=environment(**variables),
        )
        if ran.returncode != 0:
            raise Refused(ran.stderr)
        return ran.stdout

    def openstack(self, *words, cloud="hextet-demo", json_output=True, **variables):
        """Runs the real command line. Its JSON, or its text; `Refused` with what it said when it fails. With variables
        that say how to sign in, clouds.yaml is not looked at."""
        command = [*self.inside, pathlib.Path(sys.executable).parent / "openstack", *words]
        if json_output:
            command += ["-f", "json"]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_WITHIN,
            env=environment(**(
                variables or {"OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml), "OS_CLOUD": cloud}
            )),
        )
        if ran.returncode != 0:
            raise Refused(ran.stderr)
        return json.loads(ran.stdout) if json_output else ran.stdout

    def connect(self, cloud="hextet-demo", **overrides):
        """A connection of the SDK. Overrides are members of `auth`."""
        config = openstack.config.OpenStackConfig(
            config_files=[str(self.clouds_yaml)], secure_files=[], vendor_files=[], load_envvars=False,
        )
        region = config.get_one(cloud=cloud)
        region.config["auth"].update(overrides)
        if overrides:
            auth = region.config["auth"]
            return openstack.connection.Connection(auth=auth, region_name=region.region_name)
        return openstack.connection.Connection(config=region)


def environment(**more):
    """This process's environment without what would lead a client elsewhere."""
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith("OS_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "NO_PROXY": "*", **more}


def pytest_report_header():
    return f"judges: openstacksdk {SDK}, python-openstackclient {CLI}"


@pytest.fixture(scope="session", autouse=True)
def no_proxy():
    """The SDK runs in this process."""
    for name in list(os.environ):
        if name.startswith("OS_") or name.lower().endswith("_proxy"):
            del os.environ[name]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory, no_proxy):
    """The cloud that all tests share; each test works with names of its own."""
    cloud = Cloud(tmp_path_factory.mktemp("hextet") / "cloud")
    cloud.start()
    yield cloud
    cloud.take_down()


@pytest.fixture(scope="session")
def demo(cloud):
    """The SDK as the member of project demo."""
    return cloud.connect("hextet-demo")


@pytest.fixture(scope="session")
def admin(cloud):
    """The SDK as the administrator."""
    return cloud.connect("hextet")


@pytest.fixture
def name():
    """A name that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def network(demo, name):
    """A network of project demo, gone afterwards with all that stands on it."""
    network = demo.network.create_network(name=name)
    yield network
    empty(demo, network)


def empty(connection, network):
    """Deletes a network and what stands on it."""
    for port in list(connection.network.ports(network_id=network.id)):
        connection.network.delete_port(port)
    for subnet in list(connection.network.subnets(network_id=network.id)):
        connection.network.delete_subnet(subnet)
    connection.network.delete_network(network)
