"""The row `wire`: guest to guest on one host, beside a bare veth pair, a bridge, and a bridge with a policy of ip6tables."""

import contextlib
import os
import subprocess

from cloud import Cloud
from netns import guests, inside, run

WAYS = {"packets": "ns", "echo": "p50_us", "stream": "ms_per_gb"}
WHAT = {"packets": "processor time of a small packet", "echo": "round trip", "stream": "processor time of a gigabyte of TCP"}
TARGETS = {"packets": 1.30, "echo": 1.18, "stream": 1.05}
ADDRESSES = ("2001:db8:9::1", "2001:db8:9::2")
MACS = ("02:68:78:99:00:01", "02:68:78:99:00:02")


def wire(report, folder, size):
    with contextlib.ExitStack() as beds:
        subjects = {"bare": beds.enter_context(Pair("v")), "hextet": beds.enter_context(Ports(folder)),
                    "bridge": beds.enter_context(Bridge("b")), "ip6tables": beds.enter_context(Bridge("i", policy=True))}
        told = {(way, name): [] for way in WAYS for name in subjects}
        for _ in range(size.runs):
            for way in WAYS:
                for name, (one, other, address) in subjects.items():
                    told[way, name].append(
                        guests(one, "pair", way, "--from", one, "--to", other, "--address", address)[WAYS[way]])
    for way in WAYS:
        bare = told[way, "bare"]
        times = {name: [mine / base for mine, base in zip(told[way, name], bare)] for name in subjects}
        unit = {"ns": "ns", "p50_us": "µs", "ms_per_gb": "ms"}[WAYS[way]]
        middle = sorted(bare)[len(bare) // 2]
        for peer in ("bridge", "ip6tables"):
            judged = {"target": TARGETS[way]} if peer == "bridge" else {}
            report.add(f"{WHAT[way]}, of a bare veth pair's, beside {peer}", "x", times["hextet"], times[peer],
                       note=f"bare {middle:.4g} {unit}", **judged)


class Pair:
    """Two guests with a veth pair between them; both ends, and the second's address."""

    def __init__(self, kind):
        name = f"hxbench-{os.getpid()}-{kind}"
        self.guests = (f"{name}1", f"{name}2")

    def __enter__(self):
        for guest in self.guests:
            run("ip", "netns", "add", guest)
        self.plug()
        for guest, address in zip(self.guests, ADDRESSES):
            address_of(guest, address)
        return (*self.guests, ADDRESSES[1])

    def plug(self):
        one, other = self.guests
        run("ip", "link", "add", "eth0", "netns", one, "address", MACS[0], "type", "veth", "peer", "name", "eth0",
            "netns", other, "address", MACS[1])

    def __exit__(self, *_):
        for guest in self.guests:
            subprocess.run(["ip", "netns", "delete", guest], check=False)


class Bridge(Pair):
    """The same on a bridge, with Neutron's kind of policy on it or none."""

    def __init__(self, kind, policy=False):
        super().__init__(kind)
        self.switch, self.policy = f"hxbench-{os.getpid()}-{kind}s", policy

    def plug(self):
        run("ip", "netns", "add", self.switch)
        inside(self.switch, "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        inside(self.switch, "ip", "link", "set", "br0", "up")
        for number, guest in enumerate(self.guests):
            inside(self.switch, "ip", "link", "add", f"tap{number}", "type", "veth", "peer", "name", "eth0", "netns", guest,
                   "address", MACS[number])
            inside(self.switch, "ip", "link", "set", f"tap{number}", "master", "br0", "up")
        if self.policy:
            inside(self.switch, "sysctl", "-qw", "net.bridge.bridge-nf-call-ip6tables=1")
            inside(self.switch, "ip6tables-restore", text=rules())

    def __exit__(self, *_):
        super().__exit__()
        subprocess.run(["ip", "netns", "delete", self.switch], check=False)


def rules():
    """Source guard by MAC and address, state, twenty rules that do not match, then the group's."""
    lines = ["*filter", ":FORWARD DROP"]
    for number, (mac, address) in enumerate(zip(MACS, ADDRESSES)):
        lines += [f":in{number} -", f":out{number} -",
                  f"-A FORWARD -m physdev --physdev-in tap{number} --physdev-is-bridged -j in{number}",
                  f"-A FORWARD -m physdev --physdev-out tap{number} --physdev-is-bridged -j out{number}",
                  f"-A in{number} -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN",
                  f"-A in{number} -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j RETURN",
                  f"-A in{number} -m mac ! --mac-source {mac} -j DROP", f"-A in{number} ! -s {address} -j DROP",
                  f"-A in{number} -m state --state RELATED,ESTABLISHED -j RETURN",
                  f"-A in{number} -m state --state INVALID -j DROP",
                  f"-A out{number} -m state --state RELATED,ESTABLISHED -j ACCEPT"]
        lines += [f"-A out{number} -p tcp -m tcp --dport {port} -j ACCEPT" for port in range(101, 121)]
        lines += [f"-A out{number} -p {protocol} -s {ADDRESSES[0]}/64 -j ACCEPT" for protocol in ("ipv6-icmp", "tcp", "udp")]
    return "\n".join([*lines, "COMMIT", ""])


class Ports:
    """Two ports of a network of Hextet's, source guard on."""

    def __init__(self, folder):
        self.cloud = Cloud(folder)
        self.guests = [f"{self.cloud.netns}-w{number}" for number in range(2)]

    def __enter__(self):
        cloud = self.cloud.__enter__()
        try:
            ports = cloud.ports(cloud.networks(1, "dhcpv6-stateful") * 2)
            for guest, port in zip(self.guests, ports):
                run("ip", "netns", "add", guest)
                cloud.attach([port], "eth", netns=guest)
                address_of(guest, port["fixed_ips"][0]["ip_address"], "eth0000")
        except BaseException:
            self.__exit__()
            raise
        return (*self.guests, ports[1]["fixed_ips"][0]["ip_address"])

    def __exit__(self, *_):
        for guest in self.guests:
            subprocess.run(["ip", "netns", "delete", guest], check=False)
        self.cloud.__exit__()


def address_of(guest, address, link="eth0"):
    """Its link up, with this address at once."""
    inside(guest, "sysctl", "-qw", f"net.ipv6.conf.{link}.accept_ra=0", f"net.ipv6.conf.{link}.accept_dad=0")
    inside(guest, "ip", "link", "set", "lo", "up")
    inside(guest, "ip", "link", "set", link, "up")
    inside(guest, "ip", "address", "add", f"{address}/64", "dev", link, "nodad")
