"""The files that users deploy are valid, and agree with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import pytest
import yaml

from stack.pipeline import CONFIGURATION
from stack.programs import ROOT

COMPOSE = yaml.safe_load((CONFIGURATION / "compose.yaml").read_text())


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_collector_accepts_its_configuration(programs):
    run(programs.collector, "validate", "--config", CONFIGURATION / "collector.yaml")


def test_jaeger_accepts_its_configuration(programs):
    run(programs.jaeger, "validate", "--config", CONFIGURATION / "jaeger.yaml")


def test_prometheus_accepts_its_configuration_and_rules(programs):
    assert "SUCCESS" in run(programs.promtool, "check", "config", CONFIGURATION / "prometheus" / "prometheus.yml")


def test_alertmanager_accepts_its_configuration(programs):
    run(programs.amtool, "check-config", CONFIGURATION / "alertmanager" / "alertmanager.yml")


def test_the_collector_is_built_of_the_parts_that_its_manifest_names():
    manifest = yaml.safe_load((CONFIGURATION / "distribution" / "builder.yaml").read_text())
    modules = (CONFIGURATION / "distribution" / "go.mod").read_text()
    for kind in ("receivers", "processors", "exporters", "extensions", "providers", "connectors"):
        for part in manifest[kind]:
            assert f"\t{part['gomod']}\n" in modules
    assert set(manifest["dist"]) >= {"name", "version"}


@pytest.mark.parametrize(
    ("service", "module", "pattern"),
    [
        ("collector", "collector-config/distribution/go.mod", r"collector/otelcol v(\S+)"),
        ("alertmanager", "tools/programs/alertmanager/go.mod", r"prometheus/alertmanager (v\S+)"),
    ],
)
def test_the_containers_are_of_the_versions_that_the_tests_run(service, module, pattern):
    tested = re.search(pattern, (ROOT / module).read_text())
    assert COMPOSE["services"][service]["image"].partition("@")[0].rsplit(":", 1)[1] == tested.group(1)


def test_jaegers_container_is_of_the_tested_major_version_and_no_older():
    tested = re.search(r"is Jaeger ([\d.]+):", (ROOT / "tools/programs/jaeger/go.mod").read_text()).group(1)
    used = re.search(r":([\d.]+)@", COMPOSE["services"]["jaeger"]["image"]).group(1)
    old, new = ([int(part) for part in version.split(".")] for version in (tested, used))
    assert new[0] == old[0]
    assert new >= old


def test_every_file_a_container_mounts_is_there():
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] if source[0] != "." else (CONFIGURATION / source).exists(), source
        if build := service.get("build"):
            built = {"context": build, "dockerfile": "Dockerfile"} if isinstance(build, str) else build
            assert (CONFIGURATION / built["context"] / built["dockerfile"]).exists()


@pytest.mark.parametrize("name", sorted(set(COMPOSE["services"]) - {"collector", "example"}))
def test_an_image_is_pinned_by_digest(name):
    image = COMPOSE["services"][name]["image"]
    assert re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image)


def test_an_image_that_is_built_begins_with_pinned_ones():
    for file in ("distribution/Dockerfile", "example.Dockerfile"):
        bases = re.findall(r"^FROM (\S+)", (CONFIGURATION / file).read_text(), re.MULTILINE)
        assert bases
        assert all(re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases)
        assert re.search(r"^USER \d*[1-9]\d*:", (CONFIGURATION / file).read_text(), re.MULTILINE)


def test_nothing_runs_as_root_or_may_gain_rights():
    for name, service in COMPOSE["services"].items():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "build" in service or re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name


def test_no_password_has_a_default_and_ports_are_on_loopback():
    text = (CONFIGURATION / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{\w*PASSWORD(:.)", text)) == {":?", ":-"}
    assert re.findall(r"\$\{(\w*PASSWORD):-\}", text) == ["DUCKDB_ALERT_SMTP_PASSWORD"]
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_passwords_are_made_once_and_for_their_owner_alone(tmp_path):
    script = tmp_path / "make-env"
    shutil.copy(CONFIGURATION / "make-env", script)
    run(script)
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    passwords = dict(line.split("=") for line in written.splitlines())
    wanted = set(re.findall(r"\$\{(\w+):\?", (CONFIGURATION / "compose.yaml").read_text()))
    assert set(passwords) == wanted
    assert len(set(passwords.values())) == len(wanted)
    assert min(len(password) for password in passwords.values()) >= 32
    run(script)
    assert (tmp_path / ".env").read_text() == written


def test_grafana_reads_clickhouse_with_an_account_that_may_only_read():
    source = yaml.safe_load((CONFIGURATION / "grafana/provisioning/datasources/datasources.yaml").read_text())
    (clickhouse,) = (one for one in source["datasources"] if one["uid"] == "clickhouse")
    users = ET.parse(CONFIGURATION / "clickhouse/reader.xml").getroot()
    reader = users.find(f"users/{clickhouse['jsonData']['username']}")
    assert [grant.text for grant in reader.iter("query")] == ["GRANT SELECT ON otel.*"]
    assert users.find(f"profiles/{reader.find('profile').text}/readonly").text == "2"
    assert "CLICKHOUSE_PASSWORD" not in COMPOSE["services"]["grafana"]["environment"]


@pytest.mark.parametrize("part", ["senderlimit", "sharedscrape"])
def test_the_collectors_own_parts_pass_their_tests(part):
    module = f"github.com/otel-duckdb/otel-duckdb/collector/{part}"
    done = subprocess.run(
        ["go", "test", module], cwd=CONFIGURATION / "distribution", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("service", "file"), [("collector", "collector.yaml"), ("jaeger", "jaeger.yaml")])
def test_a_container_is_given_only_variables_that_its_configuration_reads(service, file):
    read = set(re.findall(r"\$\{env:(\w+):-", (CONFIGURATION / file).read_text()))
    assert set(COMPOSE["services"][service]["environment"]) <= read


def test_every_variable_of_the_collector_and_jaeger_has_a_default():
    for file in ("collector.yaml", "jaeger.yaml"):
        assert "${env:" not in re.sub(r"\$\{env:\w+:-[^}]*\}", "", (CONFIGURATION / file).read_text())


def test_prometheus_scrapes_the_ports_that_the_collector_opens():
    ports = re.findall(r"_PORT:-(\d+)\}", (CONFIGURATION / "collector.yaml").read_text())
    for job in ("duckdb", "collector"):
        ((group),) = yaml.safe_load((CONFIGURATION / "prometheus" / "targets" / f"{job}.yml").read_text())
        assert [target.split(":")[1] in ports for target in group["targets"]] == [True]


def test_prometheus_keeps_exemplars_and_scrapes_a_format_in_which_any_counter_may_have_one():
    features = "--enable-feature=exemplar-storage,native-histograms"
    assert features in COMPOSE["services"]["prometheus"]["command"]


def test_grafana_finds_its_sources_and_leads_from_an_exemplar_to_jaeger():
    provisioned = yaml.safe_load((CONFIGURATION / "grafana/provisioning/datasources/datasources.yaml").read_text())
    sources = {source["uid"]: source for source in provisioned["datasources"]}
    assert set(sources) == {"prometheus", "jaeger", "clickhouse"}
    (destination,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert (destination["name"], destination["datasourceUid"]) == ("trace_id", "jaeger")
    for source in ("prometheus", "jaeger"):
        name, port = re.fullmatch(r"http://(\w+):(\d+)", sources[source]["url"]).groups()
        assert any(published.endswith(f":{port}") for published in COMPOSE["services"][name]["ports"])
