"""Capacity of a server by the trials of its searches.

The rules come from results/SCHEMA.md ("Capacity", below "From rows to figures"), whose sentences are quoted. "Reading:"
marks a choice that these sentences leave open.
"""

import collections
import decimal
import enum
import math
import re

import numpy
from scipy import optimize, stats

# "The scale s is 0.05."
SCALE = 0.05
ROUNDS_FOR_INTERVAL = 5
COVERAGE = 0.95
# Version from which trials.csv contains `latency_requests`.
FOLLOWED_TO_THE_REPLY = 6
MICROSECONDS = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}

# The longest p99, and the shares of failed and of answered requests.
Objective = collections.namedtuple("Objective", ["p99_us", "errors", "achieved"])
Trial = collections.namedtuple("Trial", ["rate", "evidence"])
# `rounds` contains the value of each round that has one.
Capacity = collections.namedtuple("Capacity", ["value", "low", "high", "at_least", "rounds"])
UNKNOWN = Capacity(None, None, None, None, {})


class Evidence(enum.Enum):
    """Information that a trial contains about the server."""

    MET = "met the objective"
    MISSED = "missed the objective"
    GENERATOR = "a miss that the load generator caused"
    VOID = "void"
    NOTHING = "nothing was measured"


MISSES = {Evidence.MISSED, Evidence.GENERATOR}


def objective_of(text):
    """Objective of the column `search`, such as p99=5ms,errors=0.1%,achieved=99%."""
    parts = dict(part.split("=") for part in text.split(","))
    digits, unit = re.fullmatch(r"([0-9.]+)([a-zµ]+)", parts["p99"]).groups()
    return Objective(float(digits) * MICROSECONDS[unit], share_of(parts["errors"]), share_of(parts["achieved"]))


def share_of(percentage):
    """Share, such as 0.001, that a percentage such as 0.1% expresses."""
    # Decimal division: that of binary numbers rounds twice.
    return float(decimal.Decimal(percentage.removesuffix("%")) / 100)


def number(row, column):
    """Number in a column; 0 if the field is empty, or if the folder is older than the column."""
    return float(row.get(column) or 0)


def meets(row, objective, percentiles, schema):
    """Tests the four conditions of an objective."""
    if not row["window_s"]:
        return False
    requests, errors, connections = (number(row, column) for column in ("requests", "errors", "connections"))
    # "`latency_requests` are at least the objective's share of `arrivals`."
    answered, arrivals = number(row, "latency_requests"), number(row, "arrivals")
    if schema < FOLLOWED_TO_THE_REPLY:
        # "Until version 5 `requests` were compared with `arrivals` × (1 − objective's p99 ÷ `window_s`)."
        answered, arrivals = requests, arrivals * (1 - objective.p99_us / 1e6 / number(row, "window_s"))
    # "The p99 of the response time is within the objective. With fewer than 100 replies, the maximum is used."
    # Reading: these are the cases in which latency.csv omits percentile 99, as less than one sample is above it.
    maximum = percentiles.get((row["trial"], 100.0), math.inf)
    longest_us = percentiles.get((row["trial"], 99.0), maximum)
    # "Every connection got a reply. If there are fewer than two requests per connection, replies on (requests ÷ 2)
    # connections are enough." Reading: `requests`, divided without rounding.
    needed = min(connections, requests / 2)
    return (
        answered >= objective.achieved * arrivals
        and longest_us <= objective.p99_us
        # "`errors` / (`requests` + `errors`) is within the objective."
        and errors <= objective.errors * (requests + errors)
        and number(row, "connections_served") >= needed)


def evidence_of(row, percentiles, schema):
    """Evidence of a trial of a search."""
    outcome, objective = row["outcome"], objective_of(row["search"])
    # "Trials with the outcome `unsupported` or `not-started` show nothing, either." Reading: they are not void.
    if outcome in ("unsupported", "not-started"):
        return Evidence.NOTHING
    # "A trial in which the server died is a miss."
    if outcome == "died":
        return Evidence.MISSED
    # "An `invalid` trial is void, and so is a miss in a `disturbed` one." Reading: also one that the generator caused.
    if outcome == "invalid":
        return Evidence.VOID
    if meets(row, objective, percentiles, schema):
        return Evidence.MET
    if outcome == "disturbed":
        return Evidence.VOID
    # "A miss with a `generator_cpu_share` of 0.95 or more, or with a `generator_late_us` above half of the objective's
    # p99, is caused by the generator."
    if number(row, "generator_cpu_share") >= 0.95 or number(row, "generator_late_us") > objective.p99_us / 2:
        return Evidence.GENERATOR
    # "All other trials with a search are informative." Reading: the outcome `interrupted`, too.
    return Evidence.MISSED


