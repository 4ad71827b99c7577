#!/usr/bin/env python3
"""Recomputes every comparison of a report from its raw records, independently of the program that wrote it.

The rules come from results/SCHEMA.md ("From rows to figures") and are implemented here a second time, with numpy
and scipy. From trials.csv, latency.csv, wake-up.csv, plan.toml and the version in environment.toml, the script finds
the main comparison of each experiment, the comparable servers, their ratios, intervals, p values after Holm's
correction and verdicts, and the capacities of all searches with their intervals. It compares them with the rows of
comparisons.csv and capacities.csv; a missing or additional row is a difference, too.

Tolerance: numbers agree within 1e-6 of their size, or within 1e-9 of each other. The records contain full precision,
and the search for a maximum in capacity_search.py is exact to about 1e-8. All other columns must be identical.

Usage: scripts/recompute.py RESULTS_FOLDER
Exit code 0: all rows reproduced; 1: differences, of which the first are printed with both values;
2: wrong usage, or a file or package is missing.
"""

import collections
import csv
import gzip
import itertools
import math
import pathlib
import re
import sys
import tomllib

try:
    import numpy
    from scipy import stats

    from capacity_search import Objective, capacity_of, objective_of
except ImportError as missing:
    print(f"missing package: {missing.name}; install it: pip install numpy scipy", file=sys.stderr)
    sys.exit(2)

RELATIVE, ABSOLUTE = 1e-6, 1e-9
SHOWN = 10
LEVEL = 0.05
MARGIN = math.log(1.05)
ROUNDS_FOR_INTERVAL = 5
ROUNDS_TO_REMAIN = 3
# A p99 below this multiple of the machine's wake-up delay is not compared.
WAKE_UPS = 3
# Outcomes without information about the server, or with a lower bound of its speed only.
SET_ASIDE = {"generator-bound", "generator-late", "invalid", "disturbed"}
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
BACKGROUND = ["idle_connections", "slow_readers", "slow_senders"]
HEAVY = ["heavy_cpu_percent", "heavy_block_percent"]
# Without a declared main comparison: only loads that have the first of these columns that any load has.
PREFERRED = ["idle_connections", "slow_senders", "slow_readers", "heavy_block_percent", "heavy_cpu_percent"]
# Key in a sweep of the plan, for each column of a load that the sweep lists values of.
LISTED = {
    "idle_connections": "idle", "slow_readers": "slow_readers", "slow_senders": "slow_senders",
    "heavy_cpu_percent": "heavy_cpu_percent", "heavy_block_percent": "heavy_block_percent",
}
Load = collections.namedtuple(
    "Load",
    ["direction", "size_bytes", "connections", "keep_alive", "offered_per_s", "of_weakest_percent", *LISTED, "mix",
     "store", "server_cores"])
CAPACITY = "capacity"
P99 = "p99 response time"
MEMORY = "user-space memory per idle connection"
# Names of metrics in the comparisons of older runs.
RENAMED = {"memory per idle connection": MEMORY}
SHARE = "share of the undisturbed throughput"


def number(text):
    """Value of a field, or None if it was not measured."""
    return float(text) if text else None


def bytes_of(size):
    """Number of bytes of a size such as 1KiB."""
    digits, unit = re.fullmatch(r"(\d+) ?([A-Za-z]*)", str(size)).groups()
    return int(digits) * UNITS[unit]


def load_of(row):
    """Load of a trial; older folders lack some columns."""
    return Load(
        row["direction"], int(row["size_bytes"]), int(row["connections"]), row.get("keep_alive") or "true",
        number(row.get("offered_per_s")), number(row.get("of_weakest_percent")),
        *(int(float(row.get(column) or 0)) for column in LISTED), row.get("mix") or "",
        row.get("store") or "memory", int(row.get("server_cores") or 1))


def profile_of(load):
    """The further properties of a load, as comparisons.csv names them."""
    words = []
    if load.mix:
        words.append(f"mix-{load.mix}")
    if load.store == "disk":
        words.append("disk")
    if load.server_cores > 1:
        words.append(f"on-{load.server_cores}-cores")
    if load.keep_alive == "false":
        words.append("per-request")
    if load.of_weakest_percent is not None:
        words.append(f"at-{load.of_weakest_percent:g}-percent")
    elif load.offered_per_s is not None:
        words.append(f"at-{load.offered_per_s:.0f}")
    for column, word in [
        ("idle_connections", "idle"), ("slow_readers", "slow-readers"), ("slow_senders", "slow-senders"),
        ("heavy_cpu_percent", "percent-cpu"), ("heavy_block_percent", "percent-block"),
    ]:
        if getattr(load, column):
            words.append(f"{getattr(load, column)}-{word}")
    return "-".join(words)


