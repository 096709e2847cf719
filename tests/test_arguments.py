"""A value that is not allowed is one error that names the option, the value and what is allowed."""

import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.settings import SettingError, Settings


@pytest.mark.parametrize(
    "value", ["inf", "-inf", "1e400", "nan", "-5GB", -3, "-0.5GB", "9e18GB", 2**63, "GB", "5XB", True]
)
@pytest.mark.parametrize("name", ["memory_limit", "max_disk_bytes"])
def test_a_size_is_a_number_of_bytes_that_a_metric_can_carry(name, value):
    with pytest.raises(SettingError, match=f"{name} is .*; allowed is a size such as 2GB") as raised:
        Settings.load({name: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("value", "size"), [("2GB", 2_000_000_000), ("512MiB", 2**29), (0, 0), (2**63 - 1025, None)])
def test_sizes_are_read_as_duckdb_writes_them(value, size):
    found = Settings.load({"memory_limit": value}).memory_limit
    assert found == size or size is None


@pytest.mark.parametrize("value", [-1, "1e3", 2**63, "many", 1.5])
def test_a_whole_number_is_one_that_a_metric_can_carry(value):
    with pytest.raises(SettingError, match="max_connections is"):
        Settings.load({"max_connections": value})


@pytest.mark.parametrize("value", ["", " ", True, 1.5, [], {}, b"gateway", object()])
def test_an_instance_is_called_by_a_text(value):
    with pytest.raises(SettingError, match=r"instance_id is .*; allowed is a text that is not empty"):
        Settings.load({"instance_id": value})
    assert Settings.load({"instance_id": 7}).instance_id == "7"
    assert Settings.load({"instance_id": " gateway-1 "}).instance_id == "gateway-1"


@pytest.mark.parametrize("value", [[1], [None], ("a", b"b"), {"a"}, 5])
def test_a_pattern_of_statements_is_a_text(value):
    with pytest.raises(SettingError, match=r"excluded_statements is .*; allowed is regular expressions"):
        Settings.load({"excluded_statements": value})


def test_a_very_long_value_is_shown_by_its_beginning():
    with pytest.raises(SettingError) as raised:
        Settings.load({"profile": "x" * 10_000})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "name",
    ["request_hook", "response_hook", "operation_filter", "tracer_provider", "meter_provider", "logger_provider"],
)
def test_what_is_no_hook_and_no_provider_is_refused_before_anything_is_changed(name):
    instrumentor = DuckDBInstrumentor()
    for value in ("no\nhook", 5):
        with pytest.raises(SettingError, match=f"{name} is .*; allowed is") as raised:
            instrumentor.instrument(**{name: value})
        assert len(str(raised.value).splitlines()) == 1
    assert not instrumentor.is_instrumented_by_opentelemetry


@pytest.mark.parametrize("value", ["no connection", None, 5, object()])
def test_what_is_no_connection_is_refused_whether_duckdb_is_instrumented_or_not(telemetry, value):
    for _ in range(2):
        with pytest.raises(TypeError, match=r"the connection is .*; give what duckdb\.connect"):
            telemetry.instrumentor.instrument_connection(value)
        if not telemetry.instrumentor.is_instrumented_by_opentelemetry:
            telemetry.instrument()
