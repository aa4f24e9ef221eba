"""Quotas: read by the project, set by the administrator, enforced."""

import openstack
import pytest
from conftest import CLI, Refused


@pytest.fixture
def project(demo, admin):
    """The demo project's id; its limits are the defaults afterwards."""
    project = demo.current_project_id
    yield project
    admin.network.delete(f"/quotas/{project}")


def test_the_sdk_reads_sets_and_deletes_quotas(demo, admin, project):
    quota = demo.network.get_quota(project)
    assert (quota.networks, quota.subnets, quota.ports) == (100, 100, 500)
    admin.network.update_quota(project, networks=20, ports=-1)
    quota = demo.network.get_quota(project)
    assert (quota.networks, quota.subnets, quota.ports) == (20, 100, -1)
    assert [own.project_id for own in admin.network.quotas()] == [project]
    assert demo.network.get_quota_default(project).networks == 100
    details = demo.network.get_quota(project, details=True)
    used = len(list(demo.network.networks(project_id=project)))
    assert (details.networks["limit"], details.networks["used"]) == (20, used)
    with pytest.raises(openstack.exceptions.HttpException) as refused:
        demo.network.update_quota(project, networks=21)
    assert refused.value.status_code == 403
    admin.network.delete_quota(project)
    assert demo.network.get_quota(project).networks == 100


def test_the_command_line_sets_and_shows_a_quota(cloud, admin, project):
    def set_quota():
        cloud.openstack("quota", "set", "--networks", "33", project, cloud="hextet", json_output=False)

    if CLI > (6, 0):
        set_quota()
        rows = cloud.openstack("quota", "show", "--network", project, cloud="hextet")
        assert {row["Resource"]: row["Limit"] for row in rows}["networks"] == 33
    else:
        # It asks Nova first, whatever is to be set or shown; a list can be of the network's alone.
        with pytest.raises(Refused, match="endpoint for compute service in RegionOne region not found"):
            set_quota()
        admin.network.update_quota(project, networks=33)
        rows = cloud.openstack("quota", "list", "--network", cloud="hextet")
        assert [(row["Project ID"], row["Networks"]) for row in rows] == [(project, 33)]


def test_a_full_project_makes_no_more(cloud, demo, admin, project, network):
    ports = len(list(demo.network.ports(project_id=project)))
    admin.network.update_quota(project, ports=ports + 1)
    cloud.openstack("port", "create", "--network", network.id, f"{network.name}-1")
    with pytest.raises(Refused) as refused:
        cloud.openstack("port", "create", "--network", network.id, f"{network.name}-2")
    assert "Quota exceeded" in str(refused.value)
    answer = demo.network.post("/ports", json={"port": {"network_id": network.id}})
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (409, "OverQuota")