def belongs(load, sweep, search):
    """Whether a sweep of the plan contains a load; `search`: the load of a capacity search, at any rate."""
    sizes = [bytes_of(size) for size in sweep.get("sizes", [])]
    size_fits = load.mix == sweep["mix"] if "mix" in sweep else not load.mix and load.size_bytes in sizes
    if search:
        rate_fits = "capacity" in sweep
    elif "capacity" in sweep:
        rate_fits = False
    elif "of_weakest_capacity" in sweep:
        rate_fits = load.of_weakest_percent in [round(100 * share, 6) for share in sweep["of_weakest_capacity"]]
    elif "rates_per_s" in sweep:
        rate_fits = load.of_weakest_percent is None and load.offered_per_s in sweep["rates_per_s"]
    else:
        rate_fits = load.offered_per_s is None
    return (
        size_fits and rate_fits
        and load.direction == sweep.get("direction", "download")
        and load.store == sweep.get("store", "memory")
        and load.server_cores in sweep.get("server_cores", [1])
        and load.connections in sweep["connections"]
        and load.keep_alive == str(sweep.get("keep_alive", True)).lower()
        and all(getattr(load, column) in sweep.get(key, [0]) for column, key in LISTED.items()))


def seeks(sweep, load, objective):
    """Whether a capacity search belongs to a sweep of the plan."""
    if not belongs(load, sweep, True):
        return False
    sought = sweep["capacity"]
    planned = Objective(sought["p99_ms"] * 1000, sought.get("errors", 0.001), sought.get("achieved", 0.99))
    return numpy.allclose(planned, objective_of(objective), rtol=RELATIVE, atol=0)


class Records:
    """The raw records of a folder."""

    def __init__(self, folder):
        self.plan = tomllib.loads((folder / "plan.toml").read_text())
        self.schema = 1
        if (folder / "environment.toml").exists():
            self.schema = tomllib.loads((folder / "environment.toml").read_text()).get("schema", 1)
        self.trials = read(folder, "trials.csv")
        # 99th percentile of the machine's wake-up delay, median over the rounds.
        self.wake_up_us = 0.0
        if (folder / "wake-up.csv").exists():
            self.wake_up_us = median(float(row["p99_us"]) for row in read(folder, "wake-up.csv"))
        responses = [row for row in read(folder, "latency.csv") if row["distribution"] == "response"]
        self.percentiles = {(row["trial"], float(row["percentile"])): float(row["latency_us"]) for row in responses}
        # Percentiles that are lower bounds or have few samples.
        self.undetermined = {
            (row["trial"], float(row["percentile"])) for row in responses
            if row.get("support") not in (None, "", "identified")}
        # Trials outside searches by load, target and round. Those of a search, which is a load without its rate and an
        # objective, by target.
        self.loads = collections.defaultdict(lambda: collections.defaultdict(dict))
        self.searches = collections.defaultdict(lambda: collections.defaultdict(list))
        self.servers = []
        self.control, self.repeated = None, None
        for row in self.trials:
            target, round_ = row["target"], int(row["round"])
            if row["target_kind"] in ("aa-control", "twin"):
                self.control = target
                self.repeated = row.get("control_of") or target.removesuffix("-again")
            elif target not in self.servers:
                self.servers.append(target)
            load = load_of(row)
            if row.get("search"):
                self.searches[load._replace(offered_per_s=None), row["search"]][target].append(row)
            else:
                self.loads[load][target][round_] = row

    def remaining(self, load, target):
        """Trials of a server by round, without those set aside if three others remain."""
        rounds = self.loads[load].get(target, {})
        kept = {key: row for key, row in rounds.items() if row["outcome"] not in SET_ASIDE}
        return kept if len(kept) >= ROUNDS_TO_REMAIN else rounds

    def comparable(self, load, target):
        """Whether all remaining rounds of a server are ok, and equally durable if files are stored on a disk."""
        rows = self.remaining(load, target).values()
        durable = load.store == "memory" or all(row.get("durability") == "data" for row in rows)
        return {row["outcome"] for row in rows} == {"ok"} and durable

    def own(self, load, target, value):
        """Values of a server's sound trials by round; none of an A/A control that is not comparable."""
        if target == self.control and not self.comparable(load, target):
            return {}
        found = {key: value(row) for key, row in self.remaining(load, target).items() if row["outcome"] == "ok"}
        return {key: result for key, result in found.items() if result is not None}

    def joined(self, target, of):
        """Values `of` a server by round; those of the A/A control join its server's."""
        values = dict(of(target))
        if target == self.repeated:
            control = of(self.control)
            for key in values.keys() & control.keys():
                values[key] = math.sqrt(values[key] * control[key])
        return values

    def p99s(self, load, target):
        """99th percentiles of the response time by round; none if one of them is missing or not identified."""
        values = self.own(load, target, self.p99)
        sound = all(
            self.p99(row) is not None and (row["trial"], 99.0) not in self.undetermined
            for row in self.remaining(load, target).values())
        return values if sound else {}

    def p99(self, row):
        return self.percentiles.get((row["trial"], 99.0))

    def capacity(self, search, target):
        """Capacity of a server, or of the A/A control, by its own trials in a search."""
        return capacity_of(self.searches[search].get(target, []), self.percentiles, self.schema)


