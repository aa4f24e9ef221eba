"""docs/conformance.md against a run: its figures and its skips word for word, its failures one by one, both ways."""

import pathlib
import re

from outcome import FAILED, PASSED, SKIPPED, by_group

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/conformance.md"

# What is between these two lines is written by this program.
BEGIN, END = "<!-- figures: written by HEXTET_UPDATE=1 make conformance -->", "<!-- end of figures -->"

# A row of the table of failures: one test, or `Class.*` for all tests of a class, and why.
FAILURE = re.compile(r"^\| `(?P<test>[\w.]+(?:\.\*)?)` \| (?P<why>[^|]*\S) \|$")
FAILURES = "## What fails"


def problems(outcomes, versions, update):
    """What in the document is not as it was seen; with `update` the figures are written first."""
    text = DOCUMENT.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    seen = f"\n{figures(outcomes, versions)}\n"
    found = []
    if update:
        DOCUMENT.write_text(text[:begin] + seen + text[end:])
    elif text[begin:end] != seen:
        found.append("the figures are not these any more: HEXTET_UPDATE=1 make conformance writes them; review the diff")
        found += difference(text[begin:end], seen)
    return found + unexplained(outcomes, explained(text))


def difference(written, seen):
    """The lines that differ."""
    old, new = written.splitlines(), seen.splitlines()
    gone = [f"  written: {line}" for line in old if line and line not in new]
    came = [f"  seen:    {line}" for line in new if line and line not in old]
    return gone + came


def figures(outcomes, versions):
    """The generated part."""
    lines = [f"{', '.join(versions)}.", ""]
    lines += ["| Class | Passed | Failed | Skipped |", "|---|--:|--:|--:|"]
    for group, counts in by_group(outcomes).items():
        lines.append(f"| `{group}` | {counts[PASSED]} | {counts[FAILED]} | {counts[SKIPPED]} |")
    passed, failed, skipped = (sum(one.status == status for one in outcomes) for status in (PASSED, FAILED, SKIPPED))
    lines.append(f"| {len(outcomes)} tests | {passed} | {failed} | {skipped} |")
    lines += ["", "| Skipped | Tests | What the judge says |", "|---|---|---|"]
    return "\n".join([*lines, *skips(outcomes)])


def skips(outcomes):
    """One row for each class and reason: all of the class, or which of its tests."""
    rows, sizes = {}, {}
    for outcome in outcomes:
        sizes[outcome.group] = sizes.get(outcome.group, 0) + 1
        if outcome.status == SKIPPED:
            rows.setdefault((outcome.group, " ".join(outcome.said.split())), []).append(outcome.test)
    for (group, said), tests in rows.items():
        which = f"all {len(tests)}" if len(tests) == sizes[group] else ", ".join(f"`{test}`" for test in tests)
        yield f"| `{group}` | {which} | {said.replace('|', '/')} |"


def explained(text):
    """Test, or class with `.*`, to its reason."""
    section = text.split(FAILURES, 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    reasons = {}
    for row in rows:
        parsed = FAILURE.match(row)
        if not parsed:
            raise RuntimeError(f"{DOCUMENT.name}: not a row of the table of failures: {row}")
        reasons[parsed["test"]] = parsed["why"]
    return reasons


def unexplained(outcomes, reasons):
    """Failures without a reason, and reasons without a failure."""
    found, used = [], set()
    for outcome in outcomes:
        row = next((row for row in (outcome.name, f"{outcome.group}.*") if row in reasons), None)
        if row:
            used.add(row)
        if outcome.status == FAILED and not row:
            found.append(f"failed, and no reason is given for it: {outcome.name}\n{outcome.said}")
        elif outcome.status != FAILED and row:
            found.append(f"{outcome.status}, and is listed as a failure: {outcome.name}")
    return found + [f"listed as a failure, and no such test ran: {row}" for row in reasons if row not in used]
