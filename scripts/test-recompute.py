#!/usr/bin/env python3
"""Tests of recompute.py: capacities, main comparisons and altered tables. Run: scripts/test-recompute.py"""

import csv
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from capacity_search import Evidence, Objective, capacity_of, evidence_of, objective_of
from recompute import LISTED, Experiment, Load, Records

SCRIPTS = pathlib.Path(__file__).resolve().parent
RUN = SCRIPTS.parent / "results/2026-11-21-reference"
SOURCES = ["trials.csv", "latency.csv.gz", "plan.toml", "environment.toml", "comparisons.csv", "capacities.csv"]
SEARCH = "p99=5ms,errors=0.1%,achieved=99%"
MET_US, MISSED_US = 1000.0, 9000.0


class Searches:
    """Trials of one server's searches. Without other columns, a trial meets all conditions but that of the p99."""

    def __init__(self, schema=8):
        self.schema, self.rows, self.percentiles = schema, [], {}

    def add(self, rate, p99_us, round_=1, maximum_us=20_000.0, **columns):
        number = str(len(self.rows) + 1)
        self.rows.append({
            "trial": number, "round": str(round_), "offered_per_s": str(rate), "search": SEARCH, "outcome": "ok",
            "connections": "64", "connections_served": "64", "window_s": "1.0", "arrivals": "1000", "requests": "1000",
            "latency_requests": "1000", "errors": "0", "generator_cpu_share": "0.5", "generator_late_us": "100.0",
            **columns})
        if p99_us is not None:
            self.percentiles[number, 99.0] = p99_us
        self.percentiles[number, 100.0] = maximum_us
        return self

    def met(self, *rates, round_=1):
        for rate in rates:
            self.add(rate, MET_US, round_)
        return self

    def missed(self, *rates, round_=1, **columns):
        for rate in rates:
            self.add(rate, MISSED_US, round_, **columns)
        return self

    def by_generator(self, *rates, round_=1):
        return self.missed(*rates, round_=round_, generator_cpu_share="0.95")

    def void(self, *rates, round_=1):
        return self.missed(*rates, round_=round_, outcome="disturbed")

    def capacity(self):
        return capacity_of(self.rows, self.percentiles, self.schema)


def evidence(p99_us=MET_US, schema=8, **columns):
    searches = Searches(schema).add(1000, p99_us, **columns)
    return evidence_of(searches.rows[0], searches.percentiles, schema)


class ATrial(unittest.TestCase):
    def test_objective(self):
        self.assertEqual(objective_of(SEARCH), Objective(5000.0, 0.001, 0.99))
        # 0.7 / 100 is 0.006999999999999999.
        self.assertEqual(objective_of("p99=2.5ms,errors=0.7%,achieved=99.5%"), Objective(2500.0, 0.007, 0.995))

    def test_share_of_answered_requests(self):
        self.assertEqual(evidence(latency_requests="990"), Evidence.MET)
        self.assertEqual(evidence(latency_requests="989"), Evidence.MISSED)
        # Requests that are answered after the window count.
        self.assertEqual(evidence(requests="900", latency_requests="990"), Evidence.MET)

    def test_share_of_answered_requests_until_version_5(self):
        # Those of the last 5 ms are left out: 0.99 × 1000 arrivals − 1000 per second × 0.005 s = 985.
        self.assertEqual(evidence(schema=5, latency_requests="", requests="985"), Evidence.MET)
        self.assertEqual(evidence(schema=5, latency_requests="", requests="984"), Evidence.MISSED)

    def test_longest_p99(self):
        self.assertEqual(evidence(p99_us=5000.0), Evidence.MET)
        self.assertEqual(evidence(p99_us=5000.1), Evidence.MISSED)
        self.assertEqual(evidence(p99_us=None, maximum_us=5000.0), Evidence.MET)
        self.assertEqual(evidence(p99_us=None, maximum_us=5000.1), Evidence.MISSED)

    def test_share_of_errors(self):
        self.assertEqual(evidence(requests="999", errors="1"), Evidence.MET)
        self.assertEqual(evidence(requests="998", errors="1"), Evidence.MISSED)

    def test_served_connections(self):
        self.assertEqual(evidence(connections_served="63"), Evidence.MISSED)
        few = {"arrivals": "41", "requests": "41", "latency_requests": "41"}
        self.assertEqual(evidence(connections_served="20", **few), Evidence.MET)
        self.assertEqual(evidence(connections_served="19", **few), Evidence.MISSED)

    def test_no_reply(self):
        columns = {"requests": "0", "latency_requests": "0", "connections_served": "0", "generator_late_us": ""}
        self.assertEqual(evidence(p99_us=None, maximum_us=math.inf, **columns), Evidence.MISSED)

    def test_outcomes(self):
        for outcome, met, missed in [
            ("overloaded", Evidence.MET, Evidence.MISSED),
            ("died", Evidence.MISSED, Evidence.MISSED),
            ("invalid", Evidence.VOID, Evidence.VOID),
            ("disturbed", Evidence.MET, Evidence.VOID),
            ("unsupported", Evidence.NOTHING, Evidence.NOTHING),
            ("not-started", Evidence.NOTHING, Evidence.NOTHING),
        ]:
            self.assertEqual(evidence(outcome=outcome), met, outcome)
            self.assertEqual(evidence(MISSED_US, outcome=outcome), missed, outcome)

    def test_contradictions(self):
        counts = {"replies_total": "1200", "abandoned_total": "10"}
        for columns, expected in [
            ({"server_requests": "1200", **counts}, Evidence.MET),
            ({"server_requests": "1210", **counts}, Evidence.MET),
            ({"server_requests": "1199", **counts}, Evidence.VOID),
            ({"server_requests": "1211", **counts}, Evidence.VOID),
            ({"server_requests": "", **counts}, Evidence.MET),
            ({"little": "0.95", "little_slack": "0.03"}, Evidence.MET),
            ({"little": "0.95", "little_slack": "0.01"}, Evidence.VOID),
        ]:
            # The outcome `disturbed` hides `invalid`.
            for outcome in ("ok", "disturbed"):
                self.assertEqual(evidence(outcome=outcome, **columns), expected, columns)

    def test_misses_that_the_generator_caused(self):
        for columns, expected in [
            ({"generator_cpu_share": "0.949"}, Evidence.MISSED),
            ({"generator_cpu_share": "0.95"}, Evidence.GENERATOR),
            ({"generator_late_us": "2500.0"}, Evidence.MISSED),
            ({"generator_late_us": "2500.1"}, Evidence.GENERATOR),
            ({"generator_late_us": "2500.1", "outcome": "died"}, Evidence.MISSED),
            ({"generator_late_us": "2500.1", "outcome": "disturbed"}, Evidence.VOID),
        ]:
            self.assertEqual(evidence(MISSED_US, **columns), expected, columns)
        self.assertEqual(evidence(generator_cpu_share="1.0"), Evidence.MET)


