"""The row `flood`: what neighbours wait for their answers while one guest sends as fast as a core can.

Each bed has the flooding guest and a neighbour. On the one side is the cloud with its agent, on the other a kernel bridge
with radvd and dnsmasq at a port of their own, as Neutron has them.
"""

import ctypes
import itertools
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import time

from netns import descendants, enter, hurry, in_netns, inside, nsenter, processor_time, run, words

KINDS = ("nothing", "RS", "NS", "DHCPv6", "MLD", "garbage")
ANSWERS = ("RA", "NA", "REPLY")
WINDOW = 2.0  # seconds
PACE = 0.01  # seconds between two questions: below what the agent looks at of one port
PATIENCE = 0.5  # seconds; an answer that takes longer is lost, and counts as so much
VARIANTS = 256  # of each flood's frame, so that no cache serves it
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
MLD_ROUTERS, DHCP_SERVERS = "ff02::16", "ff02::1:2"


def flood(cloud, folder, runs):
    figures = {}
    with CloudBed(cloud) as ours, BridgeBed(folder) as theirs:
        beds = {"hextet": ours, "bridge": theirs}
        for kind in KINDS:
            for number in range(runs):
                for name, bed in beds.items():
                    figures.setdefault((kind, name), []).append(window(bed, kind))
                    print(f"  {kind} {number + 1}: {name} {brief(figures[kind, name][-1])}", flush=True)
    show(figures)


def brief(figure):
    waits = [f"{answer} {max(figure['waits'][answer]):.1f}" for answer in ANSWERS]
    return f"{figure['rate']:.0f} frames/s, at most {', '.join(waits)} ms, cpu {figure['cpu']:.2f}"


def show(figures):
    print("\na neighbour's wait for its answer while one guest floods, p50 / p99 (ms); processor time of who answers (cores)")
    print(f"  {'flood':8} {'bed':7} {'frames/s':>9} " + " ".join(f"{answer:>15}" for answer in ANSWERS) + f" {'lost':>6} {'cpu':>5}")
    for (kind, name), windows in figures.items():
        cells, lost, asked = [], 0, 0
        for answer in ANSWERS:
            waits = sorted(itertools.chain.from_iterable(one["waits"][answer] for one in windows))
            lost += sum(wait >= PATIENCE * 1000 for wait in waits)
            asked += len(waits)
            cells.append(f"{statistics.median(waits):6.2f} / {waits[len(waits) * 99 // 100]:6.2f}")
        rate, cpu = (statistics.median(one[what] for one in windows) for what in ("rate", "cpu"))
        print(f"  {kind:8} {name:7} {rate:9.0f} {' '.join(cells)} {100 * lost / asked:5.1f}% {cpu:5.2f}")


