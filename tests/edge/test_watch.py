"""What those who watch the server see: metrics, health, the log, the check of a configuration."""

import json
import subprocess
import time

from conftest import WITHIN
from prometheus_client.openmetrics.parser import text_string_to_metric_families

# Longer than a request's target may be, bytes.
LONG = 40_000

TYPES = {
    "hextet_http_request_duration_seconds": "histogram",
    "hextet_http_refused": "counter",
    "hextet_http_requests_under_way": "gauge",
    "hextet_http_connections": "gauge",
    "hextet_http_connections_accepted": "counter",
    "hextet_http_connections_evicted": "counter",
    "hextet_model_revision": "gauge",
    "hextet_ports": "gauge",
    "hextet_store_commits": "counter",
    "hextet_store_commits_failed": "counter",
    "hextet_store_commit_seconds": "counter",
    "hextet_store_writes": "counter",
    "hextet_store_statements": "counter",
    "hextet_store_round_trips": "counter",
    "hextet_store_redo_damaged": "counter",
    "hextet_store_writes_waiting": "gauge",
    "hextet_feed_hosts": "gauge",
    "hextet_feed_hosts_behind": "gauge",
    "hextet_feed_revisions_behind_max": "gauge",
    "hextet_feed_lagged": "counter",
    "hextet_logins": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_start_time_seconds": "gauge",
}


AGENT_TYPES = {
    "hextet_agent_frames": "counter",
    "hextet_agent_frame_bytes": "counter",
    "hextet_agent_frames_unattributed": "counter",
    "hextet_agent_ring": "counter",
    "hextet_agent_punts": "counter",
    "hextet_agent_answers": "counter",
    "hextet_agent_drops": "counter",
    "hextet_agent_unsent": "counter",
    "hextet_agent_segment_adverts_unheard": "counter",
    "hextet_agent_machines_restarted": "counter",
    "hextet_agent_ports": "gauge",
    "hextet_agent_claims": "gauge",
    "hextet_agent_learned_addresses": "gauge",
    "hextet_agent_dhcp_options_unknown": "gauge",
    "hextet_agent_table_rows": "gauge",
    "hextet_agent_table_rows_max": "gauge",
    "hextet_agent_feed_connected": "gauge",
    "hextet_agent_feed_since_timestamp_seconds": "gauge",
    "hextet_agent_feed_connections": "counter",
    "hextet_agent_plan_revision": "gauge",
    "hextet_agent_reconcile_passes": "counter",
    "hextet_agent_reconcile_failures": "counter",
    "hextet_agent_reconcile_changes": "counter",
    "hextet_agent_pins_repaired": "counter",
    "hextet_agent_programs_taken_off": "counter",
    "hextet_agent_rows_refused": "counter",
    "hextet_agent_reconcile_seconds": "counter",
    "hextet_agent_reconcile_last_timestamp_seconds": "gauge",
    "hextet_agent_ledger_failures": "counter",
    "hextet_agent_metrics_evicted": "counter",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_start_time_seconds": "gauge",
}


def figures(cloud, url=None):
    """What the real parser reads: types by name, and values by name and labels."""
    status, headers, text = cloud.ask("", url=url or cloud.metrics_url)
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text")
    families = list(text_string_to_metric_families(text))
    types = {family.name: family.type for family in families}
    values = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families for sample in family.samples
    }
    return types, values