class ARound(unittest.TestCase):
    def value(self, searches):
        return searches.capacity().rounds[1]

    def agree(self, value, expected):
        self.assertLess(abs(value / expected - 1), 1e-7)

    def test_between_two_rates(self):
        self.agree(self.value(Searches().met(100).missed(121)), 110)
        self.agree(self.value(Searches().met(1000).missed(100_000)), 10_000)

    def test_inverted_rates(self):
        self.agree(self.value(Searches().missed(100, 150).met(121, 80.666666666667)), 110)

    def test_beyond_all_rates(self):
        # With three of four met, the probability is 0.75: m − ln x = s·ln 3.
        # A miss far above keeps the round from being a lower bound, and has no weight.
        searches = Searches().met(*[100] * 3).missed(100, 1e9)
        self.agree(self.value(searches), 100 * 3 ** 0.05)

    def test_expected_number_is_the_observed_one(self):
        met, missed = [95, 100, 104], [99, 103, 110, 130]
        m = math.log(self.value(Searches().met(*met).missed(*missed)))
        expected = sum(1 / (1 + math.exp(-(m - math.log(rate)) / 0.05)) for rate in met + missed)
        self.assertAlmostEqual(expected, 3, places=6)

    def test_only_informative_trials(self):
        searches = Searches().met(100).by_generator(110).void(105).missed(121)
        # The lowest miss that is not void is the generator's, so this round is a lower bound; two others are not.
        for round_ in (2, 3):
            searches.met(100, round_=round_).missed(121, round_=round_)
        capacity = searches.capacity()
        for round_ in (1, 2, 3):
            self.agree(capacity.rounds[round_], 110)


