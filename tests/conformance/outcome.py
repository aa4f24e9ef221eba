"""What one test said, whoever the judge was."""

import collections
import dataclasses

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One test: its class (or package), its name, what came of it and what was said about it."""

    group: str
    test: str
    status: str
    said: str = ""
    seconds: float = 0.0

    @property
    def name(self):
        return f"{self.group}.{self.test}"


def by_group(outcomes):
    """Group to a counter of statuses, in the order in which the groups come."""
    figures = {}
    for outcome in outcomes:
        figures.setdefault(outcome.group, collections.Counter())[outcome.status] += 1
    return figures