def starves(row):
    """Whether the server left connections without a reply."""
    return bool(row["connections_served"]) and int(row["connections_served"]) < int(row["connections"])


class Experiment:
    """An experiment of the plan and its main comparison."""

    def __init__(self, records, name, sweeps, primary):
        self.records, self.name = records, name
        self.loads = [load for load in records.loads if any(belongs(load, sweep, False) for sweep in sweeps)]
        self.search = next(
            (search for search in records.searches if any(seeks(sweep, *search) for sweep in sweeps)), None)
        self.metric = self.judged_by()
        self.is_primary = primary is not None
        self.load = self.declared(primary) if primary else self.chosen()

    def judged_by(self):
        """The metric that judges the experiment, by its loads."""
        def some(*columns):
            return any(getattr(load, column) for load in self.loads for column in columns)

        if some("idle_connections"):
            return MEMORY
        if some("slow_readers", "slow_senders"):
            return SHARE
        if some(*HEAVY) or some("of_weakest_percent"):
            return P99
        if self.search:
            return CAPACITY
        if any(load.keep_alive == "false" for load in self.loads):
            return "rate of new connections"
        return "throughput"

    def several_sizes(self):
        """True if the loads differ in size, and neither in direction nor in connections."""
        alike = len({(load.direction, load.connections) for load in self.loads}) == 1
        return alike and len({load.size_bytes for load in self.loads}) > 1

    def declared(self, primary):
        """The load that the plan declares, with the most background connections, heavy requests or highest rate."""
        fitting = [
            load for load in self.loads
            if load.connections == primary["connections"] and load.store == primary.get("store", "memory")
            and (not load.size_bytes or load.mix or load.size_bytes == bytes_of(primary["size"]))]
        return max(fitting, key=self.weight, default=None)

    @staticmethod
    def weight(load):
        return (
            sum(getattr(load, column) for column in BACKGROUND), sum(getattr(load, column) for column in HEAVY),
            load.of_weakest_percent or 0, load.offered_per_s or 0, load.server_cores)

    def chosen(self):
        """Without a declaration: the load with the fewest excluded servers; of several, the most connections."""
        loads = self.loads
        for column in PREFERRED:
            if any(getattr(load, column) for load in self.loads):
                loads = [load for load in self.loads if getattr(load, column)]
                break
        return min(loads, key=lambda load: (
            self.excluded(load), -load.connections, [-part for part in self.weight(load)], -load.size_bytes,
        ), default=None)

    def excluded(self, load):
        """Number of excluded servers, without those that leave connections without a reply in every round."""
        records = self.records
        count = 0
        for server in records.servers:
            rows = records.remaining(load, server)
            if rows and not records.comparable(load, server):
                count += not all(starves(row) for row in rows.values())
        return count

    def undisturbed(self):
        """The main load without its background connections."""
        return self.load._replace(**{column: 0 for column in BACKGROUND})

    def own_values(self, target):
        """Values of a server, or of the A/A control, alone."""
        return self.values(target, lambda one, of: of(one))

    def values(self, target, joined=None):
        """Values of a server by round in the experiment's metric."""
        records, load = self.records, self.load
        joined = joined or records.joined

        def column(name, load=load):
            return joined(target, lambda one: records.own(load, one, lambda row: number(row[name])))

        if self.metric == CAPACITY:
            return joined(target, lambda one: records.capacity(self.search, one).rounds)
        if self.metric == P99:
            return joined(target, lambda one: records.p99s(load, one))
        if self.metric == MEMORY:
            with_idle = column("server_memory_bytes")
            without = column("server_memory_bytes", self.undisturbed())
            common = with_idle.keys() & without.keys()
            growth = {key: (with_idle[key] - without[key]) / load.idle_connections for key in common}
            return growth if all(value > 0 for value in growth.values()) else {}
        if self.metric == SHARE:
            beside, alone = column("requests_per_s"), column("requests_per_s", self.undisturbed())
            return {key: beside[key] / alone[key] for key in beside.keys() & alone.keys()}
        return column("body_mb_per_s" if self.several_sizes() else "requests_per_s")

    def sound(self, target):
        """Whether a server is comparable under each load that its value comes from."""
        needed = [self.load, self.undisturbed()] if self.metric in (MEMORY, SHARE) else [self.load]
        return all(self.records.comparable(load, target) for load in needed)

    def compared(self):
        """Comparable servers, in the order of the trials."""
        records = self.records
        if self.metric == CAPACITY:
            return [server for server in records.servers if self.values(server)]
        servers = [server for server in records.servers if self.sound(server) and self.values(server)]
        if self.metric == P99:
            floor = WAKE_UPS * records.wake_up_us
            servers = [server for server in servers if median(self.values(server).values()) >= floor]
        return servers


