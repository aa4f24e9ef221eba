"""Commands and functions in network namespaces."""

import ctypes
import json
import os
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILT = os.environ.get("HEXTET_BENCH_BUILT", os.path.join(ROOT, "target/release"))
HEXTET = os.path.join(BUILT, "hextet")
GUESTS = os.path.join(BUILT, "hextet-guests")
CLONE_NEWNET = 0x40000000


def in_netns(name, function, quiet=False):
    """Runs the function in a child that has entered the namespace; its result is what JSON can say. Says why it failed,
    unless it is to be quiet."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter(name)
            with os.fdopen(write, "w") as pipe:
                json.dump(function(), pipe)
        except BaseException as error:
            if not quiet:
                print(f"bench: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("bench: the measurement failed")
    return json.loads(answer)


def enter(name):
    with open(f"/run/netns/{name}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def request(netns, url, body, headers, method="POST", quiet=False):
    """One request from within the namespace: the cloud listens on its loopback."""
    def ask():
        question = urllib.request.Request(url, body and json.dumps(body).encode(), {"Content-Type": "application/json", **headers},
                                         method=method)
        with urllib.request.urlopen(question, timeout=60) as answer:
            text = answer.read()
            return [json.loads(text) if text else None, {key.title(): value for key, value in answer.headers.items()}]
    return in_netns(netns, ask, quiet)


def start(netns, command, core=None, hurried=False, **options):
    """A process in a namespace, on one core if that is said, and with real-time priority, so that what else the machine
    does is not measured."""
    def settle():
        enter(netns)
        if core is not None:
            os.sched_setaffinity(0, {core})
        if hurried:
            hurry([0])
    return subprocess.Popen(command, preexec_fn=settle, **options)


def guests(netns, *arguments, core=None, hurried=True):
    """Runs the load in a namespace; what it measured."""
    process = start(netns, [GUESTS, *map(str, arguments)], core=core, hurried=hurried, stdout=subprocess.PIPE, text=True)
    try:
        out, _ = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        sys.exit(f"bench: the load failed: {' '.join(map(str, arguments))}")
    return json.loads(out.splitlines()[-1])


def wait_for(what, is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"bench: waited in vain until {what}")
        time.sleep(0.05)


def wait_for_carriers(netns, count):
    """Until so many links of the namespace have one, and the kernel says so."""
    def up():
        shown = subprocess.run(["ip", "-n", netns, "-o", "link"], stdout=subprocess.PIPE, text=True, check=True)
        return shown.stdout.count("state UP")
    wait_for(f"{count} links have a carrier", lambda: up() >= count)


def nsenter(netns):
    return ["nsenter", f"--net=/run/netns/{netns}", "--"]


def inside(netns, *command, text=None):
    run(*nsenter(netns), *command, text=text)


def run(*command, text=None):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, input=text, text=True)


def descendants(parent):
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                above = int(file.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        if above == parent:
            yield int(name)
            yield from descendants(int(name))


def hurry(pids):
    """Real-time priority, so that what else runs on the machine is not measured; 0 is the caller."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid or 'self'}/task"):
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(10))


def words(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")


def processor_time(pids):
    """Of all their threads, seconds. What the kernel does for them in their system calls is in it, and what it does in
    interrupts that meet them."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e9