def highest_met(trials):
    """Highest rate of a round that met the objective, or None."""
    return max((trial.rate for trial in trials if trial.evidence == Evidence.MET), default=None)


def is_lower_bound(trials):
    """Whether a round shows only a lower bound of the capacity."""
    highest = highest_met(trials)
    # "A round is a lower bound if it met a rate, …"
    if highest is None:
        return False
    # "… or if its last trial is void."
    if trials[-1].evidence == Evidence.VOID:
        return True
    misses = [trial for trial in trials if trial.rate > highest and trial.evidence in MISSES]
    lowest = min((trial.rate for trial in misses), default=None)
    # "… and if the lowest informative or generator-caused miss above its highest rate met is caused by the generator, if
    # there is no such miss, …" Reading: of several at this rate, an informative one shows the limit of the server.
    return all(trial.evidence == Evidence.GENERATOR for trial in misses if trial.rate == lowest)


def does_not_count(trials):
    """Whether a round is "without any rate that met or missed the objective, because of void trials"."""
    found = {trial.evidence for trial in trials}
    return Evidence.VOID in found and not found & (MISSES | {Evidence.MET})


def value_of(trials):
    """Rate exp(m) of a round at which half of the trials meet the objective, by maximum likelihood, or None.

    "A trial at the rate x meets the objective with the probability 1 / (1 + exp(−(m − ln x) / s))."
    """
    met = numpy.log([trial.rate for trial in trials if trial.evidence == Evidence.MET])
    missed = numpy.log([trial.rate for trial in trials if trial.evidence == Evidence.MISSED])
    # "A round in which all informative trials met the objective, or none did, has no value."
    if not met.size or not missed.size:
        return None
    # As distances from the middle of the range, which is near the maximum, the values of m lose little precision.
    middle = (met.max() + missed.min()) / 2
    met, missed = met - middle, missed - middle

    def minus_log_likelihood(m):
        # logaddexp(0, z) is −ln(1 / (1 + exp(z))), without overflow.
        return numpy.logaddexp(0, (met - m) / SCALE).sum() + numpy.logaddexp(0, (m - missed) / SCALE).sum()

    # At the maximum the sum of the probabilities is the number of trials that met the objective: 1 to n − 1. If m exceeds
    # the highest ln x by s·ln n, each probability is at least n ÷ (n + 1), and the sum is above n − 1; likewise below the
    # lowest. So the maximum is between them. It is the only one: the logarithm of the likelihood is concave.
    rates = numpy.concatenate([met, missed])
    reach = SCALE * math.log(rates.size)
    found = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(rates.min() - reach, rates.max() + reach), method="bounded",
        options={"xatol": 1e-9})
    return math.exp(middle + found.x)


def capacity_of(rows, percentiles, schema):
    """Capacity by the rows of trials.csv that belong to one server and one search.

    `percentiles` contains the response times in µs by trial and percentile, `schema` the version of the folder.
    """
    rounds = collections.defaultdict(list)
    for row in sorted(rows, key=lambda row: int(row["trial"])):
        trial = Trial(float(row["offered_per_s"] or "nan"), evidence_of(row, percentiles, schema))
        rounds[int(row["round"])].append(trial)
    counted = [trials for trials in rounds.values() if not does_not_count(trials)]
    highest = [rate for rate in map(highest_met, counted) if rate is not None]
    # "A server has no capacity if at least half of its rounds met no rate, …"
    if 2 * (len(counted) - len(highest)) >= len(counted):
        return UNKNOWN
    # "… and only bounds if at least half of them are lower bounds." The lower one is the median "over the rounds of the
    # highest rate met". Reading: over those that met one.
    if 2 * sum(map(is_lower_bound, counted)) >= len(counted):
        return UNKNOWN._replace(at_least=float(numpy.median(highest)))
    values = {key: value_of(trials) for key, trials in rounds.items()}
    return estimate({key: value for key, value in values.items() if value is not None})


def estimate(values):
    """Capacity by the values of the rounds.

    There is at least one: more than half of the rounds met a rate and less than half are lower bounds, so that one
    round has a rate that met the objective and an informative miss above it.
    """
    # "The geometric mean of the values, exp(m̄); its 95 % interval is exp(m̄ ± t·d/√n) from five values on."
    logs = numpy.log(list(values.values()))
    mean = float(logs.mean())
    low, high = None, None
    if logs.size >= ROUNDS_FOR_INTERVAL:
        half = float(stats.t.ppf((1 + COVERAGE) / 2, logs.size - 1) * stats.sem(logs, ddof=1))
        low, high = math.exp(mean - half), math.exp(mean + half)
    return Capacity(math.exp(mean), low, high, None, values)
