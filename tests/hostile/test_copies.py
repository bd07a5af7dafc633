"""Who is who: copies of production have its identifier, its database and its ledger, and are not
taken for it.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hostile.copies import copied, listening
from psycopg import sql
from support.databases import Database, login_role
from support.projects import ROOT, Outcome, Project, wait_for

from pgrunbook.errors import Failed, Refused
from pgrunbook.ledger import install, versions
from pgrunbook.ledger.server_match import ServerIdentity, ServerMatch
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target

pytestmark = [pytest.mark.usefixtures("server")]

BY = ("-p", "operator", "ada", "-p", "approver", "grace")
NOT_OURS = (
    "server: is not the one that the ledger was written on: a copy of it, or it after a failover"
)
LEDGER = ROOT / "src" / "pgrunbook" / "sql" / "ledger"
FIRST = "010_import_batches"


@pytest.fixture
def production(own: Database, project: Project) -> Project:
    """The project, whose protected target `production` is the sample on a server of its own."""
    (project.root / "pgrunbook.toml").write_text(
        f'[targets.production]\nenv = "PRODUCTION_URL"\nprotected = true\n{own.known_by}'
        '[targets.staging]\nenv = "STAGING_URL"\ncopy_of = "production"\n'
    )
    project.env["PRODUCTION_URL"] = own.url
    return project


def to_approve(project: Project, *arguments: str) -> str:
    """The digest of the plan, as the refusal of a run without an approval shows it."""
    (digest,) = set(
        re.findall(r"approved_plan ([0-9a-f]{64})", project.step("production", *arguments).text)
    )
    return digest


def approved(project: Project, digest: str, upto: str | None = None) -> Outcome:
    return project.step("production", "-p", "approved_plan", digest, *BY, upto=upto)


def begun(project: Project) -> str:
    """One block is applied, so that the ledger names its server; the plan of what is left."""
    done = approved(project, to_approve(project), upto=FIRST)
    assert done.code == 0, done.text
    return to_approve(project)


def servers(database: Database) -> list[tuple[str, str]]:
    rows = database.execute("SELECT event, target FROM pgrunbook.servers ORDER BY id")
    return [(event, target) for event, target in rows]


@pytest.mark.long
def test_a_base_backup_is_not_taken_for_production(
    own: Database, production: Project, place: Path
) -> None:
    """Not even if it was made after the plan was approved. Under a name of its own it can be worked
    on, and told.
    """
    digest = begun(production)
    with copied(own.server, place / "base-backup" / "pg") as server:
        copy = Database(server, own.name)
        before = copy.dump()
        with (
            connect(Target("x", own.url), schema="public") as one,
            connect(Target("x", copy.url), schema="public") as two,
        ):
            ServerMatch.of(one).require_here(one, "x")
            with pytest.raises(Refused, match="leads to different servers"):
                ServerMatch.of(one).require_here(two, "x")
        production.env["PRODUCTION_URL"] = copy.url
        for done in (approved(production, digest), production.step("production", "--mode", "plan")):
            assert (done.code, copy.dump()) == (2, before), done.text
            assert NOT_OURS in done.text
            assert f"{server.socket}:5432 on " in done.text
            assert "pgrunbook server --target production --confirm" in done.text

        here = production.run("env:PRODUCTION_URL")  # as production is reached
        assert (here.code, copy.dump()) == (2, before), here.text
        production.env.update(PRODUCTION_URL=own.url, STAGING_URL=copy.url)
        done = production.run("env:STAGING_URL")
        assert done.code == 0, done.text
        assert "NOT the one that the ledger was written on" in done.cells["target"]
        assert "NOT the one that the ledger was written on" in done.cells["preconditions"]
        assert servers(copy) == [("first", "production"), ("copied", "env:STAGING_URL")]
        assert (
            "as in the ledger, by a run that found another server"
            in production.command("server", "--target", "env:STAGING_URL").text
        )
        # it says of itself that it is a copy, and is none the better
        production.env["PRODUCTION_URL"] = copy.url
        again = approved(production, digest)
        assert (again.code, NOT_OURS in again.text) == (2, True), again.text
    production.env["PRODUCTION_URL"] = own.url
    assert approved(production, digest).code == 0


@pytest.mark.long
def test_a_copy_that_may_be_production_is_one_if_the_settings_say_so(
    own: Database, production: Project, place: Path
) -> None:
    """A role that is not shown the data directory sees other addresses only, and those may have
    changed.
    """
    begun(production)
    role = login_role(own)
    own.load(
        f"GRANT ALL ON ALL TABLES IN SCHEMA pgrunbook TO {role.name}; GRANT postgres TO {role.name}"
    )
    own.load(f"GRANT USAGE ON SCHEMA pgrunbook TO {role.name}")
    with copied(own.server, place / "staging" / "pg") as server:
        copy = Database(server, own.name)
        copy.execute(sql.SQL("REVOKE postgres FROM {}").format(sql.Identifier(role.name)))
        production.env["STAGING_URL"] = copy.url_as(role.name, role.password)
        before = copy.dump()
        done = production.step("env:STAGING_URL")
        assert (done.code, copy.dump()) == (2, before), done.text
        assert (
            "is the target 'production', which is protected, after a failover; or a copy of it"
            in done.text
        )
        assert "data directory: not shown to this role" in done.text
        settings = r'\[targets.staging-url\]\n +env = "STAGING_URL"\n +copy_of = "production"\n'
        assert re.search(settings, done.text), done.text
        production.env["STAGING_URL"] = copy.url
        assert production.step("staging").code == 0
    production.env["STAGING_URL"] = own.url
    itself = production.step("staging")
    assert itself.code == 2
    assert "target 'staging': is the target 'production', which is protected\n" in itself.text


@pytest.mark.long
def test_a_promoted_standby_is_production_once_somebody_says_so(
    own: Database, production: Project, place: Path
) -> None:
    digest = begun(production)
    with copied(own.server, place / "promoted" / "pg", replicates=True) as server:
        standby = Database(server, own.name)
        production.env["PRODUCTION_URL"] = standby.url
        asked = production.command("server", "--target", "production")
        assert (asked.code, "the ledger was written on its primary" in asked.text) == (0, True), (
            asked.text
        )
        refused = production.command("server", "--target", "production", "--confirm", "it is time")
        assert (refused.code, "server: is not a primary" in refused.text) == (2, True), refused.text
        standby.execute("SELECT pg_promote()")

        failed = approved(production, digest)
        assert (failed.code, NOT_OURS in failed.text) == (2, True), failed.text
        assert "timeline: 1, and here 2" in failed.text
        production.env["OTHER_URL"] = standby.url
        for arguments in ([], ["--confirm", "it is ours"]):
            other = ("server", "--target", "env:OTHER_URL", *arguments) if arguments else ()
            done = production.command(*other) if other else production.step("env:OTHER_URL")
            assert (done.code, "is the target 'production', which is protected" in done.text) == (
                2,
                True,
            ), done.text

        said = production.command(
            "server", "--target", "production", "--confirm", "failover", "--operator", "ada"
        )
        assert said.code == 0, said.text
        assert re.search(
            r"found: +.*NOT the one.*\n(.*\n)*confirmed: .*: as in the ledger", said.text
        ), said.text
        assert servers(standby)[1:] == [("confirmed", "production")]
        stale = approved(production, digest)
        assert (stale.code, "plan: is not the one that was approved" in stale.text) == (2, True), (
            stale.text
        )
        assert approved(production, to_approve(production)).code == 0
        assert production.step("env:OTHER_URL").code == 2
        assert (
            production.command("server", "--target", "production", "--confirm", "again").code == 0
        )
        assert servers(standby)[1:] == [("confirmed", "production")]


@pytest.mark.long
def test_a_lock_on_the_old_primary_is_none_on_a_promoted_standby(
    own: Database, place: Path
) -> None:
    """Both live, and the session that applies blocks was lost."""
    with copied(own.server, place / "both live" / "pg", replicates=True) as server:
        sessions = Sessions(Target("test", own.url), "public", "test")
        sessions.lock()
        sessions.require_lock()
        sessions.work.close()
        standby = Database(server, own.name)
        standby.execute("SELECT pg_promote()")
        sessions.target = Target("test", standby.url)
        with pytest.raises(Failed, match="on another server"):
            sessions.require_lock()
        sessions.close()


@pytest.fixture
def addresses() -> list[str]:
    """Three addresses of this host that nobody else listens on."""
    return [f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}.{n}" for n in (1, 2, 3)]


@pytest.mark.long
def test_a_plan_holds_over_a_restart_and_at_another_address_of_the_same_server(
    own: Database, production: Project, addresses: list[str], place: Path
) -> None:
    listening(own.server, ",".join(addresses[:2]))
    one, other, elsewhere = (
        f"postgresql://postgres@{address}:5432/{own.name}" for address in addresses
    )
    production.env["PRODUCTION_URL"] = one
    digest = begun(production)
    production.env["PRODUCTION_URL"] = other
    assert to_approve(production) == digest  # as it was started when the ledger says
    assert approved(production, digest, upto="020_stage_mappings").code == 0
    assert servers(own) == [("first", "production"), ("seen", "production")]
    digest = to_approve(production)
    listening(own.server, ",".join(addresses[:2]))
    for url in (one, other):  # both are known
        production.env["PRODUCTION_URL"] = url
        assert to_approve(production) == digest
    with copied(own.server, place / "elsewhere" / "pg", addresses=addresses[2]):
        production.env["PRODUCTION_URL"] = elsewhere
        assert NOT_OURS in approved(production, digest).text
    production.env["PRODUCTION_URL"] = one
    assert approved(production, digest).code == 0


@pytest.mark.long
def test_before_the_ledger_names_its_server_a_plan_does(
    own: Database, production: Project, place: Path
) -> None:
    digest = to_approve(production)
    with copied(own.server, place / "without" / "pg") as server:
        copy = Database(server, own.name)
        production.env["PRODUCTION_URL"] = copy.url
        before = copy.dump()
        done = approved(production, digest)
        assert (done.code, copy.dump()) == (2, before), done.text
        assert "plan: is not the one that was approved" in done.text
        production.env["STAGING_URL"] = copy.url
        for target in ("env:STAGING_URL", "staging"):  # nothing tells one from the other
            done = production.step(target)
            assert (done.code, copy.dump()) == (2, before), done.text
            assert "the ledger names none yet, by which a copy could be told" in done.text


def test_a_database_that_was_copied_inside_its_server_is_told(
    applied: Database, project: Project
) -> None:
    """By CREATE DATABASE … TEMPLATE, or from a dump. Where nothing is protected, the run goes
    on.
    """
    project.env["CRM_URL"] = applied.url
    before = applied.dump()
    shown = project.command("status", "--target", "env:CRM_URL").text
    assert "NOT the one that the ledger was written on" in shown
    assert "database oid: " in shown
    applied.execute("DROP TABLE stage_mappings")
    assert applied.dump() != before
    settings = f'[targets.crm]\nenv = "CRM_URL"\nprotected = true\n{applied.known_by}'
    (project.root / "pgrunbook.toml").write_text(settings)
    refused = project.step("crm")
    assert (refused.code, NOT_OURS in refused.text) == (2, True), refused.text
    (project.root / "outputs").mkdir()
    said = project.command("archive", "verify", "--target", "crm")
    assert (said.code, NOT_OURS in said.text) == (2, True), said.text


@pytest.fixture
def version_4(crm: Database) -> Iterator[psycopg.Connection[psycopg.rows.TupleRow]]:
    """A session on a database whose ledger is of version 4, as releases before made it."""
    for number in range(1, 5):
        crm.psql("-f", LEDGER / f"{number:03}.sql")
        crm.execute(
            "INSERT INTO pgrunbook.versions (version, tool_version) VALUES (%s, '0.4.0')", [number]
        )
    with crm.connect() as conn:
        yield conn


@pytest.mark.long
@pytest.mark.usefixtures("version_4")
def test_a_ledger_of_version_4_is_read_as_it_is_and_then_names_its_server(
    crm: Database, project: Project
) -> None:
    project.env["CRM_URL"] = crm.url
    before = crm.dump()
    (project.root / "outputs").mkdir()  # where nothing is sealed
    for command, code in ((["status"], 0), (["server"], 0), (["archive", "verify"], 1)):
        done = project.command(*command, "--target", "env:CRM_URL")
        assert (done.code, crm.dump()) == (code, before), done.text
    for mode in ("plan", "verify"):
        project.step(crm, "--mode", mode)
        assert crm.dump() == before
    assert project.step(crm, upto=FIRST).code == 0
    assert servers(crm) == [("first", "env:CRM_URL")]
    assert project.step(crm).code == 0
    assert servers(crm) == [("first", "env:CRM_URL")]


def test_an_upgrade_that_is_killed_half_way_is_undone_and_done_again(
    crm: Database, version_4: psycopg.Connection[psycopg.rows.TupleRow]
) -> None:
    before = crm.dump()
    with connect(Target("test", crm.url), schema="public") as work, version_4.transaction():
        version_4.execute("LOCK pgrunbook.versions IN SHARE MODE")
        upgrade = threading.Thread(target=lambda: suppressed(work))
        upgrade.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        pid = work.info.backend_pid
        wait_for(lambda: crm.execute(waiting, [pid]) == [(1,)])
        version_4.execute("SELECT pg_terminate_backend(%s)", [pid])
        upgrade.join()
    assert crm.dump() == before
    with connect(Target("test", crm.url), schema="public") as work:
        install.install(work)
    assert crm.execute("SELECT max(version) FROM pgrunbook.versions") == [
        (versions.SCHEMA_VERSION,)
    ]
    assert servers(crm) == []


def suppressed(work: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    with pytest.raises(psycopg.OperationalError):
        install.install(work)


def test_a_server_that_does_not_tell_its_timeline(crm: Database) -> None:
    """As Aurora does; here a role may not ask."""
    role = login_role(crm)
    crm.execute("REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC")
    with connect(Target("test", role.url), schema="public", read_only=True) as conn:
        here = ServerIdentity.of(conn)
    assert (here.timeline, here.data_directory) == (None, None)
    assert "timeline not shown" in here.text


def test_a_server_is_confirmed_where_there_is_no_schema_public(
    empty: Database, project: Project
) -> None:
    empty.load("DROP SCHEMA public; CREATE SCHEMA app")
    project.env["CRM_URL"] = empty.url
    for given in ((), ("--confirm", "failover of monday")):
        done = project.command("server", "--target", "env:CRM_URL", *given)
        assert done.code == 0, done.text
    assert empty.execute("SELECT reason FROM pgrunbook.servers") == [("failover of monday",)]
