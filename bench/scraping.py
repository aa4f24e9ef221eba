"""The row `scrape`: what a reader of /metrics costs, on a host with a thousand ports and of a server with ten thousand."""

import http.client
import os
import statistics
import time

from cloud import Cloud
from netns import hurry, in_netns, processor_time
from serving import LOAD, Bed, each

AGENT, SERVER = 9699, 9698  # where they show their figures, on the loopback
PORTS = 10  # of the server, for each that the host has
LOOKS = 5  # of a run
REST = 1.2  # seconds between two looks: within one the agent gives the same figures again
TARGET_MS = 15  # a thousandth of a core for a reader that comes every 15 s


def scrape(report, folder, size):
    listen = {name: f'metrics_listen = "[::1]:{port}"' for name, port in (("agent", AGENT), ("server", SERVER))}
    with Bed(folder, one=size.many, settings=listen) as cloud:
        told = [looks(cloud, AGENT, cloud.agent) for _ in range(size.runs)]
    tell(report, f"a host of {size.many} ports", told)
    of_server = os.path.join(folder, "server")
    os.mkdir(of_server)
    with Cloud(of_server, settings=listen) as cloud:
        network = cloud.networks(1, "slaac")
        cloud.unbound_ports(network * (size.many * PORTS))
        told = [looks(cloud, SERVER, cloud.server) for _ in range(size.runs)]
    tell(report, f"a server of {size.many * PORTS} ports", told)


def looks(cloud, port, process):
    """A run: each look's duration and the process's processor time for it, both medians in ms, and how long the answer was."""
    def look():
        os.sched_setaffinity(0, {LOAD})
        hurry([0])
        reader = http.client.HTTPConnection("::1", port, timeout=20)
        begun = time.monotonic()
        reader.request("GET", "/metrics")
        text = reader.getresponse().read()
        took = time.monotonic() - begun
        reader.close()
        if not text.endswith(b"# EOF\n"):
            raise SystemExit(f"no figures: {text[-200:]}")
        return took, len(text)

    times, used = [], []
    for _ in range(LOOKS):
        time.sleep(REST)
        before = processor_time([process.pid])
        took, size = in_netns(cloud.netns, look)
        used.append(1e3 * (processor_time([process.pid]) - before))
        times.append(1e3 * took)
    return {"ms": statistics.median(times), "cpu_ms": statistics.median(used), "bytes": size}


def tell(report, whose, told):
    report.add(f"processor time of a look at the figures of {whose}", "ms", each(told, "cpu_ms"), target=TARGET_MS)
    report.add("how long it took", "ms", each(told, "ms"), note=f"{told[-1]['bytes']:,} bytes")
