"""`hextet identity`, judged by what the openstack command then sees, and the way back in without an administrator."""

import json
import urllib.error
import urllib.request

import pytest
from conftest import Cloud, Refused


def identity(cloud, *words, **more):
    return cloud.hextet("identity", *words, **more)


def login(cloud, user, password, project):
    return {
        "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_USERNAME": user, "OS_PASSWORD": password, "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
    }


def is_open(cloud, token):
    request = urllib.request.Request(f"{cloud.url}/v2.0/networks", headers={"X-Auth-Token": token})
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as refused:
        assert refused.code == 401
        return False
    return True


def test_a_project_with_a_user_from_the_first_verb_to_the_last(cloud, name):
    project, user = f"{name}-p", f"{name}-u"
    made = json.loads(identity(cloud, "project", "create", project, "--description", "blue", "-f", "json"))
    assert cloud.openstack("project", "show", project, cloud="hextet")["id"] == made["id"]
    made = json.loads(identity(cloud, "user", "create", user, "--project", project, "--role", "reader", "-f", "json"))
    assert len(made["password"]) >= 32
    first = login(cloud, user, made["password"], project)
    assert cloud.openstack("network", "list", **first) == []

    identity(cloud, "role", "grant", "member", "--user", user, "--project", project)
    held = json.loads(identity(cloud, "role", "list", "--user", user, "--format", "json"))
    assert {row["role"]["name"] for row in held} == {"reader", "member"}
    with pytest.raises(Refused) as refused:
        identity(cloud, "role", "grant", "king", "--user", user, "--project", project)
    assert all(role in str(refused.value) for role in ["king", "admin", "manager", "member", "reader", "service"])
    identity(cloud, "role", "revoke", "member", "--user", user, "--project", project)
    table = identity(cloud, "role", "list", "--user", user)
    assert table.split() == ["USER", "ROLE", "PROJECT", user, "reader", project]

    assert identity(cloud, "user", "password", user, "--password-stdin", stdin="pw-2\n") == ""
    with pytest.raises(Refused):
        cloud.openstack("network", "list", **first)
    second = login(cloud, user, "pw-2", project)
    assert cloud.openstack("network", "list", **second) == []
    third = identity(cloud, "user", "password", user).strip()
    assert cloud.openstack("network", "list", **login(cloud, user, third, project)) == []

    identity(cloud, "user", "set", user, "--disable", "--description", "away")
    with pytest.raises(Refused):
        cloud.openstack("network", "list", **login(cloud, user, third, project))
    row = next(line for line in identity(cloud, "user", "list").splitlines() if user in line)
    assert row.split()[2:] == ["no", "away"]
    identity(cloud, "user", "set", user, "--enable", "--name", f"{user}2")
    assert cloud.openstack("network", "list", **login(cloud, f"{user}2", third, project)) == []
    identity(cloud, "user", "delete", f"{user}2")
    identity(cloud, "project", "set", project, "--disable")
    identity(cloud, "project", "delete", project)
    for noun, gone in [("project", project), ("user", user)]:
        with pytest.raises(Refused) as refused:
            identity(cloud, noun, "delete", gone)
        assert f'no {noun} has the name or the id "{gone}"' in str(refused.value)


def test_a_credential_is_made_and_ends(cloud, name):
    made = json.loads(identity(cloud, "credential", "create", name, "--role", "reader", "-f", "json"))
    robot = {
        "OS_AUTH_URL": f"{cloud.url}/identity", "OS_APPLICATION_CREDENTIAL_ID": made["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": made["secret"],
    }
    assert name in identity(cloud, "credential", "list", **robot)
    with pytest.raises(Refused) as refused:
        identity(cloud, "user", "list", **robot)
    assert "identity:list_users" in str(refused.value)
    identity(cloud, "credential", "delete", name)
    with pytest.raises(Refused) as refused:
        identity(cloud, "credential", "list", **robot)
    assert "login refused" in str(refused.value)
    chosen = identity(cloud, "credential", "create", name, "--secret-stdin", stdin="chosen\n")
    assert "chosen" not in chosen
    identity(cloud, "credential", "delete", name)
    with pytest.raises(Refused) as refused:
        identity(cloud, "credential", "create", name, "--expires", "tomorrow")
    assert "expires_at" in str(refused.value)


def test_a_token_is_given_back_and_keys_are_rotated(tmp_path, no_proxy):
    cloud = Cloud(tmp_path / "cloud")
    cloud.start()
    try:
        token = cloud.openstack("token", "issue")["id"]
        other = cloud.openstack("token", "issue")["id"]
        identity(cloud, "revoke-token", stdin=f"{token}\n")
        assert not is_open(cloud, token) and is_open(cloud, other)
        with pytest.raises(Refused) as refused:
            identity(cloud, "revoke-token", stdin="")
        assert "standard input" in str(refused.value)
        assert identity(cloud, "rotate-keys").strip().endswith("earlier keys that still verify: 1")
        assert is_open(cloud, other)
        assert identity(cloud, "rotate-keys", "--end-tokens").strip().endswith("still verify: 0")
        assert not is_open(cloud, other)
        assert cloud.openstack("network", "list") == []
    finally:
        cloud.take_down()


def test_an_administrator_is_recovered_while_the_server_is_stopped(tmp_path, no_proxy):
    cloud = Cloud(tmp_path / "cloud")
    cloud.start()
    try:
        kept = cloud.openstack("network", "create", "kept")
        for verb in [["user", "set", "admin", "--disable"], ["user", "delete", "admin"], ["project", "delete", "admin"],
                     ["role", "revoke", "admin", "--user", "admin", "--project", "admin"]]:
            with pytest.raises(Refused) as refused:
                identity(cloud, *verb)
            assert "Nobody would be left who can administrate this cloud" in str(refused.value)
        # Nobody has noted the password.
        identity(cloud, "user", "password", "admin")
        with pytest.raises(Refused) as refused:
            identity(cloud, "user", "list")
        assert "login refused" in str(refused.value)
        with pytest.raises(Refused) as refused:
            identity(cloud, "recover-admin")
        assert "is the server stopped?" in str(refused.value) and "in use" in str(refused.value)
        cloud.stop()
        told = identity(cloud, "recover-admin", "--password-stdin", stdin="new-pw\n")
        assert told == "recovered user admin of project admin, role admin\n"
        told = identity(cloud, "recover-admin", "second").split()
        assert told[:3] == ["made", "user", "second"] and told[-2] == "password"
        cloud.start()
        for user, password in [("admin", "new-pw"), ("second", told[-1])]:
            users = identity(cloud, "user", "list", **login(cloud, user, password, "admin"))
            assert "second" in users
        assert cloud.openstack("network", "show", "kept")["id"] == kept["id"]
        for log in [cloud.log.read_text()]:
            assert "new-pw" not in log and told[-1] not in log
    finally:
        cloud.take_down()


def test_the_verbs_teach(cloud):
    for verb in [[], ["user", "create"], ["credential", "create"], ["rotate-keys"], ["recover-admin"], ["revoke-token"]]:
        assert "Example" in identity(cloud, *verb, "--help")
