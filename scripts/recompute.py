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
# Outcomes of trials with a rate of the server.
MEASURED = {"ok", "waiting", "starved", "overloaded", "generator-bound", "too-few", "errors"}
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
BACKGROUND = ["idle_connections", "slow_readers", "slow_senders"]
HEAVY = ["heavy_cpu_percent", "heavy_block_percent"]
# Key in a sweep of the plan, for each column of a load that the sweep lists values of.
LISTED = {
    "idle_connections": "idle", "slow_readers": "slow_readers", "slow_senders": "slow_senders",
    "heavy_cpu_percent": "heavy_cpu_percent", "heavy_block_percent": "heavy_block_percent",
}
Load = collections.namedtuple(
    "Load",
    ["direction", "size_bytes", "connections", "keep_alive", "offered_per_s", "of_weakest_percent", *LISTED, "mix",
     "store", "server_cores"])
THROUGHPUT = "throughput"
CAPACITY = "capacity"
P99 = "p99 response time"
MEMORY = "user-space memory per idle connection"
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
        rate_fits = load.of_weakest_percent in [round(100 * share) for share in sweep["of_weakest_capacity"]]
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
        # "Interrupted trials are left out."
        self.trials = [row for row in read(folder, "trials.csv") if row["outcome"] != "interrupted"]
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
        self.control, self.repeated = None, None
        for row in self.trials:
            target, round_ = row["target"], int(row["round"])
            if row["target_kind"] in ("aa-control", "twin"):
                self.control = target
                self.repeated = row.get("control_of") or target.removesuffix("-again")
            load = load_of(row)
            if row.get("search"):
                self.searches[load._replace(offered_per_s=None), row["search"]][target].append(row)
            else:
                self.loads[load][target][round_] = row

    def under(self, load):
        """Servers in the order of their first trials under a load, without the A/A control."""
        return [target for target in self.loads.get(load, {}) if target != self.control]

    def rounds(self, load, target):
        """Trials of a server by round."""
        return self.loads.get(load, {}).get(target, {})

    def remaining(self, load, target):
        """Trials of a server by round, without those set aside if three others remain."""
        rounds = self.rounds(load, target)
        kept = {key: row for key, row in rounds.items() if row["outcome"] not in SET_ASIDE}
        return kept if len(kept) >= ROUNDS_TO_REMAIN else rounds

    def comparable(self, load, target):
        """Whether all remaining rounds of a server are ok, and equally durable if files are stored on a disk."""
        rows = self.remaining(load, target).values()
        durable = load.store == "memory" or all(row.get("durability") == "data" for row in rows)
        return self.sound(load, target) and durable

    def sound(self, load, target):
        """Whether all remaining rounds of a server are ok."""
        return {row["outcome"] for row in self.remaining(load, target).values()} == {"ok"}

    def own(self, load, target, value):
        """Values of a server's sound trials by round; none of an A/A control that is not comparable."""
        if target == self.control and not self.comparable(load, target):
            return {}
        found = {key: value(row) for key, row in self.remaining(load, target).items() if row["outcome"] == "ok"}
        return {key: result for key, result in found.items() if result is not None}

    def starves(self, load, target):
        """Whether the server left connections without a reply in every measured round."""
        rows = [row for row in self.rounds(load, target).values() if row["outcome"] in MEASURED]
        return bool(rows) and all(
            row["connections_served"] and int(row["connections_served"]) < load.connections for row in rows)

    def shown(self, load, target):
        """Rates of a server by round, as tables show them: those of a server that is not sound, too."""
        if self.sound(load, target):
            return self.joined(target, lambda one: self.own(load, one, lambda row: number(row["requests_per_s"])))
        rows = {key: row for key, row in self.rounds(load, target).items() if row["outcome"] in MEASURED}
        return {key: float(row["requests_per_s"]) for key, row in rows.items() if row["requests_per_s"]}

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


def fits(load, primary):
    """Whether a declaration in the plan has the connections, the store and, if it has one, the size of a load."""
    return (
        load.connections == primary["connections"] and load.store == primary.get("store", "memory")
        and ("size" not in primary or load.size_bytes == bytes_of(primary["size"])))


