"""The rows `router`, `lease`, `networks` and `storm`: what answers to guests take, from a host with a thousand networks of a
port each and one network of a thousand ports."""

import contextlib
import statistics
import time

from attaching import served_after
from cloud import Cloud
from netns import guests, wait_for
from peers import SERVER, Dnsmasq, Kea, Least, Radvd

LOAD = 1  # the core of who asks
REST = 2.5  # seconds between two loads, in which the ports' punt buckets fill again
STORM = 100  # guests
ONE, EACH = "o", "n"  # how the links of the one network are named, and those of the thousand networks


class Bed:
    """The host with its ports, and answers from it and from peers."""

    def __init__(self, folder, networks=0, one=0, settings=None):
        """Networks with a port each, and ports of one network."""
        self.cloud, self.wanted = Cloud(folder, core=SERVER, settings=settings), (networks, one)

    def __enter__(self):
        cloud = self.cloud.__enter__()
        networks, one = self.wanted
        try:
            ports = {}
            if one:
                ports[ONE] = cloud.unbound_ports(cloud.networks(1, "dhcpv6-stateful") * one)
            if networks:
                ports[EACH] = cloud.unbound_ports(cloud.networks(networks, "dhcpv6-stateful"))
            cloud.plug(ports)
        except BaseException:
            self.cloud.__exit__()
            raise
        return cloud

    def __exit__(self, *_):
        self.cloud.__exit__()


def measured(subject, *arguments):
    """A load, with the processor time of who answers it: of each answer, µs, and of the whole time."""
    before = subject.cpu()
    told = guests(subject.guests, *arguments, core=LOAD)
    used = subject.cpu() - before
    told["cpu_us"] = used * 1e6 / max(1, told["count"])
    told["busy"] = used / told["seconds"]
    told["rate"] = told["count"] / told["seconds"]
    return told


def collected(subjects, runs, *arguments, rest=REST):
    """So many loads of each subject, in turns."""
    told = {name: [] for name in subjects}
    for _ in range(runs):
        for name, (subject, extra) in subjects.items():
            time.sleep(rest)
            told[name].append(measured(subject, *arguments, *extra))
    return told


def each(told, key, factor=1):
    return [one[key] * factor for one in told]


def lost(told):
    count, missing = sum(each(told, "count")), sum(each(told, "lost"))
    return f"lost {100 * missing / max(1, count + missing):.2f} %"


def busy(told):
    return f"busy {100 * statistics.median(each(told, 'busy')):.0f} %"


def of_a_core(told):
    """Exchanges for which a second of processor time is enough: who asks has the other core, and keeps no agent busy."""
    return [1e6 / one for one in each(told, "cpu_us")]


def lease(report, folder, size):
    """The stateful exchange, Hextet beside Kea, in memory and persisted."""
    kea = ["--links", "g", "--clients", size.many]
    with Bed(folder, one=size.many) as cloud, Kea(folder, "k") as memory, Kea(folder, "p") as persisted:
        memory.serve_all()
        persisted.serve_all(persisted=True)
        subjects = {"hextet": (cloud, ["--links", ONE]), "memory": (memory, kea), "persisted": (persisted, kea)}
        warm(subjects)
        told = collected(subjects, size.runs, "load", "lease")
    ours, theirs, on_disk = told.values()
    report.add("DHCPv6 exchanges in a second of a core's time, beside Kea in memory", "/s", of_a_core(ours), of_a_core(theirs),
               target=(3, "peer"), at_least=True)
    report.add("exchanges a second that those who ask came to, beside Kea in memory", "/s", each(ours, "rate"),
               each(theirs, "rate"), note=f"{busy(ours)}, {lost(ours)}; Kea {busy(theirs)}, {lost(theirs)}")
    report.add("the same beside Kea persisted", "/s", each(ours, "rate"), each(on_disk, "rate"))
    report.add("processor time of an exchange, beside Kea in memory", "µs", each(ours, "cpu_us"), each(theirs, "cpu_us"),
               target=15)
    report.add("p50 of an exchange under that load", "µs", each(ours, "p50_us"), each(theirs, "p50_us"))
    report.add("p99 of an exchange under that load", "µs", each(ours, "p99_us"), each(theirs, "p99_us"))


def networks(report, folder, size):
    """The same exchange on a thousand networks of a port each, beside one network of a thousand ports."""
    with Bed(folder, size.many, size.many) as cloud:
        subjects = {"each": (cloud, ["--links", EACH]), "one": (cloud, ["--links", ONE])}
        warm(subjects)
        told = collected(subjects, size.runs, "load", "lease")
    each_of, one = told["each"], told["one"]
    report.add(f"an exchange on {size.many} networks, beside one network", "µs", each(each_of, "cpu_us"), each(one, "cpu_us"),
               target=(1.2, "peer"), note=f"{lost(each_of)}; the peer is Hextet with one network")
    report.add(f"exchanges on one core, {size.many} networks", "/s", each(each_of, "rate"), each(one, "rate"), note=busy(each_of))


