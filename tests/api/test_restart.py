"""What a second `hextet up` on the same folder finds. A cloud of its own, because it is stopped."""

from conftest import Cloud


def test_resources_logins_and_tokens_outlast_a_restart(tmp_path, no_proxy):
    cloud = Cloud(tmp_path / "cloud")
    cloud.start()
    try:
        demo = cloud.connect()
        network = demo.network.create_network(name="kept")
        token, written = demo.authorize(), cloud.clouds_yaml.read_text()
        url = cloud.url
        cloud.stop()
        cloud.start()
        assert cloud.url == url, "the address is written down at the first start"
        assert cloud.clouds_yaml.read_text() == written
        again = cloud.connect()
        assert again.network.get_network(network.id).name == "kept"
        headers = {"X-Subject-Token": token}
        assert again.identity.get("/auth/tokens", headers=headers).status_code == 200
    finally:
        cloud.take_down()


def test_passwords_that_open_nothing_are_not_written(tmp_path, no_proxy):
    """The file of first accounts may be put away; a start on a database with an administrator makes no other one."""
    cloud = Cloud(tmp_path / "cloud")
    cloud.start()
    try:
        accounts = cloud.directory / "identity.toml"
        assert accounts.exists()
        cloud.stop()
        accounts.unlink()
        cloud.start()
        assert not accounts.exists()
        assert cloud.connect().authorize()
    finally:
        cloud.take_down()