class Experiment:
    """An experiment of the plan and its main comparison."""

    def __init__(self, records, name, sweeps, primary):
        self.records, self.name = records, name
        self.loads = [load for load in records.loads if any(belongs(load, sweep, False) for sweep in sweeps)]
        searches = [search for search in records.searches if any(seeks(sweep, *search) for sweep in sweeps)]
        self.metric, self.column, candidate = self.judged_by(bool(searches))
        self.load, self.search, self.is_primary = None, None, False
        if primary is not None:
            loads = [load for load in self.loads if fits(load, primary)]
            self.choose(candidate, loads, [search for search in searches if fits(search[0], primary)], True)
            self.is_primary = self.load is not None
        # "Without a declaration, or if no such candidate was measured, the number of excluded servers precedes the rank."
        if self.load is None:
            self.choose(candidate, self.loads, searches, False)

    def judged_by(self, has_searches):
        """The metric of the experiment, its column, and the choice of the main load: the first row that applies."""
        loads, throughput = self.loads, "requests_per_s"

        def some(*columns):
            return any(getattr(load, column) for load in loads for column in columns)

        if some("of_weakest_percent"):
            return P99, None, self.fastest
        if has_searches:
            return CAPACITY, None, self.fastest
        if loads and all(load.offered_per_s is not None for load in loads):
            return P99, None, self.fastest
        if any(load.server_cores > 1 for load in loads):
            return THROUGHPUT, throughput, self.widest
        if some(*HEAVY):
            return P99, None, self.heaviest
        if some("idle_connections"):
            return MEMORY, "server_memory_bytes", self.most_idle
        if some(*BACKGROUND):
            return SHARE, throughput, self.slowest
        if loads and all(load.keep_alive == "false" for load in loads):
            return "rate of new connections", throughput, self.usual
        if self.several_sizes():
            return THROUGHPUT, "body_mb_per_s", self.largest
        return THROUGHPUT, throughput, self.usual

    def several_sizes(self):
        """True if the loads differ in size, and neither in direction nor in connections."""
        alike = len({(load.direction, load.connections) for load in self.loads}) == 1
        return alike and len({load.size_bytes for load in self.loads}) > 1

    def choose(self, candidate, loads, searches, is_declared):
        """Chooses the main load, and of a capacity the search, out of these."""
        self.load = candidate(loads, is_declared)
        if self.metric == CAPACITY:
            # "The first search of the run." "Rows of `capacity` name the open loop with the highest rate, if there is one."
            self.search = searches[0] if searches else None
            self.load = self.search and (self.load or self.search[0])

    def highest(self, candidates, is_declared, *rank):
        """The candidate of the highest rank; "of equal ones the last of the run"."""
        def excluded(load):
            return 0 if is_declared else -self.excluded(load)

        return max(
            reversed(candidates), key=lambda load: (excluded(load), *(criterion(load) for criterion in rank)),
            default=None)

    def fastest(self, loads, is_declared):
        opened = [load for load in loads if load.offered_per_s is not None]
        return self.highest(
            opened, is_declared, lambda load: load.of_weakest_percent or 0, lambda load: load.offered_per_s)

    def widest(self, loads, is_declared):
        several = [load for load in loads if load.server_cores > 1]
        return self.highest(several, is_declared, lambda load: load.server_cores)

    def heaviest(self, loads, is_declared):
        blocking = [load for load in loads if load.heavy_block_percent and not load.heavy_cpu_percent]
        burning = [load for load in loads if load.heavy_cpu_percent and not load.heavy_block_percent]
        return self.highest(blocking or burning, is_declared, lambda load: sum(getattr(load, column) for column in HEAVY))

    def most_idle(self, loads, is_declared):
        idle = [load for load in loads if load.idle_connections]
        load = self.highest(idle, is_declared, lambda load: load.idle_connections)
        return load if load and undisturbed(load) in loads else None

    def slowest(self, loads, is_declared):
        """Of each kind of slow clients the load with the most; of these the one beside which the servers retain less."""
        kinds = []
        for kind in ("slow_readers", "slow_senders"):
            only = [load for load in loads if getattr(load, kind) and getattr(load, kind) == background(load)]
            if only:
                # "Slow clients are chosen without the number of excluded servers."
                kinds.append(self.highest(only, True, background))
        # "Of declared loads with slow clients, those with slow readers come first."
        return min(kinds, key=lambda load: 0 if is_declared else self.retained(load), default=None)

    def usual(self, loads, is_declared):
        downloads = [load for load in loads if load.direction == "download"]
        return self.highest(
            downloads or loads, is_declared, lambda load: not profile_of(load), lambda load: load.connections,
            lambda load: -load.size_bytes)

    def largest(self, loads, is_declared):
        return self.highest(loads, is_declared, lambda load: load.size_bytes)

    def excluded(self, load):
        """Number of excluded servers, without those that leave connections without a reply in every round."""
        records = self.records
        return sum(
            not records.comparable(load, server) and not records.starves(load, server) for server in records.under(load))

    def retained(self, load):
        """Mean over all servers of the median share of the throughput that they retain.

        "Shares above 1 count as 1 and missing ones as 0."
        """
        servers, total = self.records.under(load), 0.0
        for server in servers:
            beside, alone = self.records.shown(load, server), self.records.shown(undisturbed(load), server)
            total += min(1.0, median(quotients(beside, alone).values()))
        return total / len(servers)

    def own_values(self, target):
        """Values of a server, or of the A/A control, alone."""
        return self.values(target, lambda one, of: of(one))

    def values(self, target, joined=None):
        """Values of a server by round in the experiment's metric."""
        records, load = self.records, self.load
        joined = joined or records.joined

        def measured(load):
            return joined(target, lambda one: records.own(load, one, lambda row: number(row[self.column])))

        if self.metric == CAPACITY:
            return joined(target, lambda one: records.capacity(self.search, one).rounds)
        if self.metric == P99:
            return joined(target, lambda one: records.p99s(load, one))
        if self.metric == MEMORY:
            beside, alone = measured(load), measured(undisturbed(load))
            common = beside.keys() & alone.keys()
            return {key: max(0.0, (beside[key] - alone[key]) / load.idle_connections) for key in common}
        if self.metric == SHARE:
            return quotients(measured(load), measured(undisturbed(load)))
        return measured(load)

    def sound(self, target):
        """Whether a server is comparable under each load that its value comes from."""
        if self.metric == CAPACITY:
            return True
        needed = [self.load, undisturbed(self.load)] if self.metric in (MEMORY, SHARE) else [self.load]
        return all(self.records.comparable(load, target) for load in needed)

    def compared(self):
        """Comparable servers, in the order of their first trials under the load."""
        records = self.records
        if self.metric == CAPACITY:
            searched = [target for target in records.searches[self.search] if target != records.control]
            return [server for server in searched if self.values(server)]
        servers = [server for server in records.under(self.load) if self.sound(server) and self.values(server)]
        if self.metric == P99:
            floor = WAKE_UPS * records.wake_up_us
            servers = [server for server in servers if median(self.values(server).values()) >= floor]
        return servers


def background(load):
    """Number of background connections of a load."""
    return sum(getattr(load, column) for column in BACKGROUND)


def undisturbed(load):
    """A load without its background connections."""
    return load._replace(**{column: 0 for column in BACKGROUND})


def quotients(above, below):
    """Quotients of two servers' values, or of one server's under two loads, by round."""
    return {key: above[key] / below[key] for key in above.keys() & below.keys() if below[key] > 0}


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
    # "Pairs without a common round, or with a value of 0 in one, have no row."
    if not common or any(min(ours[key], theirs[key]) <= 0 for key in common):
        result["rounds"] = 0
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
    """The experiments of a plan."""
    plan = records.plan
    named = [(one["name"], one["name"], one.get("primary")) for one in plan.get("experiment", [])]
    # "A plan without `[[experiment]]` is one experiment with the plan's name, and so are the sweeps without `experiment` in
    # other plans."
    named.append((None, plan["name"], plan.get("primary")))
    return [
        Experiment(records, name, [sweep for sweep in plan.get("sweep", []) if sweep.get("experiment") == key], primary)
        for key, name, primary in named]


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