def warm(subjects):
    """Until each answers."""
    for name, (subject, extra) in subjects.items():
        wait_for(f"{name} answers", lambda: guests(subject.guests, "load", "lease", *extra, "--seconds", "0.3")["count"] > 0)


def storm(report, folder, size):
    """A hundred guests of a network boot within 0.1 s, beside dnsmasq as Neutron runs it."""
    ours, theirs = [], []
    macs = [f"02:68:78:00:{number >> 8:02x}:{number & 255:02x}" for number in range(STORM)]
    with Bed(folder, one=STORM) as cloud:
        for _ in range(size.runs):
            time.sleep(REST)
            ours.append(guests(cloud.guests, "storm", "--links", ONE, core=LOAD))
            # A new one each time: a second storm would find the neighbours known.
            with Dnsmasq(folder, "d") as peer:
                peer.serve_all(macs)
                time.sleep(1)
                theirs.append(guests(peer.guests, "storm", "--links", "g", "--behind", STORM, core=LOAD))
    late = [each(told, "after_last_ms") for told in (ours, theirs)]
    report.add(f"boot storm: {STORM} guests leased, after the last SOLICIT", "ms", *late, target=50,
               note=f"{lost(ours)}; dnsmasq {lost(theirs)}")
    report.add("boot storm: the median guest's wait", "ms", each(ours, "p50_us", 1e-3), each(theirs, "p50_us", 1e-3))


def router(report, folder, size):
    """RS to RA beside radvd, with one link and with a thousand."""
    with neighbours(), Bed(folder, size.many) as cloud:
        first = ["--links", f"{EACH}0000"]
        with Radvd(folder, "r") as peer, Least(folder, "l") as least:
            peer.serve_all()
            least.serve_all()
            subjects = {"hextet": (cloud, first), "radvd": (peer, ["--links", "g"]), "least": (least, ["--links", "g"])}
            wait_for("they answer", lambda: all(measured(one, "paced", "router", "--links", "g", "--count", 1)["count"]
                                                for one in (peer, least)))
            ours, theirs, floor = collected(subjects, size.runs, "paced", "router", "--pace-ms", 12, rest=0).values()
            waits(report, "one link", ours, theirs)
            report.add("the same, beside a program that only waits and sends", "µs", each(ours, "cpu_us"), each(floor, "cpu_us"),
                       note=f"its p50 {statistics.median(each(floor, 'p50_us')):.0f} µs")
            loads = {"hextet": (cloud, ["--links", EACH]), "radvd": (peer, ["--links", "g", "--behind", 64])}
            ours, one = collected(loads, size.runs, "load", "router").values()
            report.add("RAs on one core, radvd with one link", "/s", each(ours, "rate"), each(one, "rate"),
                       note=f"{busy(ours)}, {lost(ours)}")
            report.add(f"processor time of an RA, {size.many} links (radvd: one)", "µs", each(ours, "cpu_us"),
                       each(one, "cpu_us"), target=20)
        starts, theirs = [], []
        with Radvd(folder, "r", links=size.many) as peer:
            for number in range(size.runs):
                cloud.stop_agent()
                starts.append(served_after(cloud.guests, EACH, size.many, cloud.start_agent))
                if number == 0:
                    theirs.append(served_after(peer.guests, "g", size.many, peer.serve_all))
            note = f"radvd once, to {size.many} links"
            report.add(f"a started agent has answered on {size.many} links", "s", starts, theirs, target=1, note=note)
            subjects = {"hextet": (cloud, ["--links", EACH]), "radvd": (peer, ["--links", "g"])}
            told = collected(subjects, size.runs, "paced", "router", "--pace-ms", 1, "--count", 1500, rest=0)
            waits(report, f"{size.many} links", *told.values())


def waits(report, what, ours, theirs):
    report.add(f"RS to RA p50, {what}", "µs", each(ours, "p50_us"), each(theirs, "p50_us"), target=(1, "peer"))
    report.add(f"RS to RA p99, {what}", "µs", each(ours, "p99_us"), each(theirs, "p99_us"))
    report.add(f"processor time of an RA, one at a time, {what}", "µs", each(ours, "cpu_us"), each(theirs, "cpu_us"),
               note=f"{lost(ours)}; radvd {lost(theirs)}")


@contextlib.contextmanager
def neighbours():
    """Room for radvd's: the kernel's table is one for all namespaces, and holds 1,024 by default."""
    path = "/proc/sys/net/ipv6/neigh/default/gc_thresh3"
    with open(path) as file:
        before = file.read()
    try:
        with open(path, "w") as file:
            file.write("8192")
        yield
    finally:
        with open(path, "w") as file:
            file.write(before)
