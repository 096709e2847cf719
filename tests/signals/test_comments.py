"""What dbt and sqlcommenter write into a comment becomes attributes: who asks, and no secret."""

from __future__ import annotations

import json
import logging
import time

import duckdb
import pytest

from otel_duckdb.settings import SettingError, Settings
from otel_duckdb.statement import TEXT_LIMIT, parse

DBT = (
    '/* {"app": "dbt", "dbt_version": "1.11.0", "profile_name": "shop", "target_name": "dev", '
    '"node_id": "model.shop.stg_tokens"} */'
)
FROM_DBT = {
    "app": "dbt",
    "dbt_version": "1.11.0",
    "profile_name": "shop",
    "target_name": "dev",
    "node_id": "model.shop.stg_tokens",
}
SAID = [
    (f"{DBT}\ncreate table t as (select 1)", FROM_DBT),
    (f"select 1 {DBT};", FROM_DBT),
    (
        "select 1 /*route='%2Fpolls%20all',framework='fastapi%3A0.1'*/",
        {"route": "/polls all", "framework": "fastapi:0.1"},
    ),
    ("select 1 /*controller='it\\'s', action='a%2Cb' */ -- end", {"controller": "it's", "action": "a,b"}),
    ("/* route='a' */ select 1 /* route='b' */", {"route": "a"}),
    (
        '/* {"app": "dbt", "count": 5, "is": true, "of": {"a": 1}, "none": null} */ select 1',
        {"app": "dbt", "count": "5", "is": "true"},
    ),
    ("select '/* route=''a'' */' as x, 1 -- route='b'", {}),
    ("select 1 /* an ordinary comment, key='value' and more */", {}),
    ("select 1 /* route='never ended", {}),
    ('select 1 /* {"app": never} */', {}),
    ("select 1 /*+ hint */ /**/ /*'*/", {}),
]


@pytest.mark.parametrize(("text", "said"), SAID)
def test_a_comment_says_who_asks(text, said):
    assert parse(text).comment == said


def test_the_end_of_a_text_that_is_cut_is_read_for_a_comment():
    assert parse("select '" + "x" * TEXT_LIMIT + "' /*route='a'*/;").comment == {"route": "a"}


SECRET_VALUES = [
    "https://me:hunter2@host/x",
    "/login?token=hunter2",
    "postgres://host/x?password=hunter2",
    "me:hunter2@host",
    "Bearer hunter2",
    "AKIAHUNTER2HUNTER2",
    "sk-hunter2hunter2",
    "ghp_hunter2hunter2",
    "eyJhunter2hunter2",
    "password: hunter2",
    "api_key=hunter2",
]


@pytest.mark.parametrize("value", SECRET_VALUES)
def test_a_value_that_is_or_may_be_a_secret_is_left_out(value):
    assert parse(f"/* {json.dumps({'node_id': value, 'app': 'dbt'})} */ select 1").comment == {"app": "dbt"}
    encoded = value.replace("%", "%25").replace("=", "%3D").replace("'", "%27").replace(":", "%3A")
    assert parse(f"select 1 /*route='{encoded}',app='x'*/").comment == {"app": "x"}


def test_a_key_that_names_a_secret_is_left_out():
    assert parse("select 1 /*password='x',api_key='x',app='x'*/").comment == {"app": "x"}


@pytest.mark.parametrize(
    "value", ["model.shop.sales_asia", "/tasks/task-list", "model.x.stg_tokens", "a@b.c", "password"]
)
def test_a_value_that_only_sounds_like_one_stays(value):
    assert parse(f"select 1 /*route='{value}'*/").comment == {"route": value}


@pytest.mark.parametrize("piece", ["a='b',", "a='", "token", "\\'", "{", '{"a":', "[", "%2", "a=", "/*"])
def test_a_hostile_comment_is_read_in_no_time(piece):
    text = f"select 1 /* {piece * (8_000 // len(piece))} */"
    started = time.thread_time()
    said = parse(text).comment
    assert time.thread_time() - started < 0.5
    assert len(said) <= 64
    assert all(len(value) <= 1024 for value in said.values())


def comments(span):
    return {key: value for key, value in span.attributes.items() if key.startswith("duckdb.comment.")}


def test_the_keys_of_the_default_list_become_attributes_and_no_label(heard):
    duckdb.connect().execute(f"{DBT} select 1 /*db_driver='x',traceparent='y',route='%2F'*/").fetchall()
    assert comments(heard.span()) == {
        "duckdb.comment.app": "dbt",
        "duckdb.comment.node_id": "model.shop.stg_tokens",
        "duckdb.comment.target_name": "dev",
        "duckdb.comment.profile_name": "shop",
        "duckdb.comment.route": "/",
    }
    assert heard.span().attributes["db.query.text"] == "select ?"
    for point in heard.points("db.client.operation.duration"):
        assert not [key for key in point.attributes if "comment" in key]


@pytest.mark.parametrize(
    ("option", "keys"), [("none", set()), ("dbt_version, app", {"dbt_version", "app"}), ((), set())]
)
def test_which_keys_become_attributes_is_an_option(telemetry, option, keys):
    telemetry.instrument(comment_attributes=option)
    duckdb.connect().execute(f"{DBT} select 1").fetchall()
    assert {key.removeprefix("duckdb.comment.") for key in comments(telemetry.span())} == keys


@pytest.mark.parametrize("value", ["a b", "a,é$", 5, [1], "x" * 100])
def test_a_key_that_is_no_name_is_refused(value):
    with pytest.raises(SettingError, match="comment_attributes"):
        Settings.load({"comment_attributes": value}, {})


def test_the_slow_log_says_who_asks(telemetry, caplog):
    telemetry.instrument(slow_threshold_ms=0)
    with caplog.at_level(logging.WARNING, "otel_duckdb.slow_query"):
        duckdb.connect().execute(f"{DBT} select 1").fetchall()
    assert "app dbt, node_id model.shop.stg_tokens" in caplog.text


def test_the_parameters_of_a_statement_are_no_secret_because_its_comment_speaks_of_one(telemetry):
    telemetry.instrument(capture_parameters=True)
    duckdb.connect().execute(f"{DBT} select ?", [7]).fetchall()
    assert telemetry.span().attributes["db.query.parameter.0"] == "7"
