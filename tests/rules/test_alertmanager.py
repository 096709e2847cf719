"""The script that writes Alertmanager's configuration from the environment."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from otel_duckdb.rules import alerts
from otel_duckdb.rules.expressions import DATABASES

RENDER = Path(__file__).parents[2] / "collector-config/alertmanager/render"
MAIL = {
    "DUCKDB_ALERT_EMAIL_TO": "night@example.org",
    "DUCKDB_ALERT_EMAIL_FROM": "duckdb@example.org",
    "DUCKDB_ALERT_SMTP_HOST": "mail.example.org:587",
}
HOOK = {"DUCKDB_ALERT_WEBHOOK_URL": "https://chat.example.org/hook?a=1&b='x' #c"}


def rendered(**variables):
    return subprocess.run(
        [RENDER], env={"PATH": "/usr/bin:/bin"} | variables, capture_output=True, text=True, check=False
    )


def receivers(**variables):
    done = rendered(**variables)
    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(done.stdout)["receivers"]
    return {receiver.pop("name"): receiver for receiver in made}


@pytest.mark.parametrize("variables", [{}, HOOK, MAIL, HOOK | MAIL], ids=["neither", "webhook", "mail", "both"])
def test_alertmanager_accepts_what_is_written(tools, tmp_path, variables):
    (tmp_path / "alertmanager.yml").write_text(rendered(**variables).stdout)
    done = subprocess.run(
        [tools / "amtool", "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [(["severity=critical"], "critical"), (["severity=warning"], "warning"), (["alertname=Another"], "warning")],
)
def test_alerts_are_routed_by_severity(tools, tmp_path, labels, receiver):
    (tmp_path / "alertmanager.yml").write_text(rendered(**HOOK, **MAIL).stdout)
    words = ["config", "routes", "test", f"--config.file={tmp_path / 'alertmanager.yml'}", *labels]
    done = subprocess.run([tools / "amtool", *words], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == receiver, done.stderr


def test_an_inhibition_names_alerts_that_there_are_and_labels_they_have_in_common():
    names = {alert.name for alert in alerts()}
    for rule in yaml.safe_load(rendered().stdout)["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            ((matcher,),) = (rule[side],)
            named = re.fullmatch(r'alertname (?:=|=~) "?([\w|]+)"?', matcher)
            assert set(named[1].split("|")) <= names
        assert set(rule.get("equal", ())) <= {*DATABASES, "exporter"}


def test_critical_alerts_go_both_ways_and_warnings_to_the_webhook():
    made = receivers(**HOOK, **MAIL)
    hook = {"url": HOOK["DUCKDB_ALERT_WEBHOOK_URL"], "send_resolved": True}
    assert made["critical"] == {
        "webhook_configs": [hook],
        "email_configs": [{"to": "night@example.org", "send_resolved": True}],
    }
    assert made["warning"] == {"webhook_configs": [hook]}


def test_without_a_webhook_warnings_go_by_mail():
    made = receivers(**MAIL)
    assert (
        made["critical"] == made["warning"] == {"email_configs": [{"to": "night@example.org", "send_resolved": True}]}
    )


def test_secrets_stay_in_files_where_files_are_given(tmp_path):
    (tmp_path / "hook").write_text("https://chat.example.org/hidden")
    done = rendered(
        **MAIL,
        DUCKDB_ALERT_WEBHOOK_URL_FILE=str(tmp_path / "hook"),
        DUCKDB_ALERT_SMTP_USER="duckdb",
        DUCKDB_ALERT_SMTP_PASSWORD_FILE="/run/secrets/smtp",
    )
    made = yaml.safe_load(done.stdout)
    assert made["global"]["smtp_auth_password_file"] == "/run/secrets/smtp"
    assert made["receivers"][1]["webhook_configs"] == [{"url_file": str(tmp_path / "hook"), "send_resolved": True}]
    assert "hidden" not in done.stdout


def test_mail_servers_without_tls_and_odd_passwords_are_written_as_given():
    done = rendered(
        **MAIL, DUCKDB_ALERT_SMTP_TLS="false", DUCKDB_ALERT_SMTP_USER="u", DUCKDB_ALERT_SMTP_PASSWORD="it's: #1 $x"
    )
    made = yaml.safe_load(done.stdout)["global"]
    assert made["smtp_auth_password"] == "it's: #1 $x"
    assert made["smtp_require_tls"] is False


@pytest.mark.parametrize("word", ["TRUE", "True", "yes", "1", "on", ""])
def test_every_word_for_yes_means_tls(word):
    made = yaml.safe_load(rendered(**MAIL, DUCKDB_ALERT_SMTP_TLS=word).stdout)["global"]
    assert "smtp_require_tls" not in made


@pytest.mark.parametrize("word", ["FALSE", "No", "off", "0"])
def test_every_word_for_no_means_no_tls(word):
    assert yaml.safe_load(rendered(**MAIL, DUCKDB_ALERT_SMTP_TLS=word).stdout)["global"]["smtp_require_tls"] is False


def test_no_secret_is_told_when_something_is_wrong():
    secret = "hooks.example.org/T0/secret"
    for wrong in (secret, f"ftp://{secret}", f"https://{secret}\n"):
        done = rendered(DUCKDB_ALERT_WEBHOOK_URL=wrong, DUCKDB_ALERT_SMTP_PASSWORD="secret")
        assert done.returncode == 1
        assert "secret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DUCKDB_ALERT_WEBHOOK_URL": "chat.example.org"}, "DUCKDB_ALERT_WEBHOOK_URL does not begin with http:// or"),
        ({"DUCKDB_ALERT_WEBHOOK_URL": "https://chat\nroute: x"}, "DUCKDB_ALERT_WEBHOOK_URL has a line break in it"),
        (
            MAIL | {"DUCKDB_ALERT_SMTP_TLS": "maybe"},
            "DUCKDB_ALERT_SMTP_TLS is 'maybe'; allowed is true, yes, on, 1, false",
        ),
        ({"DUCKDB_ALERT_WEBHOOK_URL_FILE": "/no/such"}, "DUCKDB_ALERT_WEBHOOK_URL_FILE is '/no/such'"),
        ({"DUCKDB_ALERT_EMAIL_TO": "a@example.org"}, "set DUCKDB_ALERT_EMAIL_FROM too"),
        (
            {"DUCKDB_ALERT_EMAIL_TO": "a@example.org", "DUCKDB_ALERT_EMAIL_FROM": "b@example.org"},
            "set DUCKDB_ALERT_SMTP_HOST",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(variables, message):
    done = rendered(**variables)
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
