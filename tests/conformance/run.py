"""`make conformance`: a fresh server; tempest, neutron-tempest-plugin and gophercloud as its judges; docs/conformance.md.

Exits with 0 when everything is as the document says, with 1 when not.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import document
import gophercloud
from cloud import Cloud
from outcome import FAILED, PASSED, SKIPPED, by_group
from tempest_suite import Tempest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "target/conformance"
VENV = TARGET / "venv"


def main():
    arguments = parse()
    directory = TARGET / ("postgresql" if arguments.database else "sqlite")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    began = time.monotonic()
    cloud = Cloud(arguments.binary, directory / "cloud", arguments.database)
    cloud.start()
    try:
        outcomes = Tempest(VENV, directory / "tempest").run(cloud)
        outcomes += gophercloud.run(cloud, TARGET / "gophercloud")
    finally:
        cloud.stop()
    seconds = round(time.monotonic() - began)
    update = "HEXTET_UPDATE" in os.environ
    found = document.problems(outcomes, versions(), update)
    found += [f"the server logged: {line}" for line in cloud.log.read_text().splitlines() if " ERROR " in line]
    results = directory / "results.json"
    write(results, outcomes, seconds)
    show(outcomes)
    for problem in found:
        print(f"\n!! {problem}")
    print(f"\n{totals(outcomes)}, {seconds} s; every word of it: {results.relative_to(ROOT)}")
    return 1 if found else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=ROOT / "target/debug/hextet", type=pathlib.Path)
    parser.add_argument("--database", help="the URL of an empty PostgreSQL database; SQLite without it")
    return parser.parse_args()


def versions():
    """The judges' versions."""
    installed = subprocess.run(
        [VENV / "bin/pip", "list", "--format=json", "--disable-pip-version-check"],
        check=True, capture_output=True, text=True,
    )
    packages = {package["name"]: package["version"] for package in json.loads(installed.stdout)}
    pypi = [f"{name} {packages[name]}" for name in ("tempest", "neutron-tempest-plugin")]
    return [*pypi, f"gophercloud {gophercloud.version()}"]


def write(path, outcomes, seconds):
    """What a program can read of it."""
    result = {
        "versions": versions(),
        "seconds": seconds,
        "classes": {group: dict(counts) for group, counts in by_group(outcomes).items()},
        "tests": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(result, indent=1))


def show(outcomes):
    """Passed, failed and skipped by class."""
    print(f"{'passed':>6} {'failed':>6} {'skipped':>7}")
    for group, counts in by_group(outcomes).items():
        print(f"{counts[PASSED]:>6} {counts[FAILED]:>6} {counts[SKIPPED]:>7}  {group}")


def totals(outcomes):
    counted = (f"{sum(one.status == status for one in outcomes)} {status}" for status in (PASSED, FAILED, SKIPPED))
    return f"{len(outcomes)} tests: {', '.join(counted)}"


if __name__ == "__main__":
    sys.exit(main())