class ServerOfSeveralRounds(unittest.TestCase):
    def of_rounds(self, *values):
        searches = Searches()
        for round_, value in enumerate(values, 1):
            searches.met(value / 1.1, round_=round_).missed(value * 1.1, round_=round_)
        return searches

    def test_interval(self):
        values = [100_000 * math.exp(step) for step in (-0.2, -0.1, 0, 0.1, 0.2)]
        capacity = self.of_rounds(*values).capacity()
        # Standard deviation √0.025; 2.7764451 is the 0.975 quantile of Student's t with 4 degrees of freedom.
        half = 2.7764451052 * math.sqrt(0.025 / 5)
        for found, expected in [
            (capacity.value, 100_000), (capacity.low, 100_000 * math.exp(-half)), (capacity.high, 100_000 * math.exp(half)),
        ]:
            self.assertLess(abs(found / expected - 1), 1e-7)
        self.assertIsNone(capacity.at_least)

    def test_no_interval_below_five_rounds(self):
        capacity = self.of_rounds(100, 200, 400, 200).capacity()
        self.assertAlmostEqual(capacity.value, 200, places=4)
        self.assertEqual((capacity.low, capacity.high), (None, None))

    def test_no_capacity_if_half_of_the_rounds_met_no_rate(self):
        searches = self.of_rounds(100, 100).missed(50, round_=3)
        self.assertEqual(len(searches.capacity().rounds), 2)
        searches.by_generator(50, round_=4)
        self.assertEqual(searches.capacity(), (None, None, None, None, {}))

    def test_rounds_with_void_trials_only_do_not_count(self):
        searches = self.of_rounds(100, 100).missed(50, round_=3).void(50, round_=4)
        self.assertAlmostEqual(searches.capacity().value, 100, places=4)
        searches.missed(40, round_=4)
        self.assertIsNone(searches.capacity().value)
        # A miss that the generator caused shows nothing about the server.
        searches = self.of_rounds(100, 100).missed(50, round_=3).by_generator(60, round_=4).void(50, round_=4)
        self.assertAlmostEqual(searches.capacity().value, 100, places=4)

    def test_interrupted_trials_are_left_out(self):
        searches = self.of_rounds(100, 100).void(100, round_=1)
        self.assertAlmostEqual(searches.capacity().at_least, 100 / 1.1)
        # The void trial remains the last one of its round.
        searches.missed(50, round_=1, outcome="interrupted")
        searches.missed(50, round_=3, outcome="interrupted").missed(50, round_=4, outcome="interrupted")
        self.assertAlmostEqual(searches.capacity().at_least, 100 / 1.1)

    def test_rounds_without_a_started_server_met_no_rate(self):
        searches = self.of_rounds(100, 100)
        for round_ in (3, 4):
            searches.missed(50, round_=round_, outcome="not-started")
        self.assertIsNone(searches.capacity().value)

    def test_lower_bounds(self):
        for name, bound in [
            ("no miss above", lambda searches, round_: searches.met(90, 100, round_=round_)),
            ("caused by the generator", lambda searches, round_: searches.met(100, round_=round_)
                .by_generator(110, round_=round_).missed(120, round_=round_)),
            ("not started again", lambda searches, round_: searches.met(100, round_=round_)
                .missed(110, round_=round_, outcome="not-started")),
            ("last trial void", lambda searches, round_: searches.met(100, round_=round_)
                .missed(110, round_=round_).void(105, round_=round_)),
        ]:
            searches = self.of_rounds(100, 100)
            bound(searches, 3)
            self.assertIsNone(searches.capacity().at_least, name)
            bound(searches, 4)
            # Median of 90.9, 90.9, 100 and 100.
            self.assertEqual(searches.capacity()[:3], (None, None, None), name)
            self.assertEqual(searches.capacity().rounds, {}, name)
            self.assertAlmostEqual(searches.capacity().at_least, (100 / 1.1 + 100) / 2, msg=name)

    def test_misses_that_make_no_lower_bound(self):
        for name, round_of in [
            ("the server's miss is lower", lambda searches: searches.met(100).missed(110).by_generator(120)),
            ("both at one rate", lambda searches: searches.met(100).by_generator(110).missed(110)),
            ("void before the last trial", lambda searches: searches.met(100).void(105).missed(110)),
            ("the generator's miss is below", lambda searches: searches.by_generator(90).met(100).missed(110)),
        ]:
            self.assertIsNotNone(round_of(Searches()).capacity().value, name)

    def test_server_without_trials(self):
        self.assertEqual(Searches().capacity(), (None, None, None, None, {}))


def load(**properties):
    usual = Load("download", 1024, 64, "true", None, None, 0, 0, 0, 0, 0, "", "memory", 1)
    return usual._replace(**properties)


def sweep_of(load):
    """Sweep of a plan that contains only this load."""
    sweep = {
        "direction": load.direction, "connections": [load.connections], "sizes": [load.size_bytes],
        "keep_alive": load.keep_alive == "true", "server_cores": [load.server_cores],
        **{key: [getattr(load, column)] for column, key in LISTED.items()}}
    if load.of_weakest_percent:
        sweep["of_weakest_capacity"] = [load.of_weakest_percent / 100]
    elif load.offered_per_s:
        sweep["rates_per_s"] = [load.offered_per_s]
    return sweep


def experiment(*loads, primary=None, **rows):
    """Experiment with one server under these loads; `rows`: its trials by number of connections, as c64 for 64."""
    records = Records.__new__(Records)
    records.control, records.repeated, records.searches = None, None, {}
    ok = {"outcome": "ok", "requests_per_s": "1000.0"}
    records.loads = {one: {"selector": {1: {**ok, **rows.get(f"c{one.connections}", {})}}} for one in loads}
    return Experiment(records, "one", [sweep_of(one) for one in loads], primary)


