"""Statistics of shares and scores: intervals, paired tests, power. Pure functions of numbers."""

from ace.stats.intervals import Interval, mean_interval
from ace.stats.paired import PairedTest, holm, paired_test
from ace.stats.power import detectable_difference, samples_needed

__all__ = [
    "Interval",
    "PairedTest",
    "detectable_difference",
    "holm",
    "mean_interval",
    "paired_test",
    "samples_needed",
]
