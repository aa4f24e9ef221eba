"""Who else serves guests: Kea, dnsmasq and radvd as Debian packages them, each in a namespace of its own with a link to its
guests' namespace."""

import json
import os
import subprocess
import time

from netns import GUESTS, descendants, hurry, inside, processor_time, run, start, wait_for_carriers

SERVER = 0  # the core of who answers


class Peer:
    """Daemons behind so many links: `srvN` on their side, `gNNNN` on the guests', who are the load's, or with `guests_up`
    false guests themselves."""

    def __init__(self, folder, kind, links=1, link="g", guests_up=True):
        self.folder, self.links, self.link, self.guests_up = folder, links, link, guests_up
        name = f"hxbench-{os.getpid()}-{kind}"
        self.netns, self.guests = f"{name}s", f"{name}g"
        self.daemons = []

    def __enter__(self):
        for name in (self.netns, self.guests):
            run("ip", "netns", "add", name)
        if self.guests_up:
            inside(self.guests, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        # Their own addresses are to be there at once.
        inside(self.netns, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.forwarding=1")
        inside(self.netns, "ip", "link", "set", "lo", "up")
        batch = [] if self.guests_up else self.bridge()
        for number in range(self.links if self.guests_up else 0):
            batch += [f"link add srv{number} type veth peer name {self.link}{number:04} netns {self.guests}",
                      f"address add {self.prefix(number)}1/64 dev srv{number}", f"link set srv{number} up"]
        run("ip", "-n", self.netns, "-batch", "-", text="\n".join(batch))
        if self.guests_up:
            up = "\n".join(f"link set {self.link}{number:04} up" for number in range(self.links))
            run("ip", "-n", self.guests, "-batch", "-", text=up)
            wait_for_carriers(self.guests, self.links)
        return self

    def bridge(self):
        """Between them and the guest, so that their own link has a carrier before the guest's has one, which Kea needs."""
        return ["link add srv0 type bridge", f"address add {self.prefix(0)}1/64 dev srv0", "link set srv0 up",
                "link add own0 type veth peer name own1", "link set own0 master srv0 up", "link set own1 up",
                f"link add tap0 type veth peer name {self.link}0000 netns {self.guests}", "link set tap0 master srv0 up"]

    def prefix(self, number):
        return f"2001:db8:{number + 0x1000:x}::"

    def file(self, name, text):
        path = os.path.join(self.folder, f"{self.netns}-{name}")
        with open(path, "w") as file:
            file.write(text)
        return path

    def serve(self, *command, **environment):
        daemon = start(self.netns, list(command), core=SERVER, hurried=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env={**os.environ, **environment})
        self.daemons.append(daemon)
        return daemon

    def stop(self):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()
        self.daemons = []

    def pids(self):
        return [pid for daemon in self.daemons for pid in [daemon.pid, *descendants(daemon.pid)]]

    def cpu(self):
        return processor_time(self.pids())

    def __exit__(self, *_):
        self.stop()
        for name in (self.guests, self.netns):
            subprocess.run(["ip", "netns", "delete", name], check=False)


class Radvd(Peer):
    # As mobile hosts may be served (RFC 6275 §7.5), and with our Retrans Timer.
    OFTEN = ("MinRtrAdvInterval 0.03; MaxRtrAdvInterval 0.07; MinDelayBetweenRAs 0.03; AdvIntervalOpt on; AdvDefaultLifetime 1800; "
             "AdvRetransTimer 100; ")

    def serve_all(self, stateful=False, often=False):
        """`often`: to all nodes all the time, however little they ask."""
        managed, own = ("AdvManagedFlag on; ", "AdvAutonomous off; ") if stateful else ("", "")
        managed += self.OFTEN if often else ""
        links = "".join(f"interface srv{number} {{ AdvSendAdvert on; {managed}prefix {self.prefix(number)}/64 {{ {own}}}; }};\n"
                        for number in range(self.links))
        self.serve("radvd", "-n", "-C", self.file("radvd.conf", links), "-p", self.file("radvd.pid", ""))
        return self


class Least(Peer):
    """A program that waits for a solicitation, sends an advertisement without options, and does nothing else."""

    def serve_all(self):
        self.serve(GUESTS, "least")
        return self


class Kea(Peer):
    def serve_all(self, persisted=False):
        subnet = {"id": 1, "subnet": "2001:db8:1000::/64", "interface": "srv0",
                  "pools": [{"pool": "2001:db8:1000::1000-2001:db8:1000::ffff"}]}
        leases = {"type": "memfile", "persist": persisted, "name": self.file("leases.csv", ""), "lfc-interval": 0}
        config = {"Dhcp6": {
            "interfaces-config": {"interfaces": ["srv0"]}, "lease-database": leases, "subnet6": [subnet],
            "preferred-lifetime": 3000, "valid-lifetime": 4000, "data-directory": self.folder,
            "loggers": [{"name": "kea-dhcp6", "severity": "ERROR", "output_options": [{"output": "stderr"}]}]}}
        # Debian's package names directories for its own user.
        here = {"KEA_PIDFILE_DIR": self.folder, "KEA_LOCKFILE_DIR": self.folder}
        self.serve("kea-dhcp6", "-c", self.file("kea.json", json.dumps(config)), **here)
        return self


class Dnsmasq(Peer):
    """As Neutron runs it: every port's address in a hosts file, the lease file rewritten at each answer."""

    def serve_all(self, macs):
        hosts = "".join(f"{mac},host-{number},[2001:db8:1000::{number + 16:x}]\n" for number, mac in enumerate(macs))
        self.serve("dnsmasq", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--pid-file=", "--conf-file=/dev/null",
                   "--except-interface=lo", "--interface=srv0", "--bind-dynamic", "--user=root", "--port=0",
                   f"--dhcp-hostsfile={self.file('host', hosts)}", f"--dhcp-leasefile={self.file('leases', '')}",
                   "--dhcp-match=set:ipxe,175", "--dhcp-userclass=set:ipxe6,iPXE", "--local-service",
                   "--dhcp-range=set:subnet,2001:db8:1000::,static,64,86400s", "--dhcp-lease-max=16777216",
                   "--log-facility=/dev/null")
        return self
