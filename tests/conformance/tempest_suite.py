"""tempest and neutron-tempest-plugin as judges: `tempest run` on the classes of tempest-classes.txt.

tempest skips what an extension is wanted for that the server does not list; the list it is given is the server's own answer.
"""

import json
import pathlib
import re
import subprocess
import urllib.request

from cloud import REGION, environment
from outcome import FAILED, PASSED, SKIPPED, Outcome

HERE = pathlib.Path(__file__).resolve().parent

# Processes that run tests side by side.
WORKERS = 2

# How long all classes together may take, seconds.
RUN_WITHIN = 1800

# tempest's id of a test: class, name, and its tags.
TEST_ID = re.compile(r"^(?P<group>[\w.]+)\.(?P<test>\w+)(?:\[.*\])?(?:\([\w,.-]+\))?$")

# What is reported when a whole class could not be set up, or was not.
CLASS_ID = re.compile(r"^(?:setUpClass|tearDownClass) \((?P<group>[\w.]+)\)$")


def classes():
    """The classes that are run."""
    lines = (HERE / "tempest-classes.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class Tempest:
    """A workspace of tempest in a folder of its own."""

    def __init__(self, venv, directory):
        self.programs = pathlib.Path(venv) / "bin"
        self.directory = pathlib.Path(directory)

    def run(self, cloud):
        """Runs all classes. Outcomes of every test that tempest knows in them, none left out."""
        self._prepare(cloud)
        listed = self._list()
        missing = set(classes()) - {group for group, _ in listed}
        if missing:
            raise RuntimeError(f"tempest knows no test of {sorted(missing)}")
        with open(self.directory / "run.log", "wb") as log:
            self._call("tempest", "run", *self._workspace(), "--include-list", "include.txt",
                       "--concurrency", str(WORKERS), output=log, timeout=RUN_WITHIN, check=False)
        return complete(listed, self._results())

    def _prepare(self, cloud):
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [self.programs / "tempest", "init", "--name", "conformance", *self._workspace(named=False), self.directory],
            check=True, capture_output=True, env=environment(),
        )
        (self.directory / "etc/tempest.conf").write_text(configuration(cloud, self.directory))
        patterns = (f"^{re.escape(name)}\\.\n" for name in classes())
        (self.directory / "include.txt").write_text("".join(patterns))

    def _workspace(self, named=True):
        path = ["--workspace-path", self.directory.parent / "workspaces.yaml"]
        return [*(["--workspace", "conformance"] if named else []), *path]

    def _list(self):
        listed = self._call("tempest", "run", *self._workspace(), "--include-list", "include.txt", "--list-tests")
        return [found.group("group", "test") for found in map(TEST_ID.match, listed.splitlines()) if found]

    def _results(self):
        stream = self._call("stestr", "last", "--subunit", check=False, text=False)
        (self.directory / "results.subunit").write_bytes(stream)
        reader = HERE / "read_subunit.py"
        return json.loads(self._call("python", reader, "results.subunit"))

    def _call(self, program, *words, output=subprocess.PIPE, timeout=120, check=True, text=True):
        ran = subprocess.run(
            [self.programs / program, *words], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT if output is not subprocess.PIPE else subprocess.PIPE,
            timeout=timeout, text=text, env=environment(PATH=f"{self.programs}:/usr/bin:/bin"),
        )
        if check and ran.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(map(str, words))} failed:\n{ran.stdout}{ran.stderr}")
        return ran.stdout


def complete(listed, results):
    """Every listed test with its outcome; one that nothing was said of has the outcome of its class, or failed."""
    tests, whole_classes = {}, {}
    for result in results:
        in_class, test = CLASS_ID.match(result["id"]), TEST_ID.match(result["id"])
        if in_class:
            # A class that was skipped and then failed to clean up has failed.
            if whole_classes.get(in_class["group"], {}).get("status") != FAILED:
                whole_classes[in_class["group"]] = result
        elif test:
            tests[test.group("group", "test")] = result
        else:
            raise RuntimeError(f"tempest reported a test with a name that is not understood: {result['id']!r}")
    outcomes = []
    for group, test in listed:
        whole = whole_classes.get(group)
        result = tests.get((group, test))
        if result is None:
            result = whole or {"status": FAILED, "said": "tempest did not run it", "seconds": 0.0}
        elif whole and whole["status"] == FAILED and result["status"] == PASSED:
            result = whole
        outcomes.append(Outcome(group, test, result["status"], result["said"], result["seconds"]))
    order = {name: place for place, name in enumerate(classes())}
    return sorted(outcomes, key=lambda outcome: (order[outcome.group], outcome.test))


def configuration(cloud, directory):
    """tempest.conf: where the cloud is, who its administrator is, what it says that it can do."""
    admin = cloud.administrator()
    extensions = ",".join(sorted(listed_extensions(cloud)))
    return f"""[DEFAULT]
log_file = tempest.log
debug = false

[oslo_concurrency]
lock_path = {directory}/lock

[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = {admin["name"]}
admin_password = {admin["password"]}
admin_project_name = {admin["project"]}
admin_domain_name = Default

[identity]
auth_version = v3
uri_v3 = {cloud.auth_url}
region = {REGION}

[service_available]
neutron = true
nova = false
glance = false
cinder = false
swift = false
horizon = false

[network]
project_network_cidr = 10.100.0.0/16
project_network_v6_cidr = 2001:db8::/48

[network-feature-enabled]
api_extensions = {extensions}
ipv6 = true
ipv6_subnet_attributes = true

[neutron_plugin_options]
available_type_drivers = vxlan,flat
create_shared_resources = true
"""


def listed_extensions(cloud):
    """The aliases that the server answers with."""
    token = cloud.token()
    request = urllib.request.Request(f"{cloud.url}/v2.0/extensions", headers={"X-Auth-Token": token})
    with cloud.opener.open(request) as answer:
        return [extension["alias"] for extension in json.load(answer)["extensions"]]
