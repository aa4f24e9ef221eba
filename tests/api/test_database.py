"""Copies of the database, as an operator makes them and puts them back. A cloud of its own, because it is stopped."""

import subprocess
import threading

from conftest import COMMAND_WITHIN, Cloud, environment


def db(cloud, *words):
    """`hextet db` on this cloud: exit code, standard output, standard error."""
    ran = subprocess.run(
        [cloud.binary, "--dir", cloud.directory, "db", *words],
        capture_output=True, text=True, timeout=COMMAND_WITHIN, env=environment(),
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_a_copy_of_the_running_cloud_is_put_back(tmp_path, no_proxy):
    cloud = Cloud(tmp_path / "cloud")
    copy = tmp_path / "copy.db"
    cloud.start()
    try:
        demo = cloud.connect()
        kept = demo.network.create_network(name="kept")
        done = threading.Event()
        made = []

        def write():
            while not done.is_set() and len(made) < 90:
                made.append(demo.network.create_network(name="meanwhile").id)

        writer = threading.Thread(target=write)
        writer.start()
        assert db(cloud, "backup", copy) == (0, f"backup {copy}\n", "")
        done.set()
        writer.join()
        assert db(cloud, "check", "--file", copy) == (0, f"sound {copy}\n", "")
        assert db(cloud, "check") == (0, f"sound {cloud.directory}/hextet.db\n", "")
        code, _, told = db(cloud, "backup", copy)
        assert code == 1 and f"{copy} is there already" in told
        lost = demo.network.create_network(name="after the copy")
        code, _, told = db(cloud, "restore", copy)
        assert code == 1 and "stop it first" in told

        cloud.stop()
        code, told, errors = db(cloud, "restore", copy)
        assert code == 0, errors
        restored, before = told.splitlines()
        assert restored == f"restored {cloud.directory}/hextet.db"
        assert before.startswith(f"before {cloud.directory}/hextet.db.replaced-")
        cloud.start()
        again = cloud.connect()
        ids = {network.id for network in again.network.networks()}
        assert kept.id in ids and lost.id not in ids
        # Of what was written meanwhile the copy has the first ones, without a gap.
        assert [network for network in made if network in ids] == made[:len(ids) - 1]
        again.network.create_network(name="and on")
    finally:
        cloud.take_down()
