"""gophercloud's acceptance tests as judges: Debian's package of its source, built with Debian's Go, nothing downloaded."""

import json
import os
import pathlib
import subprocess

from cloud import REGION, environment
from outcome import FAILED, PASSED, SKIPPED, Outcome

HERE = pathlib.Path(__file__).resolve().parent

# Debian's Go, and where its packages keep source.
GO = "/usr/bin/go"
GOPATH = "/usr/share/gocode"

# The package that all of its packages are below.
PACKAGE = "github.com/gophercloud/gophercloud/acceptance/openstack/networking/v2"

# The files with these tags are the ones for networking.
TAGS = "acceptance networking"

# How long building or running the tests of one package may take, seconds.
PACKAGE_WITHIN = 300

# What its set-up wants to be told of Nova and of an external network before one test lists networks. There is none of
# this here; what the test then misses is a network that is external.
ABSENT = {
    "OS_IMAGE_ID": "absent", "OS_FLAVOR_ID": "absent", "OS_FLAVOR_ID_RESIZE": "absent too",
    "OS_POOL_NAME": "absent", "OS_EXTGW_ID": "absent",
}

STATUSES = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}


def tests():
    """Package to the names of its tests, in the order of the list."""
    packages = {}
    for line in (HERE / "gophercloud-tests.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            package, test = line.split()
            packages.setdefault(package, []).append(test)
    return packages


def version():
    """The version of Debian's package."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", "golang-github-gophercloud-gophercloud-dev"],
        check=True, capture_output=True, text=True,
    )
    return shown.stdout


def run(cloud, directory):
    """Builds and runs them. Outcomes of every test of the list."""
    directory.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for package, names in tests().items():
        program = _build(package, directory)
        known = _call([program, "-test.list", "."], directory).split()
        missing = set(names) - set(known)
        if missing:
            raise RuntimeError(f"gophercloud has no test {sorted(missing)} in {package}")
        outcomes += _run(cloud, program, package, names, directory)
    return outcomes


def _go_environment(directory):
    return environment(
        GO111MODULE="off", GOPATH=GOPATH, GOPROXY="off", GOFLAGS="", GOTOOLCHAIN="local",
        GOCACHE=str(directory / "cache"),
    )


def _build(package, directory):
    program = directory / (package.replace("/", "-").replace(".", "v2") + ".test")
    whole = PACKAGE if package == "." else f"{PACKAGE}/{package}"
    _call([GO, "test", "-c", "-tags", TAGS, "-o", program, whole], directory)
    return program


def _call(command, directory):
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=PACKAGE_WITHIN, cwd=directory, env=_go_environment(directory),
    )
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(map(os.fspath, command))} failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def _run(cloud, program, package, names, directory):
    admin = cloud.administrator()
    signed_in = {
        "OS_AUTH_URL": cloud.auth_url, "OS_USERNAME": admin["name"], "OS_PASSWORD": admin["password"],
        "OS_PROJECT_NAME": admin["project"], "OS_DOMAIN_NAME": "Default", "OS_REGION_NAME": REGION,
    }
    ran = subprocess.run(
        [GO, "tool", "test2json", program, "-test.v", "-test.run", f"^({'|'.join(names)})$"],
        capture_output=True, text=True, timeout=PACKAGE_WITHIN, cwd=directory,
        env={**_go_environment(directory), **signed_in, **ABSENT},
    )
    (directory / (program.name + ".log")).write_text(ran.stdout + ran.stderr)
    group = "gophercloud" if package == "." else f"gophercloud.{package.replace('/', '.')}"
    return [Outcome(group, name, *_said(name, ran.stdout)) for name in names]


def _said(name, stream):
    """What became of one test: status, what it said, seconds."""
    status, said, seconds = FAILED, [], 0.0
    for event in map(json.loads, stream.splitlines()):
        if event.get("Test", "").split("/")[0] != name:
            continue
        if event["Action"] == "output":
            said.append(event["Output"])
        elif event["Action"] in STATUSES and event["Test"] == name:
            status, seconds = STATUSES[event["Action"]], event.get("Elapsed", 0.0)
    return status, "" if status == PASSED else "".join(said).strip() or "it did not run to its end", seconds