class CloudBed:
    """Two guests of the cloud."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.flooder, self.neighbour = (f"{cloud.netns}-{name}" for name in ("flooder", "neighbour"))

    def __enter__(self):
        for guest in (self.flooder, self.neighbour):
            run("ip", "netns", "add", guest)
            self.cloud.attach(guest)
        self.servers = [pid for pid in descendants(self.cloud.process.pid) if "agent" in words(pid)]
        hurry(self.servers)
        self.router = in_netns(self.neighbour, discover)
        return self

    def __exit__(self, *_):
        for guest in (self.flooder, self.neighbour):
            run("ip", "netns", "delete", guest)


class BridgeBed:
    """The same on a bridge of the kernel."""

    def __init__(self, folder):
        self.folder = folder
        name = f"flbench-{os.getpid()}"
        self.switch, self.host, self.flooder, self.neighbour = (f"{name}-{part}" for part in "shfn")
        self.daemons = []

    def __enter__(self):
        run("ip", "netns", "add", self.switch)
        inside(self.switch, "ip", "link", "add", "br0", "type", "bridge")
        inside(self.switch, "ip", "link", "set", "br0", "up")
        for number, station in enumerate((self.host, self.flooder, self.neighbour)):
            run("ip", "netns", "add", station)
            inside(self.switch, "ip", "link", "add", f"tap{number}", "type", "veth", "peer", "name", "eth0", "netns", station)
            inside(self.switch, "ip", "link", "set", f"tap{number}", "master", "br0", "up")
            inside(station, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
            if station == self.host:
                inside(station, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
            inside(station, "ip", "link", "set", "eth0", "up")
        inside(self.host, "ip", "addr", "add", "2001:db8:2::1/64", "dev", "eth0")
        self.serve("radvd", "-n", "-C", self.file("radvd.conf", "interface eth0 { AdvSendAdvert on; AdvOtherConfigFlag on;"
                   " prefix 2001:db8:2::/64 { }; };\n"), "-p", os.path.join(self.folder, "flood.pid"))
        self.serve("dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--user=root",
                   f"--dhcp-leasefile={self.file('leases', '')}", "--dhcp-range=2001:db8:2::1000,2001:db8:2::1fff",
                   "--dhcp-option=option6:dns-server,[2001:db8::53]", "--log-facility=/dev/null")
        self.router = in_netns(self.neighbour, discover)
        self.servers = [pid for daemon in self.daemons for pid in [daemon.pid, *descendants(daemon.pid)]]
        hurry(self.servers)
        return self

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def serve(self, *command):
        self.daemons.append(subprocess.Popen(nsenter(self.host) + list(command), stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()
        for station in (self.flooder, self.neighbour, self.host, self.switch):
            run("ip", "netns", "delete", station)


def window(bed, kind):
    """One flood, with questions beside it."""
    before, start = processor_time(bed.servers), time.monotonic()
    flooder = Flooder(bed.flooder, kind) if kind != "nothing" else None
    try:
        waits = in_netns(bed.neighbour, lambda: ask(bed.router))
    finally:
        rate = flooder.stop() if flooder else 0
    cpu = (processor_time(bed.servers) - before) / (time.monotonic() - start)
    return {"waits": waits, "rate": rate, "cpu": cpu}


class Flooder:
    """A child that sends frames until it is told to stop, and says how many a second it sent."""

    def __init__(self, netns, kind):
        self.read, write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            stopped = []
            signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
            try:
                enter(netns)
                # The other core is for those who answer.
                os.sched_setaffinity(0, {0})
                wire = Wire()
                frames = list(FLOODS[kind](wire))
                sent, start = 0, time.monotonic()
                while not stopped:
                    for frame in frames:
                        try:
                            wire.socket.send(frame)
                            sent += 1
                        except OSError:
                            pass  # the queue of the link is full
                os.write(write, repr(sent / (time.monotonic() - start)).encode())
            finally:
                os._exit(0)
        os.close(write)

    def stop(self):
        os.kill(self.child, signal.SIGTERM)
        os.waitpid(self.child, 0)
        with os.fdopen(self.read) as pipe:
            return float(pipe.read() or 0)


def discover():
    """Who advertises: MAC and address."""
    wire = Wire()
    for _ in range(40):
        wire.socket.send(wire.solicitation())
        deadline = time.monotonic() + 0.5
        for frame in wire.frames(deadline):
            if is_icmp(frame, 134):
                return [frame[6:12].hex(), socket.inet_ntop(socket.AF_INET6, frame[22:38])]
    raise SystemExit("nobody advertises")


def ask(router):
    """Questions in turn for a window; how long each answer took, ms."""
    mac, address = bytes.fromhex(router[0]), router[1]
    os.sched_setaffinity(0, {1})
    hurry([0])
    wire = Wire(only_from=mac)
    # So that the kernel does not call the port unreachable.
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.bind(("::", 546))
    waits = {answer: [] for answer in ANSWERS}
    end = time.monotonic() + WINDOW
    for number in itertools.count():
        if time.monotonic() >= end:
            return waits
        answer = ANSWERS[number % len(ANSWERS)]
        question, is_answer = wire.question(answer, address, number)
        wire.drain()
        start = time.monotonic()
        wire.socket.send(question)
        heard = any(is_answer(frame) for frame in wire.frames(start + PATIENCE))
        took = time.monotonic() - start if heard else PATIENCE
        waits[answer].append(took * 1000)
        time.sleep(max(0, start + PACE - time.monotonic()))


class Wire:
    """A packet socket on the guest's link, and the guest's own frames."""

    def __init__(self, only_from=None):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        if only_from:
            attach_filter(self.socket, only_from)
        self.socket.bind(("eth0", ETH_P_ALL))
        self.mac = self.socket.getsockname()[4]
        self.address = link_local(self.mac)

    def drain(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(2048)
        except BlockingIOError:
            pass

    def frames(self, deadline):
        """What comes in until then; while the caller looks, more does."""
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self.socket.recv(2048)
            except TimeoutError:
                return
            if frame[6:12] != self.mac:
                yield frame

    def question(self, answer, router, number):
        if answer == "RA":
            return self.solicitation(), lambda frame: is_icmp(frame, 134) and frame[:6] == self.mac
        if answer == "NA":
            return self.neighbour_solicitation(router), lambda frame: is_icmp(frame, 136)
        transaction = struct.pack("!I", number)[1:]
        body = b"\x0b" + transaction + duid(self.mac) + b"\0\x06\0\x02\0\x17"
        return self.dhcp(body), lambda frame: frame[20] == 17 and frame[62:66] == b"\x07" + transaction

    def solicitation(self):
        return self.icmp(ALL_ROUTERS, b"\x85\0\0\0" + bytes(4) + b"\x01\x01" + self.mac)

    def neighbour_solicitation(self, target):
        target = socket.inet_pton(socket.AF_INET6, target)
        group = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("ff0200000000000000000001ff") + target[13:])
        return self.icmp(group, b"\x87\0\0\0" + bytes(4) + target + b"\x01\x01" + self.mac)

    def icmp(self, to, message, options=b""):
        next_header = 0 if options else 58
        sum_ = checksum(self.address, to, 58, message)
        return self.packet(to, next_header, options + message[:2] + sum_ + message[4:])

    def dhcp(self, body):
        head = struct.pack("!HHH", 546, 547, 8 + len(body))
        return self.packet(DHCP_SERVERS, 17, head + checksum(self.address, DHCP_SERVERS, 17, head + bytes(2) + body) + body)

    def packet(self, to, next_header, payload):
        source, to = (socket.inet_pton(socket.AF_INET6, address) for address in (self.address, to))
        head = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 255)
        return b"\x33\x33" + to[12:] + self.mac + b"\x86\xdd" + head + source + to + payload


def solicitations(wire):
    yield wire.solicitation()


def neighbour_solicitations(wire):
    for number in range(VARIANTS):
        yield wire.neighbour_solicitation(f"2001:db8:1::{number + 0x1000:x}")


def dhcp_solicits(wire):
    for _ in range(VARIANTS):
        identity = random.randbytes(6)
        ia = b"\0\x03\0\x0c" + random.randbytes(4) + bytes(8)
        yield wire.dhcp(b"\x01" + random.randbytes(3) + duid(identity) + ia)


def listener_reports(wire):
    router_alert = b"\x3a\0\x05\x02\0\0\x01\0"
    for number in range(VARIANTS):
        group = socket.inet_pton(socket.AF_INET6, f"ff0e::{number + 1:x}")
        yield wire.icmp(MLD_ROUTERS, b"\x8f\0\0\0\0\0\0\x01\x04\0\0\0" + group, router_alert)


def garbage(wire):
    for _ in range(VARIANTS):
        yield b"\x33\x33\0\0\0\x01" + wire.mac + b"\x86\xdd" + random.randbytes(random.randrange(1, 500))


FLOODS = {"RS": solicitations, "NS": neighbour_solicitations, "DHCPv6": dhcp_solicits, "MLD": listener_reports,
          "garbage": garbage}


def is_icmp(frame, kind):
    return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == kind


def duid(mac):
    """A client identifier: a DUID of a link-layer address (RFC 9915 section 11.4)."""
    return b"\0\x01\0\x0a\0\x03\0\x01" + mac


def link_local(mac):
    identifier = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000") + identifier)


def checksum(source, to, next_header, message):
    """RFC 8200 section 8.1."""
    covered = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in (source, to))
    covered += struct.pack("!II", len(message), next_header) + message
    covered += bytes(len(covered) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff)


def attach_filter(sock, mac):
    """The kernel shows the socket only frames from this MAC, so that a flood does not wait in it."""
    program = [
        (0x20, 0, 0, 6),  # the first four bytes of the source
        (0x15, 0, 3, int.from_bytes(mac[:4], "big")),
        (0x28, 0, 0, 10),  # and the last two
        (0x15, 0, 1, int.from_bytes(mac[4:], "big")),
        (0x06, 0, 0, 0xffff),
        (0x06, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
