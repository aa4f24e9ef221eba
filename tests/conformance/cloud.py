"""A server of its own for the judges: `hextet server` on loopback, on a database that nobody else has."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import tomllib
import urllib.error
import urllib.request

# How long the server may take until it answers, and to end, seconds.
READY_WITHIN = 60

# The region of the catalogue.
REGION = "RegionOne"

# What leaves networks with the 1500 bytes that the judges take for granted.
UNDERLAY_MTU_BYTES = 1570

# What the feed is served with. No agent comes, but a server does not start without.
CERTIFICATE_NAME = "hextet-server"


class Cloud:
    """A running server and how to sign in."""

    def __init__(self, binary, directory, database=None):
        self.binary = pathlib.Path(binary)
        self.directory = pathlib.Path(directory)
        self.database = database or f"sqlite:{self.directory}/hextet.db"
        self.log = self.directory / "server.log"
        self.process = None
        self.url = None
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self):
        """Writes the files of a server, starts it and waits until it answers."""
        self.directory.mkdir(parents=True)
        self._make_certificate()
        port = free_port()
        self.url = f"http://[::1]:{port}"
        config = self.directory / "server.toml"
        config.write_text(
            f'listen = "[::1]:{port}"\n'
            f'database = "{self.database}"\n'
            f"underlay_mtu = {UNDERLAY_MTU_BYTES}\n"
            f'[feed.tls]\nca = "{self.directory}/tls.pem"\n'
            f'cert = "{self.directory}/tls.pem"\nkey = "{self.directory}/tls.key"\n'
            f'[identity]\naccounts = "{self.directory}/identity.toml"\n'
        )
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "server", "--config", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
            )
        self._wait_until_it_answers()

    def _make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", f"/CN={CERTIFICATE_NAME}", "-addext", f"subjectAltName=DNS:{CERTIFICATE_NAME}",
             "-keyout", self.directory / "tls.key", "-out", self.directory / "tls.pem"],
            check=True, capture_output=True,
        )

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended ({self.process.returncode}):\n{self.log.read_text()}")
            try:
                self.opener.open(self.url, timeout=1)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"the server did not answer:\n{self.log.read_text()}") from None
                time.sleep(0.05)

    def stop(self):
        """Ends it as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=READY_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not end when it was told to") from None

    @property
    def auth_url(self):
        return f"{self.url}/identity/v3"

    def administrator(self):
        """Name, password and project of the first administrator, from the file that the server wrote."""
        accounts = tomllib.loads((self.directory / "identity.toml").read_text())
        return next(user for user in accounts["user"] if user["role"] == "admin")

    def token(self):
        """A token of the administrator."""
        admin = self.administrator()
        domain = {"name": "Default"}
        user = {"name": admin["name"], "password": admin["password"], "domain": domain}
        scope = {"project": {"name": admin["project"], "domain": domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        request = urllib.request.Request(
            f"{self.auth_url}/auth/tokens", headers={"Content-Type": "application/json"},
            data=json.dumps({"auth": {"identity": identity, "scope": scope}}).encode(),
        )
        with self.opener.open(request) as answer:
            return answer.headers["X-Subject-Token"]


def free_port():
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        return listener.getsockname()[1]


def environment(**more):
    """This process's environment without what would lead a client elsewhere."""
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith("OS_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "NO_PROXY": "*", **more}
