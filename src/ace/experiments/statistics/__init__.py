"""Statistics of shares and scores: intervals, paired tests, power. Pure functions of numbers."""

from ace.experiments.statistics.intervals import Interval, mean_interval
from ace.experiments.statistics.paired_tests import PairedTest, holm, paired_test
from ace.experiments.statistics.power import detectable_difference, samples_needed

__all__ = [
    "Interval",
    "PairedTest",
    "detectable_difference",
    "holm",
    "mean_interval",
    "paired_test",
    "samples_needed",
]
