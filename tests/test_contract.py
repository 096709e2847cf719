"""The contract is consistent with itself."""

import re

from otel_duckdb import contract


def test_every_metric_name_is_used_once():
    names = [metric.prometheus_name for metric in contract.METRICS]
    assert sorted(set(names)) == sorted(names)


def test_every_own_name_is_a_prometheus_name():
    own = [metric.name for metric in contract.METRICS if not metric.name.startswith(("db.", "process."))]
    assert all(re.fullmatch(r"(otel_)?duckdb_[a-z_]+", name) for name in own)


def test_histograms_and_only_histograms_have_buckets():
    for metric in contract.METRICS:
        assert (metric.buckets is not None) == (metric.kind is contract.Kind.HISTOGRAM)
