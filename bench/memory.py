"""The row `memory`: what a network costs a host in memory and time, beside Neutron's way: a namespace with dnsmasq and one with
radvd for each."""

import os
import subprocess
import time

from attaching import served_after
from cloud import Cloud
from netns import descendants, inside, run, start, wait_for

PEERS = 40  # networks that are made as Neutron makes them; what they cost is scaled by their number
# What other programs' files take is not in it: that can be given back.
KERNEL = ("SUnreclaim", "Percpu", "KernelStack", "PageTables", "VmallocUsed")


def memory(report, folder, size):
    ours = [of_hextet(folder, size.many) for _ in range(size.runs)]
    theirs = [of_neutron(folder) for _ in range(size.runs)]
    peer = f"the peer: {PEERS} networks, scaled"
    report.add(f"memory of a network: agent and kernel, {size.many} networks", "KB", column(ours, "bytes", 1e-3),
               column(theirs, "bytes", 1e-3), target=20, note=peer)
    report.add("of it the agent's (PSS)", "KB", column(ours, "process", 1e-3), column(theirs, "process", 1e-3))
    report.add("of it the kernel's, beyond the guest's own link", "KB", column(ours, "kernel", 1e-3),
               column(theirs, "kernel", 1e-3))
    report.add("time of a network, beyond the guest's own link", "ms", column(ours, "ms"), column(theirs, "ms"), target=1,
               note=f"{peer}; the link itself {sorted(column(ours, 'link_ms'))[len(ours) // 2]:.2f} ms")
    report.add("the agent with none (PSS, once)", "MB", column(ours, "once", 1e-6))


def column(told, key, factor=1):
    return [one[key] * factor for one in told]


def of_hextet(folder, count):
    with Cloud(folder) as cloud:
        process = pss([cloud.agent.pid])
        link_bytes, link_s = bare_links(cloud, count)
        wait_for("links are gone", lambda: cloud.links() == 1)
        ports = cloud.unbound_ports(cloud.networks(count, "slaac"))
        cloud.attach(ports, "m", at_once=64)
        cloud.stop_agent()
        cloud.bind(ports)
        before = kernel_memory()
        took = served_after(cloud.guests, "m", count, cloud.start_agent)
        time.sleep(2)  # what guests' first frames make the agent remember
        after, grown = kernel_memory(), pss([cloud.agent.pid])
    kernel_each = (after - before - link_bytes) / count
    process_each = (grown - process) / count
    return {"bytes": kernel_each + process_each, "process": process_each, "kernel": kernel_each,
            "ms": (took - link_s) * 1000 / count, "link_ms": link_s * 1000 / count, "once": process}


def bare_links(cloud, count):
    """Memory and seconds of so many pairs alone, made by one process."""
    before, began = kernel_memory(), time.monotonic()
    lines = [f"link add t{n} mtu 1430 type veth peer name b{n} mtu 1430 netns {cloud.guests}\nlink set t{n} up"
             for n in range(count)]
    inside(cloud.netns, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    run("ip", "-n", cloud.netns, "-batch", "-", text="\n".join(lines))
    run("ip", "-n", cloud.guests, "-batch", "-", text="\n".join(f"link set b{n} up" for n in range(count)))
    took = time.monotonic() - began
    time.sleep(2)
    used = kernel_memory() - before
    run("ip", "netns", "delete", cloud.guests)
    run("ip", "netns", "add", cloud.guests)
    inside(cloud.guests, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    return used, took


def of_neutron(folder):
    """A bridge, a namespace with dnsmasq, one with radvd, a veth pair to each."""
    before, began = kernel_memory(), time.monotonic()
    host = f"hxbench-{os.getpid()}-h"
    run("ip", "netns", "add", host)
    daemons, names = [], [host]
    try:
        for number in range(PEERS):
            inside(host, "ip", "link", "add", f"br{number}", "type", "bridge")
            inside(host, "ip", "link", "set", f"br{number}", "up")
            for kind in ("dhcp", "router"):
                name = f"{host}-{kind}{number}"
                run("ip", "netns", "add", name)
                names.append(name)
                inside(host, "ip", "link", "add", f"{kind}{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
                inside(host, "ip", "link", "set", f"{kind}{number}", "master", f"br{number}", "up")
                inside(name, "ip", "link", "set", "eth0", "up")
                inside(name, "ip", "address", "add", f"2001:db8:{number:x}::{'2' if kind == 'dhcp' else '1'}/64", "dev", "eth0",
                       "nodad")
                daemons.append(start(name, DAEMONS[kind](folder, number), stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL))
        took = time.monotonic() - began
        time.sleep(2)
        process = pss([pid for one in daemons for pid in [one.pid, *descendants(one.pid)]])
        kernel = kernel_memory() - before
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait()
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)
    return {"bytes": (process + kernel) / PEERS, "process": process / PEERS, "kernel": kernel / PEERS,
            "ms": took * 1000 / PEERS}


def dnsmasq(folder, number):
    return ["dnsmasq", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--pid-file=", "--conf-file=/dev/null", "--port=0",
            "--bind-dynamic", "--interface=eth0", "--user=root", f"--dhcp-leasefile={folder}/leases-{number}",
            f"--dhcp-range=set:subnet,2001:db8:{number:x}::,static,64,86400s", "--log-facility=/dev/null"]


def radvd(folder, number):
    path = os.path.join(folder, f"radvd-{number}.conf")
    with open(path, "w") as file:
        file.write(f"interface eth0 {{ AdvSendAdvert on; prefix 2001:db8:{number:x}::/64 {{ }}; }};\n")
    return ["radvd", "-n", "-C", path, "-p", f"{folder}/radvd-{number}.pid"]


DAEMONS = {"dhcp": dnsmasq, "router": radvd}


def kernel_memory():
    """What the kernel holds for itself, bytes."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return sum(int(fields[name].split()[0]) * 1024 for name in KERNEL)


def pss(pids):
    """The processes' own memory and their part of what they share, bytes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    return total
