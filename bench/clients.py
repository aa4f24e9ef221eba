"""The row `clients`: from link up to a global address that is usable, with the clients that guests have, beside radvd and Kea."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

from cloud import Cloud
from netns import in_netns, run, wait_for
from peers import Kea, Radvd

TENTATIVE = 0x40
SIOCGIFFLAGS, IFF_UP = 0x8913, 1
USABLE_WITHIN = 20  # seconds; a guest that takes longer is a failure, not a figure
LINK = "eth0000"
ETC = ("passwd", "group", "nsswitch.conf", "services", "protocols", "ld.so.cache", "dhcp/dhclient.conf")
# Its files over the machine's, for the client alone.
PRIVATE = "mount --bind $0/etc /etc && mount --bind $0/lib /var/lib && mount --bind $0/run /run && exec \"$@\""
# dhclient cannot bind a tentative link-local address, so what starts it waits, as distributions' scripts do.
AFTER_DAD = ("until ip -6 addr show dev " + LINK + " scope link -tentative | grep -q inet6; do sleep 0.02; done; exec \"$@\"")
# Who starts a client on a link that has been up for a while, as boot loaders, initial file systems and ifupdown do.
ON_A_LIVE_LINK = "sleep 0.2; exec \"$@\""
OWN_SYS = "mount -t sysfs -o ro sysfs /sys && exec \"$@\""
DHCPCD = ["dhcpcd", "-6", "-B", "-f", "/etc/dhcpcd.conf", LINK]
# Turns off what the kernel does with advertisements before its link comes up, so that no server shortens the kernel's checks.
SETS_UP = "dhcpcd that sets its link up"
# Each client: how its subnet is, its command, the target in seconds.
CLIENTS = {
    "kernel SLAAC": ("slaac", None, 0.7),
    "dhclient": ("dhcpv6-stateful", ["sh", "-c", AFTER_DAD, "sh", "dhclient", "-6", "-d", "-lf", "/var/lib/leases", "-pf",
                                     "/run/dhclient.pid", LINK], 3.3),
    SETS_UP: ("slaac", DHCPCD, None),
    "dhcpcd on a live link": ("slaac", ["sh", "-c", ON_A_LIVE_LINK, "sh", *DHCPCD], 0.8),
    "systemd-networkd": ("slaac", ["sh", "-c", OWN_SYS, "sh", "/lib/systemd/systemd-networkd"], 4.1),
}


def clients(report, folder, size):
    with Cloud(folder) as cloud:
        networks = {mode: cloud.networks(1, mode)[0] for mode in ("slaac", "dhcpv6-stateful")}
        told, often = {(client, who): [] for client in CLIENTS for who in ("hextet", "peer")}, []
        for _ in range(size.runs):
            for client, (mode, command, _) in CLIENTS.items():
                told[client, "hextet"].append(beside_hextet(cloud, networks[mode], command))
                told[client, "peer"].append(beside_peer(folder, mode, command))
            often.append(beside_peer(folder, "slaac", DHCPCD, often=True))
    for client, (_, _, target) in CLIENTS.items():
        peer = "radvd and Kea" if client == "dhclient" else "radvd"
        report.add(f"link up to a usable address, {client}, beside {peer}", "s", told[client, "hextet"],
                   told[client, "peer"], target=target)
        if client == SETS_UP:
            report.add("the same beside radvd that advertises each 30 to 70 ms", "s", told[client, "hextet"], often,
                       note="all that a server could do")


def beside_hextet(cloud, network, command):
    guest = f"{cloud.netns}-c"
    run("ip", "netns", "add", guest)
    try:
        port = cloud.ports([network])[0]
        cloud.attach([port], "eth", netns=guest, down=True)
        return usable_after(guest, command)
    finally:
        run("ip", "netns", "delete", guest)
        cloud.ask("DELETE", f"ports/{port['id']}", None)


def beside_peer(folder, mode, command, often=False):
    stateful = mode == "dhcpv6-stateful"
    with Radvd(folder, "c", link="eth", guests_up=False) as peer:
        peer.serve_all(stateful=stateful, often=often)
        if stateful:
            Kea.serve_all(peer)
        time.sleep(1)  # they are up before the guest, as in a cloud
        return usable_after(peer.guests, command)


def usable_after(guest, command):
    """Seconds from its link's start until a global address has passed duplicate address detection."""
    with tempfile.TemporaryDirectory(prefix="hextet-bench-") as folder:
        client = None

        def begin():
            nonlocal client
            if command is not None:
                files(folder)
                # In a PID namespace, so that what it started ends with it, and nobody writes where its files were.
                private = ["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child",
                           "sh", "-c", PRIVATE, folder, *command]
                with open(os.path.join(folder, "log"), "w") as log:
                    client = subprocess.Popen(private, stdout=log, stderr=log)

        def measure():
            if command is None or {AFTER_DAD, ON_A_LIVE_LINK} & set(command):
                subprocess.run(["ip", "link", "set", LINK, "up"], check=True)
            # The others set it up themselves, so that the kernel does not configure it before them.
            begin()
            while not is_up():
                time.sleep(0.001)
            began = time.monotonic()
            try:
                while time.monotonic() - began < USABLE_WITHIN:
                    if any(not address.startswith("fe80") and not flags & TENTATIVE for address, flags in addresses()):
                        return time.monotonic() - began
                    time.sleep(0.002)
                with open(os.path.join(folder, "log")) as log:
                    raise SystemExit(f"no usable address within {USABLE_WITHIN} s: {command} {log.read()[-2000:]}")
            finally:
                if client is not None:
                    client.kill()
                    client.wait()
                    # dhcpcd, which gives up its rights, does not end with who started it.
                    wait_for("the client's processes end", end_others)
        return in_netns(guest, measure)


def end_others():
    """Ends all other processes of this network namespace; whether there was none."""
    own = os.readlink("/proc/self/ns/net")
    others = [int(pid) for pid in filter(str.isdigit, os.listdir("/proc")) if network_of(pid) == own and int(pid) != os.getpid()]
    for pid in others:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not others


def network_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None  # it has ended


def files(folder):
    for part in ("etc/dhcp", "etc/systemd/network", "lib/dhcpcd", "run/systemd/netif"):
        os.makedirs(os.path.join(folder, part))
    for name in ETC:
        if os.path.exists(os.path.join("/etc", name)):
            shutil.copy(os.path.join("/etc", name), os.path.join(folder, "etc", name))
    shutil.chown(os.path.join(folder, "run/systemd/netif"), "systemd-network", "systemd-network")
    for name, text in {"dhcpcd.conf": "slaac hwaddr\noption domain_name_servers\noption rapid_commit\n", "resolv.conf": "",
                       "machine-id": f"{uuid.uuid4().hex}\n", "fstab": "",
                       "systemd/network/all.network": f"[Match]\nName={LINK}\n[Network]\nIPv6AcceptRA=yes\nDHCP=no\n"}.items():
        with open(os.path.join(folder, "etc", name), "w") as file:
            file.write(text)


def is_up():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asked:
        flags = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack("16sH22x", LINK.encode(), 0))
    return struct.unpack_from("H", flags, 16)[0] & IFF_UP != 0


def addresses():
    for line in open("/proc/self/net/if_inet6"):
        address, _, _, scope, flags, name = line.split()
        if name == LINK and scope in ("00", "20"):
            yield address, int(flags, 16)
