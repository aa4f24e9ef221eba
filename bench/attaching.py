"""The row `attach`: what the agent takes for one port, and for the guests of a host that starts."""

import subprocess
import time

from cloud import Cloud
from netns import GUESTS, start

FEW = 25  # ports that are attached one after the other


def attach(report, folder, size):
    with Cloud(folder) as cloud:
        network = cloud.networks(1, "slaac")[0]
        first = cloud.ports([network] * FEW)
        report.add(f"attach of a port, the first {FEW} of a host", "ms", cloud.attach(first, "a")["ms"], target=5)
        rest = cloud.ports([network] * (size.host - 2 * FEW))
        took = cloud.attach(rest, "b", at_once=64)["seconds"]
        last = cloud.ports([network] * FEW)
        times = cloud.attach(last, "c")["ms"]
        report.add(f"attach of a port, the last {FEW} of {size.host}", "ms", times, target=5,
                   note=f"worst {max(times):.1f} ms; the {len(rest)} before, 64 at once: {took:.2f} s")
        starts = [start_of_host(cloud, size.host) for _ in range(size.runs)]
        report.add(f"{size.host} guests at host start, until each has had an RA", "s", starts, target=2)


def start_of_host(cloud, count):
    cloud.stop_agent()
    cloud.forget_links()
    return served_after(cloud.guests, "", count, cloud.start_agent)


def served_after(netns, prefix, count, begin):
    """Seconds from `begin` until a router has been heard on so many links of the namespace."""
    command = [GUESTS, "served", "--links", prefix, "--count", str(count)]
    waiting = start(netns, command, stdout=subprocess.PIPE, text=True)
    try:
        assert waiting.stdout.readline() == "ready\n"
        begun = time.monotonic()
        begin()
        assert waiting.stdout.readline().startswith("{"), "they were not served"
        return time.monotonic() - begun
    finally:
        waiting.kill()
        waiting.wait()
