"""Logging in, accounts, roles: what clients ask of identity before they reach a network."""

import os
import stat
import urllib.error
import urllib.request

import openstack
import pytest
from conftest import Refused


def refusal(cloud, **auth):
    """What a login that must fail is told, without the request's id."""
    with pytest.raises(openstack.exceptions.SDKException) as refused:
        cloud.connect("hextet-demo", **auth).authorize()
    message = str(refused.value)
    assert "HTTP 401" in message
    return message.split("(Request-ID")[0]


def lower(shown):
    """The members as the API names them; the command line has titles for some resources."""
    return {name.lower().replace(" ", "_"): value for name, value in shown.items()}


def test_the_command_line_gets_a_token_and_the_catalogue(cloud):
    token = cloud.openstack("token", "issue", cloud="hextet")
    assert token["id"] and token["project_id"] and token["user_id"] and token["expires"]
    catalog = {service["Type"]: service for service in cloud.openstack("catalog", "list")}
    assert set(catalog) == {"identity", "network"}
    network = {endpoint["interface"]: endpoint for endpoint in catalog["network"]["Endpoints"]}
    assert set(network) == {"public", "internal", "admin"}
    assert network["public"]["url"] == cloud.url
    assert network["public"]["region_id"] == "RegionOne"


def test_the_files_with_passwords_are_readable_to_their_owner_alone(cloud):
    secret = {path for path in cloud.directory.iterdir() if path.suffix in (".yaml", ".toml")}
    secret = {path for path in secret if "password" in path.read_text()}
    assert cloud.clouds_yaml in secret
    for path in secret:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


def test_the_passwords_are_in_no_log(cloud):
    cloud.openstack("token", "issue")
    log = cloud.log.read_text()
    for entry in ("hextet", "hextet-demo"):
        auth = openstack.config.OpenStackConfig(
            config_files=[str(cloud.clouds_yaml)], load_envvars=False,
        ).get_one(cloud=entry).config["auth"]
        assert len(auth["password"]) >= 20
        assert auth["password"] not in log


def test_a_wrong_password_and_an_unknown_user_are_refused_alike(cloud):
    answers = [refusal(cloud, **auth) for auth in ({"password": "wrong"}, {"username": "nobody"})]
    assert answers[0] == answers[1]


def test_a_project_without_a_role_is_refused(cloud):
    refusal(cloud, project_name="admin")


