"""Many clients that say nothing, beside those who work."""

import json
import socket

# Connections that only lie there.
IDLE = 1000
# Requests beside them.
REQUESTS = 200


def test_a_thousand_idle_connections_keep_nobody_from_being_served(cloud):
    token = cloud.token("demo")
    idle = [socket.create_connection(cloud.address) for _ in range(IDLE)]
    try:
        # Some have begun to say something.
        for half in idle[::2]:
            half.sendall(b"GET /v2.0/networks HTTP/1.1\r\nX-Slow: ")
        made = []
        for _ in range(REQUESTS):
            status, _, body = cloud.ask("/v2.0/networks", token, method="POST", body={"network": {}})
            if status == 409:
                assert json.loads(body)["NeutronError"]["type"] == "OverQuota"
                status, _, _ = cloud.ask("/v2.0/networks", token)
                assert status == 200
                continue
            assert status == 201, body
            made.append(json.loads(body)["network"]["id"])
        for network in made:
            assert cloud.ask(f"/v2.0/networks/{network}", token, method="DELETE")[0] == 204
        assert cloud.ask("/healthz")[0] == 200
    finally:
        for connection in idle:
            connection.close()