def median(values):
    values = list(values)
    return float(numpy.median(values)) if values else 0.0


def read(folder, name):
    """Rows of a CSV file, which may be compressed."""
    path = folder / name
    if path.exists():
        with open(path, newline="") as file:
            return list(csv.DictReader(file))
    with gzip.open(folder / f"{name}.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def test(ours, theirs):
    """Comparison of two servers' values by round, before Holm's correction."""
    common = sorted(ours.keys() & theirs.keys())
    result = {"rounds": len(common), "ratio": None, "low": None, "high": None, "p": None, "equivalent": False}
    if not common:
        return result
    logs = numpy.log([ours[key] / theirs[key] for key in common])
    mean, count = float(numpy.mean(logs)), len(common)
    result["ratio"] = math.exp(mean)
    if count < ROUNDS_FOR_INTERVAL:
        return result
    error, freedom = float(numpy.std(logs, ddof=1)) / math.sqrt(count), count - 1
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    result["low"], result["high"] = math.exp(mean - half), math.exp(mean + half)
    if error == 0:
        result["p"], result["equivalent"] = float(mean == 0), abs(mean) < MARGIN
    else:
        result["p"] = float(2 * stats.t.sf(abs(mean) / error, freedom))
        # Both one-sided tests reject if the one with the nearer margin does.
        result["equivalent"] = bool(stats.t.sf((MARGIN - abs(mean)) / error, freedom) < LEVEL)
    return result


def holm(tests):
    """Adds the adjusted p value and the verdict to each test of a family."""
    ranked = sorted((one for one in tests if one["p"] is not None), key=lambda one: one["p"])
    largest = 0.0
    for rank, one in enumerate(ranked):
        largest = max(largest, min(1.0, one["p"] * (len(ranked) - rank)))
        one["p_adjusted"] = largest
    for one in tests:
        adjusted = one.setdefault("p_adjusted", None)
        if one["equivalent"]:
            one["verdict"] = "equivalent"
        else:
            one["verdict"] = "different" if adjusted is not None and adjusted < LEVEL else "undecided"


def experiments_of(records):
    """The experiments of a plan; one without any is an experiment itself."""
    plan = records.plan
    sweeps = plan.get("sweep", [])
    if "experiment" not in plan:
        return [Experiment(records, plan["name"], sweeps, plan.get("primary"))]
    return [
        Experiment(
            records, one["name"], [sweep for sweep in sweeps if sweep.get("experiment") == one["name"]],
            one.get("primary"))
        for one in plan["experiment"]]


def recompute(records):
    """The rows that comparisons.csv must contain, by experiment and pair."""
    experiments = [one for one in experiments_of(records) if one.load is not None]
    controls = {}
    if records.control:
        for one in experiments:
            pair = [one.own_values(target) for target in (records.repeated, records.control)]
            sound = all(one.sound(target) for target in (records.repeated, records.control))
            if sound and all(pair):
                controls[one.name] = test(*pair)
        holm(list(controls.values()))
    rows = {}
    for one in experiments:
        void = controls.get(one.name, {}).get("verdict") == "different"
        servers = one.compared()
        values = {server: one.values(server) for server in servers}
        pairs = {pair: test(values[pair[0]], values[pair[1]]) for pair in itertools.combinations(servers, 2)}
        pairs = {pair: result for pair, result in pairs.items() if result["rounds"]}
        holm(list(pairs.values()))
        for (server, reference), result in pairs.items():
            rows[one.name, server, reference] = {
                "direction": one.load.direction, "size_bytes": str(one.load.size_bytes),
                "connections": str(one.load.connections), "profile": profile_of(one.load), "metric": one.metric,
                "rounds": str(result["rounds"]), "ratio": result["ratio"], "low": result["low"], "high": result["high"],
                "p_adjusted": result["p_adjusted"], "verdict": "void" if void else result["verdict"],
                "is_primary": str(one.is_primary).lower()}
    return rows


def agrees(ours, theirs):
    if isinstance(ours, str):
        return ours == theirs
    if ours is None or theirs == "":
        return ours is None and theirs == ""
    return math.isclose(ours, float(theirs), rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip() if sys.argv[1:] in (["-h"], ["--help"]) else "usage: scripts/recompute.py RESULTS_FOLDER",
              file=sys.stderr)
        sys.exit(2)
    folder = pathlib.Path(sys.argv[1])
    try:
        records = Records(folder)
        recorded = read(folder, "comparisons.csv")
        searched = read(folder, "capacities.csv")
    except OSError as missing:
        print(f"not a results folder with comparisons: {missing}", file=sys.stderr)
        sys.exit(2)
    differences = compared_rows(
        "comparisons", recompute(records), recorded, ["experiment", "server", "reference"],
        lambda key: f"{key[0]}: {key[1]} ÷ {key[2]}")
    differences += compared_rows(
        "capacities", capacities(records), searched,
        ["direction", "size_bytes", "connections", "profile", "objective", "server"],
        lambda key: f"capacity of {key[5]}, {key[0]} of {key[1]} bytes, {key[2]} connections")
    for line in differences[:SHOWN]:
        print(f"  {line}")
    if len(differences) > SHOWN:
        print(f"  and {len(differences) - SHOWN} further differences")
    sys.exit(1 if differences else 0)


def capacities(records):
    """The rows that capacities.csv must contain, by load, objective and server."""
    rows = {}
    for (load, objective), servers in records.searches.items():
        for server in servers:
            found = records.capacity((load, objective), server)
            rows[
                load.direction, str(load.size_bytes), str(load.connections), profile_of(load), objective, server
            ] = {
                "rounds": str(len(found.rounds)), "capacity_per_s": found.value, "low": found.low, "high": found.high,
                "at_least_per_s": found.at_least}
    return rows


def compared_rows(title, ours, recorded, keys, name):
    """Prints how many recorded rows were reproduced; the differences in words."""
    theirs = {tuple(row[key] for key in keys): row for row in recorded}
    differences, reproduced = [], 0
    if len(theirs) != len(recorded):
        differences.append(f"{len(recorded) - len(theirs)} rows occur twice")
    for key in [*theirs, *(key for key in ours if key not in theirs)]:
        if key not in ours:
            differences.append(f"{name(key)}: recorded, but not recomputed")
        elif key not in theirs:
            differences.append(f"{name(key)}: recomputed, but not recorded")
        else:
            wrong = [column for column, value in ours[key].items() if not agrees(value, theirs[key][column])]
            reproduced += not wrong
            differences += [
                f"{name(key)}: {column}: recomputed {ours[key][column]}, recorded {theirs[key][column]}"
                for column in wrong]
    print(f"{reproduced} of {len(recorded)} {title} reproduced")
    return differences


if __name__ == "__main__":
    main()
