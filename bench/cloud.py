"""A cloud under load: `hextet up` makes its files, then its server and its agent run here as processes of their own."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import urllib.parse

from netns import (GUESTS, HEXTET, in_netns, inside, nsenter, processor_time, request, run, start, wait_for,
                   wait_for_carriers)

BULK = 500  # objects of one request


def login(netns, clouds, quiet=False):
    """The administrator's token, and where the networking API is; `clouds` is what `hextet up` wrote."""
    lines = [line.strip() for line in open(clouds)]
    begin, end = lines.index("hextet:"), lines.index("hextet-demo:")
    found = dict(line.split(": ", 1) for line in lines[begin + 1:end] if ": " in line)
    found = {key: value.strip("'\"") for key, value in found.items()}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": found["username"], "domain": {"name": "Default"}, "password": found["password"]}}},
        "scope": {"project": {"name": found["project_name"], "domain": {"name": "Default"}}}}}
    answer, headers = request(netns, f"{found['auth_url']}/auth/tokens", body, {}, quiet=quiet)
    base = next(e["url"] for s in answer["token"]["catalog"] if s["type"] == "network" for e in s["endpoints"])
    return headers["X-Subject-Token"], base.rstrip("/"), answer["token"]["project"]["id"]


class Cloud:
    """One host with all of it. `core` is where the agent runs; `None` lets it run anywhere. `settings` are lines of server.toml
    and of agent.toml, by their names without the ending."""

    def __init__(self, folder, core=None, settings=None):
        self.folder = os.path.join(folder, "cloud")
        self.netns = f"hxbench-{os.getpid()}"
        self.guests = f"{self.netns}-g"
        self.core, self.settings = core, settings or {}
        self.server = self.agent = None
        self.prefixes = 0

    def __enter__(self):
        for name in (self.netns, self.guests):
            run("ip", "netns", "add", name)
            inside(name, "ip", "link", "set", "lo", "up")
        # Guests are the load's: their kernels say nothing of their own.
        inside(self.guests, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.log = open(self.folder + ".log", "w")
        try:
            self.make_files()
            self.server = self.spawn("server")
            self.start_agent()
            self.sign_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make_files(self):
        up = subprocess.Popen(nsenter(self.netns) + [HEXTET, "--dir", self.folder, "up"], stdout=subprocess.PIPE,
                              stderr=self.log, text=True)
        ready = up.stdout.readline().startswith("ready ")
        up.terminate()
        if up.wait() != 0 or not ready:
            sys.exit(f"bench: hextet did not come up: {open(self.folder + '.log').read()[-2000:]}")
        for name, lines in self.settings.items():
            path = os.path.join(self.folder, f"{name}.toml")
            with open(path) as file:
                text = file.read()
            with open(path, "w") as file:
                file.write(f"{lines}\n{text}")
        with open(os.path.join(self.folder, "agent.toml"), "rb") as file:
            self.agent_toml = tomllib.load(file)
        self.socket = self.agent_toml["socket"]
        self.host = self.agent_toml["host"]

    def spawn(self, what, core=None):
        command = [HEXTET, what, "--config", os.path.join(self.folder, f"{what}.toml")]
        return start(self.netns, command, core=core, hurried=core is not None, stdout=self.log, stderr=self.log)

    def start_agent(self):
        self.agent = self.spawn("agent", self.core)

    def stop_agent(self):
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait()

    def sign_in(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                self.token, self.base, project = login(self.netns, os.path.join(self.folder, "clouds.yaml"), quiet=True)
                break
            except (SystemExit, ValueError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.ask("PUT", f"quotas/{project}", {"quota": {"network": -1, "subnet": -1, "port": -1}})

    def ask(self, method, path, body):
        return request(self.netns, f"{self.base}/v2.0/{path}", body, {"X-Auth-Token": self.token}, method)[0]

    def make(self, kind, bodies):
        """Objects, many in a request; what was made."""
        made = []
        for at in range(0, len(bodies), BULK):
            made += self.ask("POST", f"{kind}s", {f"{kind}s": bodies[at:at + BULK]})[f"{kind}s"]
        return made

    def networks(self, count, mode):
        """Networks with a /64 each; their ids."""
        networks = [one["id"] for one in self.make("network", [{"name": f"bench-{n}"} for n in range(count)])]
        subnets = []
        for network in networks:
            self.prefixes += 1
            subnets.append({"network_id": network, "ip_version": 6, "cidr": f"2001:db8:{self.prefixes:x}::/64",
                            "ipv6_ra_mode": mode, "ipv6_address_mode": mode})
        self.make("subnet", subnets)
        return networks

    def unbound_ports(self, networks):
        """A port on each of these networks."""
        return self.make("port", [{"network_id": network} for network in networks])

    def plug(self, ports):
        """Plugs in many, by the name of each link's beginning, as a host has them that starts: the agent is told of the links
        before it hears of the ports, which are bound while it is away, and makes them all at once."""
        for prefix, some in ports.items():
            self.attach(some, prefix, at_once=64)
        self.stop_agent()
        self.bind([port for some in ports.values() for port in some])
        self.start_agent()
        wait_for_carriers(self.guests, sum(map(len, ports.values())))

    def bind(self, ports):
        address = urllib.parse.urlsplit(self.base)
        def put():
            server = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            for port in ports:
                server.request("PUT", f"{address.path}/v2.0/ports/{port['id']}",
                               json.dumps({"port": {"binding:host_id": self.host}}),
                               {"Content-Type": "application/json", "X-Auth-Token": self.token})
                answer = server.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"a port was not bound: {answer.status}")
        in_netns(self.netns, put)

    def ports(self, networks):
        """A port on each of these networks, bound to this host, when the agent knows of them all."""
        before = len(self.listed())
        ports = self.make("port", [{"network_id": network, "binding:host_id": self.host} for network in networks])
        wait_for("the agent knows its ports", lambda: len(self.listed()) >= before + len(ports))
        return ports

    def attach(self, ports, prefix, at_once=1, netns=None, down=False):
        """Plugs them in as links of the guests' namespace, PREFIX and a number; how long each took, ms."""
        lines = "".join(f"{port['id']} {netns or self.guests} {prefix}{number:04}\n" for number, port in enumerate(ports))
        command = [GUESTS, "attach", "--socket", self.socket, "--at-once", str(at_once), *(["--down"] if down else [])]
        done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def listed(self):
        command = nsenter(self.netns) + [HEXTET, "--dir", self.folder, "port", "list", "-f", "json"]
        deadline = time.monotonic() + 20
        while True:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if done.returncode == 0:
                return json.loads(done.stdout)
            if time.monotonic() > deadline:
                sys.exit("bench: the agent does not answer")
            time.sleep(0.05)

    def forget_links(self):
        """As after a boot of the host: the agent's ledger, guests that wait for their links, and nothing else."""
        run("ip", "netns", "delete", self.guests)
        run("ip", "netns", "add", self.guests)
        inside(self.guests, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        system = os.path.join("/sys/fs/bpf/hextet", self.agent_toml["instance"])
        own = os.path.join(self.agent_toml["state_dir"], "bpf")
        if os.path.isdir(system):
            shutil.rmtree(system)
        elif os.path.ismount(own):
            run("umount", own)
        wait_for("links are gone", lambda: self.links() == 1)

    def links(self):
        shown = subprocess.run(["ip", "-n", self.netns, "-o", "link"], stdout=subprocess.PIPE, text=True, check=True)
        return len(shown.stdout.splitlines())

    def cpu(self):
        return processor_time([self.agent.pid])

    def __exit__(self, *_):
        # Its links go with it, all at once.
        subprocess.run(["ip", "netns", "delete", self.guests], check=False)
        for process in (self.agent, self.server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()
        subprocess.run(nsenter(self.netns) + [HEXTET, "--dir", self.folder, "down"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", self.netns], check=False)
