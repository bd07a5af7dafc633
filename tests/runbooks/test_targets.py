"""From a target's name to a connection string, without ever showing a password."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from pgrunbook import Refused
from pgrunbook.planning import right_target
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.target import Target, TargetSettings
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.project import Project, Settings

PASSWORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
IDENTITY = Identity("crm", "10.0.0.1:5432", "18.1", "app", "7412", "primary", False, False)


def project(**settings: TargetSettings) -> Project:
    return Project(Path("/project"), Settings(targets=settings))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`url("postgresql://…")` puts it into the environment variable CRM_URL."""
    return lambda value: monkeypatch.setenv("CRM_URL", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "postgresql://app@db:6432/crm",
            {"user": "app", "host": "db", "port": "6432", "dbname": "crm"},
        ),
        (
            "postgres://app:p%40ss@db/crm",
            {"user": "app", "password": "p@ss", "host": "db", "dbname": "crm"},
        ),
        ("postgresql+psycopg://app@db/crm", {"user": "app", "host": "db", "dbname": "crm"}),
        ("postgresql://db/c%40m?user=a@b", {"user": "a@b", "host": "db", "dbname": "c@m"}),
        ("postgresql:///crm?host=%2Frun%2Fpg", {"host": "/run/pg", "dbname": "crm"}),
        ("host=db dbname='my crm' user=a@b", {"host": "db", "dbname": "my crm", "user": "a@b"}),
    ],
)
def test_a_url_in_an_environment_variable(url: Any, value: str, expected: dict[str, str]) -> None:
    url(value)
    assert conninfo_to_dict(targets.resolve("env:CRM_URL", project()).conninfo) == expected


def test_a_libpq_service() -> None:
    target = targets.resolve("service:crm staging", project())
    assert conninfo_to_dict(target.conninfo) == {"service": "crm staging"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (TargetSettings(), {"service": "staging"}),
        (TargetSettings(service="crm_staging"), {"service": "crm_staging"}),
        (TargetSettings(env="CRM_URL", database="crm"), {"host": "db"}),
    ],
)
def test_a_name_from_the_settings(
    url: Any, settings: TargetSettings, expected: dict[str, str]
) -> None:
    url("postgresql://db")
    target = targets.resolve("staging", project(staging=settings))
    assert conninfo_to_dict(target.conninfo) == expected
    assert (target.name, target.expected) == ("staging", settings)


@pytest.mark.parametrize(
    "name", ["", "staging", "env:", "service:", "Embedded", "postgresql://db/crm", "file:x"]
)
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(Refused, match=r"expected: embedded, env:NAME, service:NAME, production\n"):
        targets.resolve(name, project(production=TargetSettings()))


def test_an_environment_variable_that_is_not_set(url: Any) -> None:
    url("")
    with pytest.raises(Refused, match="export CRM_URL=postgresql://"):
        targets.resolve("env:CRM_URL", project())


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        "host=db passwort=hunter2",
        "postgresql://app:my hunter2@db/crm",
        "postgresql://app:p@hunter2@db/crm",  # libpq: password p, host hunter2@db
        "postgresql://app:p/hunter2@db/crm",  # libpq: host app, port p, database hunter2@db/crm
        "postgresql://app:1/hunter2@db/crm",
        "postgresql://app:%zz@db/hunter2",
    ],
)
def test_a_connection_string_that_libpq_misreads_is_refused_and_not_repeated(
    url: Any, value: str
) -> None:
    url(value)
    with pytest.raises(Refused, match="percent-encode special characters") as caught:
        targets.resolve("env:CRM_URL", project())
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_url_as_a_name_is_not_repeated_with_its_password() -> None:
    with pytest.raises(Refused, match="a URL is not the name of a target") as caught:
        targets.resolve("postgresql://app:hunter2@db/crm", project())
    assert "hunter2" not in str(caught.value)


@given(PASSWORDS)
def test_a_target_shows_no_password(password: str) -> None:
    target = Target("env:CRM_URL", f"postgresql://app:{quote(password, safe='')}@db/crm")
    assert password not in target.redact(f"no role is called {password}").replace("***", "")
    assert repr(target) == repr(replace(target, conninfo="postgresql://db"))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("embedded", "embedded"),
        ("env:DATABASE_URL", "env-DATABASE_URL"),
        ("service:crm staging", "service-crm-staging"),
        ("../../etc", "etc"),
        ("/", "target"),
        ("...", "target"),
    ],
)
def test_the_folder_is_one_harmless_path_component(name: str, folder: str) -> None:
    assert Target(name, "").folder == folder


@pytest.mark.parametrize(
    ("schema", "folder"),
    [
        ("public", "embedded"),
        ("tenant_1", "embedded/tenant_1"),
        ("Müller", "embedded/Müller"),
        ("../etc", "embedded/etc-f7f9121f"),
        ("a b", "embedded/a-b-c8687a08"),
        ("...", "embedded/ab5df625"),
    ],
)
def test_each_schema_has_a_folder_of_its_own(schema: str, folder: str) -> None:
    assert Target("embedded", "").records(schema) == folder


@pytest.mark.parametrize(
    "expected", [{}, {"database": "crm"}, {"database": "crm", "system_identifier": "7412"}]
)
def test_the_target_that_was_meant(expected: dict[str, str]) -> None:
    right_target.check_identity(Target("staging", "", TargetSettings(**expected)), IDENTITY)


def test_another_database_or_cluster_than_was_meant() -> None:
    target = Target("staging", "", TargetSettings(database="crm_staging", system_identifier="1"))
    with pytest.raises(Refused, match="This is not the target") as caught:
        right_target.check_identity(target, IDENTITY)
    assert [(p.what, p.expected, p.found) for p in caught.value.problems] == [
        ("the wrong database", "crm_staging", "crm"),
        ("the wrong system identifier", "1", "7412"),
    ]
