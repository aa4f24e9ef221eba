"""Turns tempest's stream of results into JSON. Runs in tempest's environment, which has the reader of the stream."""

import json
import sys

import subunit
import testtools

STATUSES = {"success": "passed", "fail": "failed", "uxsuccess": "failed", "xfail": "passed", "skip": "skipped"}


def main(path):
    results = []

    def take(test):
        if test["status"] not in STATUSES:
            status = "failed"
        else:
            status = STATUSES[test["status"]]
        began, ended = test["timestamps"]
        said = "\n".join(
            detail.as_text().strip() for name, detail in sorted(test["details"].items())
            if name.startswith(("reason", "traceback"))
        )
        seconds = (ended - began).total_seconds() if began and ended else 0.0
        results.append({"id": test["id"], "status": status, "said": said, "seconds": seconds})

    with open(path, "rb") as stream:
        case = subunit.ByteStreamToStreamResult(stream, non_subunit_name="output")
        into = testtools.StreamToDict(take)
        into.startTestRun()
        case.run(into)
        into.stopTestRun()
    json.dump([result for result in results if result["id"] != "output"], sys.stdout)


main(sys.argv[1])
