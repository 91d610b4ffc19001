"""Prometheus' text format: values by name and labels, quantiles between two scrapes."""

import math
import re

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Scrape:
    """One page of `/metrics`."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if match := _SAMPLE.match(line):
                name, labels, value = match.groups()
                self.samples.append((name, dict(_LABEL.findall(labels or "")), float(value)))

    def values(self, name, **labels):
        """The values of the series of that name that have these labels."""
        wanted = labels.items()
        return [v for n, have, v in self.samples if n == name and wanted <= have.items()]

    def sum(self, name, **labels):
        return sum(self.values(name, **labels))

    def buckets(self, name):
        """Cumulative counts by upper bound, over all series of the histogram."""
        counts = {}
        for sample, labels, value in self.samples:
            if sample == f"{name}_bucket":
                bound = float(labels["le"])
                counts[bound] = counts.get(bound, 0) + value
        return counts


def quantile(share, name, before, after):
    """A histogram's quantile over what was observed between scrapes, by node, and the count.

    As Prometheus' `histogram_quantile` has it: linear within the bucket that the rank falls into.
    """
    counts = {}
    for old, new in zip(before, after, strict=True):
        was = old.buckets(name)
        for bound, value in new.buckets(name).items():
            counts[bound] = counts.get(bound, 0) + value - was.get(bound, 0)
    total = counts.get(math.inf, 0)
    rank = share * total
    lower, below = 0.0, 0.0
    for bound, cumulative in sorted(counts.items()):
        if cumulative >= rank and cumulative > below:
            if math.isinf(bound):
                return lower, int(total)
            return lower + (bound - lower) * (rank - below) / (cumulative - below), int(total)
        lower, below = bound, cumulative
    return math.nan, int(total)
