"""A cloud of its own for the tests of the server's edge: `hextet up` in a temporary folder, on loopback.

Its server.toml and agent.toml are written before the first start, so that the metrics have addresses. Root is needed, because the agent
that `up` starts loads its fast path. Nothing here is skipped: what cannot run fails and says why.
"""

import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tomllib
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# How long a process or a request may take, seconds.
WITHIN = 60

# Descriptors of this process: the idle connections, and some.
DESCRIPTORS = 4096

SERVER_TOML = """
listen = "[::1]:{api}"
database = "sqlite:{dir}/hextet.db"
metrics_listen = "[::1]:{metrics}"
log_format = "json"

[feed]
address_file = "{dir}/run/feed.addr"

[feed.tls]
ca = "{dir}/tls/ca.pem"
cert = "{dir}/tls/server.pem"
key = "{dir}/tls/server.key"

[identity]
accounts = "{dir}/identity.toml"
"""


def free_ports(count):
    """Ports of loopback that are free now."""
    sockets = [socket.create_server(("::1", 0), family=socket.AF_INET6) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


AGENT_TOML = """
host = "edge"
state_dir = "{dir}/agent"
socket = "{dir}/run/agent.sock"
instance = "edge-{agent_metrics}"
metrics_listen = "[::1]:{agent_metrics}"

[server]
address_file = "{dir}/run/feed.addr"
ca = "{dir}/tls/ca.pem"
cert = "{dir}/tls/agent.pem"
key = "{dir}/tls/agent.key"
"""


class Cloud:
    """A running `hextet up`."""

    def __init__(self, directory):
        self.directory = directory
        self.binary = pathlib.Path(os.environ.get("HEXTET", ROOT / "target/debug/hextet"))
        assert self.binary.exists(), f"{self.binary} is not built: run `cargo build -p hextet`"
        self.log = directory.parent / "up.log"
        api, metrics, agent_metrics = free_ports(3)
        self.address, self.url = ("::1", api), f"http://[::1]:{api}"
        self.metrics_url = f"http://[::1]:{metrics}/metrics"
        self.agent_metrics_url = f"http://[::1]:{agent_metrics}/metrics"
        self.config = directory / "server.toml"
        directory.mkdir()
        self.config.write_text(SERVER_TOML.format(api=api, metrics=metrics, dir=directory))
        agent = AGENT_TOML.format(agent_metrics=agent_metrics, dir=directory)
        (directory / "agent.toml").write_text(agent)
        self.process = None

    def start(self):
        """Starts it and waits for the line that says that it works."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "--dir", self.directory, "up"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )
        line = self.process.stdout.readline()
        assert line.startswith("ready "), f"{line}\n{self.log.read_text()}"

    def take_down(self):
        """Ends it, and takes everything off this host."""
        down = subprocess.run(
            [self.binary, "--dir", self.directory, "down"], capture_output=True, text=True, timeout=WITHIN,
        )
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=WITHIN)
        assert down.returncode == 0, f"hextet down: {down.stderr}\n{self.log.read_text()}"

    def ask(self, path, token=None, method="GET", body=None, url=None):
        """Status, headers and body of a request."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request((url or self.url) + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=WITHIN) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read().decode()

    def token(self, name):
        """A token of one of the first accounts."""
        accounts = tomllib.loads((self.directory / "identity.toml").read_text())["user"]
        user = next(user for user in accounts if user["name"] == name)
        status, headers, body = self.log_in(name, user["password"], user["project"])
        assert status == 201, body
        return headers["X-Subject-Token"]

    def log_in(self, name, password, project):
        """The answer to a login."""
        domain = {"id": "default"}
        user = {"name": name, "password": password, "domain": domain}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": domain}},
        }
        return self.ask("/identity/v3/auth/tokens", method="POST", body={"auth": auth})


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    """The cloud that all tests share."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    cloud = Cloud(tmp_path_factory.mktemp("hextet") / "cloud")
    cloud.start()
    yield cloud
    cloud.take_down()
