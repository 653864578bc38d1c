"""Measuring in turns, and what comes of it: rows of ratios with their goals."""
import statistics
import sys

from servers import QUICK

ROUNDS, SECONDS = (2, 0.2) if QUICK else (9, 0.3)
CLIENTS = (1, 16, 64)


def turns(what, measures, rounds=ROUNDS):
    """Calls each of the measures, A B C A B C ...: a list of lists, the results of each one."""
    results = [[] for _ in measures]
    for number in range(rounds):
        progress("%s, round %d of %d " % (what, number + 1, rounds))
        for result, measure in zip(results, measures):
            result.append(measure())
    progress("")
    return results


def progress(text):
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)


def rates(bench, servers, clients, greeting="hello\r\n", rounds=ROUNDS):
    """For each server a row of bench.load() for each round."""
    return turns("%d clients" % clients, [
        lambda server=server: bench.load(server, clients, SECONDS, greeting) for server in servers
    ], rounds)


def column(rows, number):
    return [row[number] for row in rows]


def cpu_each(rows, seconds=SECONDS):
    """Microseconds of CPU for a connection, of the server and its handlers, over all rounds."""
    return 1e6 * sum(column(rows, -1)) / max(1, seconds * sum(column(rows, 0)))


def ratios(values, to):
    """Round by round; without those in which the machine was too busy to serve anybody."""
    return [value / base for value, base in zip(values, to) if base > 0] or [0]


class Row:
    """One line of the table: values of all rounds and what their median should be."""

    def __init__(self, what, values, least=None, most=None, unit="", note=""):
        self.what, self.values = what, values
        self.least, self.most, self.unit, self.note = least, most, unit, note
        self.median = statistics.median(values)

    def show(self, value):
        if self.unit:
            return ("%.0f" if value >= 100 or value == int(value) else "%.3f") % value
        return "%.3f" % value if value < 10 else "%.1f" % value

    def goal(self):
        if self.least is not None:
            return "%g%s or more" % (self.least, self.unit)
        if self.most is not None:
            return "%g%s or less" % (self.most, self.unit)
        return ""

    def reached(self):
        if self.least is not None:
            return self.median >= self.least
        if self.most is not None:
            return self.median <= self.most
        return None

    def cells(self):
        spread = ""
        if len(self.values) > 1:
            spread = "%s to %s" % (self.show(min(self.values)), self.show(max(self.values)))
        verdict = {True: "yes", False: "**no**", None: ""}[self.reached()]
        note = " (%s)" % self.note if self.note else ""
        return [self.what + note, self.show(self.median) + self.unit, spread, self.goal(), verdict]