def test_no_token_opens_no_list(cloud):
    for path in ("/v2.0/networks", "/v2.0/extensions", "/identity/v3/projects"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(cloud.url + path)
        assert refused.value.code == 401
        assert "X-Openstack-Request-Id" in refused.value.headers


def test_a_token_given_back_opens_nothing(cloud):
    connection = cloud.connect()
    token = connection.authorize()
    other = cloud.connect("hextet")
    headers = {"X-Subject-Token": token}
    assert other.identity.get("/auth/tokens", headers=headers).status_code == 200
    assert connection.identity.delete("/auth/tokens", headers=headers).status_code == 204
    assert other.identity.get("/auth/tokens", headers=headers).status_code == 404
    request = urllib.request.Request(f"{cloud.url}/v2.0/networks", headers={"X-Auth-Token": token})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401


def test_the_administrator_lists_what_there_is(cloud):
    def names(*words):
        return {row["Name"] for row in cloud.openstack(*words, cloud="hextet")}

    assert {"admin", "demo", "service"} <= names("project", "list")
    assert {"admin", "demo"} <= names("user", "list")
    assert names("role", "list") == {"admin", "manager", "member", "reader", "service"}
    assert names("domain", "list") == {"Default"}
    assert {row["Type"] for row in cloud.openstack("service", "list", cloud="hextet")} == {"identity", "network"}
    assert len(cloud.openstack("endpoint", "list", cloud="hextet")) == 6
    roles = cloud.openstack("role", "assignment", "list", "--names", cloud="hextet")
    assert {"Role": "member", "User": "demo@Default", "Project": "demo@Default"}.items() <= next(
        row for row in roles if row["User"] == "demo@Default"
    ).items()


def test_a_member_sees_its_own_project(cloud, demo):
    project = cloud.openstack("project", "show", "demo")
    assert project["id"] == demo.current_project_id
    for words in (["--my-projects"], []):
        assert {row["Name"] for row in cloud.openstack("project", "list", *words)} == {"demo"}
    with pytest.raises(Refused) as refused:
        cloud.openstack("project", "show", "admin")
    assert "admin" in str(refused.value)
    with pytest.raises(Refused) as refused:
        cloud.openstack("user", "list")
    assert "identity:list_users" in str(refused.value)


def test_the_administrator_makes_a_project_with_a_reader_and_takes_it_away(cloud, name):
    project, user = f"{name}-p", f"{name}-u"
    made = cloud.openstack("project", "create", "--description", "blue", project, cloud="hextet")
    assert made["enabled"] is True and made["description"] == "blue"
    cloud.openstack("user", "create", "--project", project, "--password", "pw-1", user, cloud="hextet")
    login = {"username": user, "password": "pw-1", "project_name": project}
    refusal(cloud, **login)

    role = ("--project", project, "--user", user)
    cloud.openstack("role", "add", *role, "reader", cloud="hextet", json_output=False)
    reader = cloud.connect("hextet-demo", **login)
    assert list(reader.network.networks()) == []
    with pytest.raises(openstack.exceptions.HttpException) as refused:
        reader.network.create_network(name=name)
    assert refused.value.status_code == 403

    cloud.openstack("role", "add", *role, "member", cloud="hextet", json_output=False)
    network = reader.network.create_network(name=name)
    assert network.project_id == made["id"]
    reader.network.delete_network(network)

    cloud.openstack("user", "set", "--password", "pw-2", user, cloud="hextet", json_output=False)
    refusal(cloud, **login)
    login["password"] = "pw-2"
    cloud.connect("hextet-demo", **login).authorize()

    cloud.openstack("role", "remove", *role, "member", cloud="hextet", json_output=False)
    cloud.openstack("user", "delete", user, cloud="hextet", json_output=False)
    cloud.openstack("project", "delete", project, cloud="hextet", json_output=False)
    refusal(cloud, **login)
    with pytest.raises(Refused):
        cloud.openstack("user", "show", user, cloud="hextet")


def test_a_name_that_is_taken_is_refused(admin, name):
    project = admin.identity.create_project(name=name)
    with pytest.raises(openstack.exceptions.ConflictException) as refused:
        admin.identity.create_project(name=name)
    assert name in str(refused.value)
    admin.identity.delete_project(project)
    assert admin.identity.find_project(name) is None


def test_what_identity_does_not_serve_is_refused(admin):
    with pytest.raises(openstack.exceptions.NotFoundException):
        list(admin.identity.groups())
    with pytest.raises(openstack.exceptions.BadRequestException) as refused:
        admin.identity.create_project(name="x", tags=["blue"])
    assert "tags" in str(refused.value)


def test_an_application_credential_logs_in_until_it_is_deleted(cloud, name):
    made = lower(cloud.openstack("application", "credential", "create", "--role", "reader", name))
    assert made["name"] == name and made["secret"]
    shown = lower(cloud.openstack("application", "credential", "show", name))
    assert shown["id"] == made["id"] and made["secret"] not in str(shown)
    assert name in {row["Name"] for row in cloud.openstack("application", "credential", "list")}
    login = {
        "OS_AUTH_TYPE": "v3applicationcredential", "OS_AUTH_URL": f"{cloud.url}/identity/v3",
        "OS_APPLICATION_CREDENTIAL_ID": made["id"], "OS_APPLICATION_CREDENTIAL_SECRET": made["secret"],
    }
    assert cloud.openstack("network", "list", **login) == []
    with pytest.raises(Refused) as refused:
        cloud.openstack("network", "create", name, **login)
    assert "403" in str(refused.value)
    with pytest.raises(Refused) as refused:
        cloud.openstack("application", "credential", "create", f"{name}-2", **login)
    assert "identity:create_application_credential" in str(refused.value)
    assert "demo" in cloud.hextet("identity", "project", "list", **login)
    with pytest.raises(Refused) as refused:
        cloud.openstack("application", "credential", "create", "--role", "admin", f"{name}-2")
    assert "admin" in str(refused.value)
    cloud.openstack("application", "credential", "delete", name, json_output=False)
    with pytest.raises(Refused) as refused:
        cloud.openstack("network", "list", **login)
    assert "401" in str(refused.value)


def test_a_credential_with_a_chosen_secret_and_an_end(cloud, name):
    made = lower(cloud.openstack(
        "application", "credential", "create", "--secret", "chosen", "--expiration", "2099-01-31T12:00:00",
        "--unrestricted", name,
    ))
    assert made["secret"] == "chosen" and made["unrestricted"] is True
    assert made["expires_at"].startswith("2099-01-31T12:00:00")
    cloud.openstack("application", "credential", "delete", made["id"], json_output=False)


def test_a_user_changes_its_own_password_and_a_disabled_one_is_out(cloud, name):
    cloud.openstack("user", "create", "--project", "demo", "--password", "pw-1", name, cloud="hextet")
    cloud.openstack("role", "add", "--project", "demo", "--user", name, "member", cloud="hextet", json_output=False)
    login = {
        "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_USERNAME": name, "OS_PASSWORD": "pw-1", "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    cloud.openstack(
        "user", "password", "set", "--original-password", "pw-1", "--password", "pw-2", json_output=False, **login,
    )
    refusal(cloud, username=name, password="pw-1")
    token = cloud.openstack("token", "issue", **{**login, "OS_PASSWORD": "pw-2"})["id"]
    cloud.openstack("user", "set", "--disable", name, cloud="hextet", json_output=False)
    refusal(cloud, username=name, password="pw-2")
    cloud.openstack("user", "set", "--enable", name, cloud="hextet", json_output=False)
    request = urllib.request.Request(f"{cloud.url}/v2.0/networks", headers={"X-Auth-Token": token})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401
    cloud.openstack("user", "delete", name, cloud="hextet", json_output=False)


def test_a_token_is_revoked_by_the_command_line(cloud):
    token = cloud.openstack("token", "issue")["id"]
    cloud.openstack("token", "revoke", token, cloud="hextet", json_output=False)
    request = urllib.request.Request(f"{cloud.url}/v2.0/networks", headers={"X-Auth-Token": token})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401


def test_the_region_and_the_roles_of_a_user_are_listed(cloud):
    assert [row["Region"] for row in cloud.openstack("region", "list", cloud="hextet")] == ["RegionOne"]
    words = ("role", "assignment", "list", "--user", "demo", "--project", "demo", "--names")
    assert [row["Role"] for row in cloud.openstack(*words, cloud="hextet")] == ["member"]
    effective = {row["Role"] for row in cloud.openstack(*words, "--effective", cloud="hextet")}
    assert effective == {"member", "reader"}