def test_metrics_are_valid_and_move(cloud):
    token = cloud.token("demo")
    _, before = figures(cloud)
    for _ in range(3):
        assert cloud.ask("/v2.0/networks", token)[0] == 200
    assert cloud.ask("/v2.0/ports/x", token)[0] == 404
    assert cloud.ask("/v2.0/networks?name=" + "x" * LONG, token)[0] == 414
    assert cloud.log_in("demo", "wrong", "demo")[0] == 401
    status, _, body = cloud.ask("/v2.0/networks", token, method="POST", body={"network": {}})
    assert status == 201
    network = json.loads(body)["network"]["id"]
    status, _, _ = cloud.ask("/v2.0/ports", token, method="POST", body={"port": {"network_id": network}})
    assert status == 201
    types, after = figures(cloud)
    # A counter by a label that says why is there once it has counted.
    assert {name: types[name] for name in TYPES} == TYPES

    def grown(name, **labels):
        key = (name, *sorted(labels.items()))
        return after.get(key, 0) - before.get(key, 0)

    count = "hextet_http_request_duration_seconds_count"
    assert grown(count, route="/v2.0/networks", method="GET", status="2xx") == 3
    assert grown(count, route="/v2.0/networks", method="POST", status="2xx") == 1
    assert grown(count, route="/v2.0/ports/{id}", method="GET", status="4xx") == 1
    assert grown("hextet_http_refused_total", reason="uri_too_long") == 1
    assert grown("hextet_logins_total", outcome="failed") == 1
    assert grown("hextet_ports", status="DOWN") == 1
    assert grown("hextet_model_revision") >= 2
    assert grown("hextet_store_commits_total") >= 2
    assert grown("hextet_store_commit_seconds_total") > 0
    assert after[("hextet_feed_hosts",)] == 1
    assert after[("process_resident_memory_bytes",)] > 1e6
    # Nothing in a label names a resource, a user or a project.
    assert not any(network in str(key) for key in after)


def test_the_agents_metrics_are_valid(cloud):
    types, values = figures(cloud, cloud.agent_metrics_url)
    assert types == AGENT_TYPES
    assert values[("hextet_agent_feed_connected",)] == 1
    assert values[("hextet_agent_reconcile_failures_total",)] == 0
    assert values[("hextet_agent_table_rows_max", ("table", "ports"))] > 1000
    # A counter that may come later would be no counter from the start.
    kinds = [labels for name, *labels in values if name == "hextet_agent_answers_total"]
    protocols = {dict(labels)["protocol"] for labels in kinds}
    assert {"ra", "na", "ns", "arp", "dhcpv6", "dhcpv4"} <= protocols


def test_metrics_are_not_at_the_public_address(cloud):
    for token in (None, cloud.token("admin")):
        assert cloud.ask("/metrics", token)[0] == 404


def test_health_says_what_works(cloud):
    status, _, body = cloud.ask("/healthz")
    assert status == 200
    assert json.loads(body) == {"status": "ok", "parts": {"api": "ok", "feed": "ok", "store": "ok"}}


def test_the_log_holds_a_request_under_the_id_that_its_client_was_told(cloud):
    token = cloud.token("demo")
    _, headers, _ = cloud.ask("/v2.0/subnets?name=none", token)
    told = headers["X-Openstack-Request-Id"]
    deadline = time.monotonic() + WITHIN
    mine = []
    # The line is written once the answer is on its way.
    while not mine and time.monotonic() < deadline:
        text = cloud.log.read_text()
        objects = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        mine = [line for line in objects if line.get("span", {}).get("id") == told]
    assert len(mine) == 1, text[-2000:]
    assert mine[0]["fields"]["route"] == "/v2.0/subnets" and mine[0]["fields"]["status"] == 200
    assert mine[0]["span"]["user"] and mine[0]["span"]["project"]
    assert token not in text


def test_a_configuration_is_checked_without_a_server(cloud, tmp_path):
    def check(path):
        return subprocess.run(
            [cloud.binary, "server", "--config", path, "--check-config"],
            capture_output=True, text=True, timeout=WITHIN,
        )

    assert check(cloud.config).returncode == 0
    wrong = tmp_path / "server.toml"
    wrong.write_text("acess_log = false\n" + cloud.config.read_text())
    refused = check(wrong)
    assert refused.returncode == 1 and "unknown field `acess_log`" in refused.stderr, refused.stderr