class MainComparison(unittest.TestCase):
    def test_metric(self):
        for properties, metric in [
            ({"of_weakest_percent": 50.0, "offered_per_s": 500.0}, "p99 response time"),
            ({"offered_per_s": 500.0}, "p99 response time"),
            ({"server_cores": 2}, "throughput"),
            ({"heavy_block_percent": 10}, "p99 response time"),
            ({"idle_connections": 1000}, "user-space memory per idle connection"),
            ({"slow_senders": 400}, "share of the undisturbed throughput"),
            ({"keep_alive": "false"}, "rate of new connections"),
            ({}, "throughput"),
        ]:
            self.assertEqual(experiment(load(**properties)).metric, metric, properties)
        # Cores come before heavy requests, and these before idle connections.
        loads = [load(idle_connections=9), load(heavy_cpu_percent=1)]
        self.assertEqual(experiment(*loads).metric, "p99 response time")
        self.assertEqual(experiment(*loads, load(server_cores=2)).metric, "throughput")
        # One load without open arrivals is enough for the throughput.
        self.assertEqual(experiment(load(), load(offered_per_s=500.0)).metric, "throughput")

    def test_rank(self):
        few, many, large = load(connections=16), load(connections=64), load(connections=64, size_bytes=1 << 20)
        self.assertEqual(experiment(many, few).load, many)
        # The smallest size, unless the sizes are compared.
        self.assertEqual(experiment(few, many, large).load, many)
        self.assertEqual(experiment(large, many).load, large)
        self.assertEqual(experiment(large, many).column, "body_mb_per_s")
        # Blocking requests come first, and of equal shares the last load.
        blocking = [load(heavy_block_percent=10, connections=connections) for connections in (64, 16)]
        self.assertEqual(experiment(*blocking, load(heavy_cpu_percent=20)).load, blocking[1])
        # Memory is compared with that of the same load without idle connections.
        self.assertIsNone(experiment(load(idle_connections=1000)).load)
        self.assertEqual(experiment(load(), load(idle_connections=1000)).load.idle_connections, 1000)

    def test_excluded_servers(self):
        few, many = load(connections=16), load(connections=64)
        self.assertEqual(experiment(few, many, c64={"outcome": "unsupported", "connections_served": ""}).load, few)
        self.assertEqual(experiment(few, many, c64={"outcome": "errors", "connections_served": "64"}).load, few)
        # A server that leaves connections without a reply in every round is not counted.
        self.assertEqual(experiment(few, many, c64={"outcome": "starved", "connections_served": "1"}).load, many)

    def test_declaration(self):
        few, many = load(connections=16), load(connections=64)
        for primary, expected, is_primary in [
            ({"connections": 16, "size": "1KiB"}, few, True),
            ({"connections": 16}, few, True),
            ({"connections": 7, "size": "1KiB"}, many, False),
            (None, many, False),
        ]:
            found = experiment(few, many, primary=primary)
            self.assertEqual((found.load, found.is_primary), (expected, is_primary), primary)
        declared = {"connections": 64, "size": "1KiB"}
        found = experiment(few, many, primary=declared, c64={"outcome": "errors", "connections_served": "64"})
        self.assertEqual(found.load, many)


class Script(unittest.TestCase):
    """The script, with copies of a committed run."""

    def recompute(self, alter):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for source in SOURCES:
                shutil.copy(RUN / source, folder)
            path = folder / "capacities.csv"
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file))
            alter(rows)
            with open(path, "w", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
            result = subprocess.run(
                [sys.executable, SCRIPTS / "recompute.py", folder], capture_output=True, text=True, check=False)
            return result.returncode, result.stdout + result.stderr

    def test_unaltered(self):
        code, text = self.recompute(lambda rows: None)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"(\d+) of \1 capacities reproduced")

    def test_altered_capacity(self):
        def alter(rows):
            row = next(row for row in rows if row["server"] == "threaded")
            row["capacity_per_s"] = str(float(row["capacity_per_s"]) * 1.00001)

        code, text = self.recompute(alter)
        self.assertEqual(code, 1, text)
        self.assertIn("capacity of threaded, download of 1024 bytes, 64 connections: capacity_per_s: recomputed", text)

    def test_invented_lower_bound(self):
        def alter(rows):
            next(row for row in rows if row["server"] == "prefork")["at_least_per_s"] = "500"

        code, text = self.recompute(alter)
        self.assertEqual(code, 1, text)
        self.assertIn("at_least_per_s: recomputed None, recorded 500", text)

    def test_missing_row(self):
        code, text = self.recompute(lambda rows: rows.pop())
        self.assertEqual(code, 1, text)
        self.assertIn("recomputed, but not recorded", text)


if __name__ == "__main__":
    unittest.main()
