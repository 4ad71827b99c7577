"""Capacity of a server by the trials of its searches.

The rules come from results/SCHEMA.md ("Capacity", below "From rows to figures"), whose sentences are quoted.
"""

import collections
import decimal
import enum
import math
import re

import numpy
from scipy import optimize, special, stats

# "The scale s is 0.05 for every `sweep.capacity.resolution`."
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
    # "`latency_requests` are at least the objective's share of `arrivals`." Whole millionths round once only.
    answered = number(row, "latency_requests")
    needed = number(row, "arrivals") * round(objective.achieved * 1e6) / 1e6
    if schema < FOLLOWED_TO_THE_REPLY:
        # "Until version 5, `requests` were compared with this share less `offered_per_s` × the objective's p99."
        answered, needed = requests, needed - number(row, "offered_per_s") * objective.p99_us / 1e6
    # "The p99 of the response time is within the objective, also where it is a lower bound (`support`). It is the row of
    # `latency.csv` with the percentile 99 or, if that is missing, as with fewer than 100 samples, 100. A trial without
    # either is a miss."
    maximum = percentiles.get((row["trial"], 100.0), math.inf)
    longest_us = percentiles.get((row["trial"], 99.0), maximum)
    # "Every connection got a reply. If there are fewer than two requests per connection, replies on `requests` ÷ 2
    # connections, rounded down, are enough."
    served = min(connections, requests // 2)
    return (
        answered >= needed
        and longest_us <= objective.p99_us
        # "`errors` / (`requests` + `errors`) is within the objective."
        and errors <= objective.errors * (requests + errors)
        and number(row, "connections_served") >= served)


def contradicts_itself(row):
    """Tests the conditions of the outcome `invalid`."""
    numbers = [row.get(column) for column in ("server_requests", "replies_total", "abandoned_total")]
    if all(numbers):
        counted, replies, abandoned = map(int, numbers)
        # "`server_requests` is below `replies_total`, or above `replies_total` + `abandoned_total`."
        if not replies <= counted <= replies + abandoned:
            return True
    # "Or `little` deviates from 1 by more than 0.03 + `little_slack`."
    return bool(row.get("little")) and abs(number(row, "little") - 1) > 0.03 + number(row, "little_slack")


def evidence_of(row, percentiles, schema):
    """Evidence of a trial of a search."""
    outcome, objective = row["outcome"], objective_of(row["search"])
    # "Trials with the outcome `unsupported` or `not-started` are neither misses nor void."
    if outcome in ("unsupported", "not-started"):
        return Evidence.NOTHING
    # "A trial in which the server died is a miss."
    if outcome == "died":
        return Evidence.MISSED
    # "A trial that contradicts itself as described for `invalid` is void, whatever outcome is recorded, …"
    if outcome == "invalid" or contradicts_itself(row):
        return Evidence.VOID
    if meets(row, objective, percentiles, schema):
        return Evidence.MET
    # "… and so is a miss in a `disturbed` one, even if the generator caused the miss, too."
    if outcome == "disturbed":
        return Evidence.VOID
    # "A miss with a `generator_cpu_share` of 0.95 or more, or with a `generator_late_us` above half of the objective's
    # p99, is caused by the generator."
    if number(row, "generator_cpu_share") >= 0.95 or number(row, "generator_late_us") > objective.p99_us / 2:
        return Evidence.GENERATOR
    # "All other trials with a search are informative."
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
    # there is no such miss, …" "Of two misses at the same rate the informative one counts."
    return all(trial.evidence == Evidence.GENERATOR for trial in misses if trial.rate == lowest)


def counts(trials):
    """Whether a round counts: "unless its last trial is void and it has neither a rate met nor an informative miss"."""
    found = {trial.evidence for trial in trials}
    return trials[-1].evidence != Evidence.VOID or bool(found & {Evidence.MET, Evidence.MISSED})


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

    def slope(m):
        """Slope of the logarithm of the likelihood, times s: its root is the maximum.

        Around the maximum the likelihood itself is too flat to find it: with all misses far above the other trials,
        its change is below the precision of numbers.
        """
        # expit(z) is 1 / (1 + exp(−z)), without overflow: the probability of a miss where one met, and the reverse.
        return special.expit((met - m) / SCALE).sum() - special.expit((m - missed) / SCALE).sum()

    # At the maximum the sum of the probabilities is the number of trials that met the objective: 1 to n − 1. If m exceeds
    # the highest ln x by s·ln n, each probability is at least n ÷ (n + 1), and the sum is above n − 1; likewise below the
    # lowest. So the maximum is between them. It is the only one: the logarithm of the likelihood is concave.
    rates = numpy.concatenate([met, missed])
    reach = SCALE * math.log(rates.size)
    found = optimize.brentq(slope, rates.min() - reach, rates.max() + reach, xtol=1e-13)
    return math.exp(middle + found)


def capacity_of(rows, percentiles, schema):
    """Capacity by the rows of trials.csv that belong to one server and one search.

    `percentiles` contains the response times in µs by trial and percentile, `schema` the version of the folder.
    """
    rounds = collections.defaultdict(list)
    # The last trial of a round is that "by number".
    for row in sorted(rows, key=lambda row: int(row["trial"])):
        # "`interrupted` ones are left out."
        if row["outcome"] != "interrupted":
            trial = Trial(float(row["offered_per_s"] or "nan"), evidence_of(row, percentiles, schema))
            rounds[int(row["round"])].append(trial)
    counted = list(filter(counts, rounds.values()))
    highest = [rate for rate in map(highest_met, counted) if rate is not None]
    # "A server has no capacity if at least half of the rounds that count met no rate, or if none counts, …"
    if 2 * (len(counted) - len(highest)) >= len(counted):
        return UNKNOWN
    # "… and only bounds if at least half of the rounds that count are lower bounds." `at_least_per_s`: "The median of
    # the highest rates met, over the rounds that met one."
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
