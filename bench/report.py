"""The figures of a run: printed as they come, and written as JSON and as the table of docs/performance.md."""

import json
import os
import statistics


class Report:
    """One that does not judge shows no target: its sizes are not theirs."""

    def __init__(self, path, judges=True):
        self.path = path
        self.judges = judges
        self.rows = []

    def add(self, what, unit, values, peer=None, target=None, at_least=False, note=""):
        """One thing that was measured: a value of each run, the peer's of the same runs, and what is to be reached: a figure,
        or of `(times, "peer")` so many times the peer's median."""
        middle = statistics.median(values)
        theirs = statistics.median(peer) if peer else None
        ratio = None if not theirs else middle / theirs
        if isinstance(target, tuple):
            target = target[0] * theirs
        if not self.judges:
            target = None
        met = None if target is None else middle >= target if at_least else middle <= target
        row = {"what": what, "unit": unit, "median": middle, "values": values, "peer": theirs, "peer_values": peer,
               "ratio": ratio, "target": target, "at_least": at_least, "met": met, "note": note}
        self.rows.append(row)
        print(f"  {plain(row)}", flush=True)
        self.write()

    def write(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".json", "w") as file:
            json.dump(self.rows, file, indent=1)
        with open(self.path + ".md", "w") as file:
            file.write("| What | Median | Runs | Peer | Ratio | Target | |\n|---|---|---|---|---|---|---|\n")
            for row in self.rows:
                file.write("| " + " | ".join(cells(row)) + " |\n")

    def missed(self):
        return [row["what"] for row in self.rows if row["met"] is False]

    def judged(self):
        return sum(row["met"] is not None for row in self.rows)


def cells(row):
    unit, sign = row["unit"], "≥" if row["at_least"] else "≤"
    runs = f"{digits(min(row['values']))} to {digits(max(row['values']))}, {len(row['values'])}"
    peer = "–" if row["peer"] is None else f"{digits(row['peer'])} {unit}"
    ratio = "–" if row["ratio"] is None else f"{digits(row['ratio'])} ×"
    target = "–"
    if row["target"] is not None:
        target = f"{sign} {digits(row['target'])} {unit}: {'met' if row['met'] else '**missed**'}"
    return row["what"], f"{digits(row['median'])} {unit}", runs, peer, ratio, target, row["note"]


def plain(row):
    what, median, runs, peer, ratio, target, note = cells(row)
    return f"{what:<58} {median:>12}  ({runs})  peer {peer}  {ratio}  {target.replace('*', '')}  {note}"


def digits(value):
    """Three that count."""
    if value == 0:
        return "0"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.2g}"
