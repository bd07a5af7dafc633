"""Secrets: a name is none, a password of another server is none, and one in the SQL stops a run
before it begins.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from support.databases import Database, Role
from support.projects import Outcome, Project

from pgrunbook.records import leaks
from pgrunbook.runbooks.scripts import Script
from pgrunbook.secrets import literals, search

STRONG = "kX9-tr0ub4dor&3"


@dataclass(frozen=True)
class Account:
    """A project with a runbook that makes a table `account`, which has a column `password`."""

    project: Project
    name: str = "003_account"

    @property
    def deploy(self) -> Path:
        return self.project.root / "sql" / self.name / "deploy" / "010_account.sql"

    @property
    def notebook(self) -> Path:
        return self.project.root / "runbooks" / f"{self.name}.ipynb"

    def edit(self, path: Path, before: str, after: str) -> None:
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def cell(self, source: str) -> None:
        """Let the cell that observes do something else as well, after the blocks were applied."""
        before = (
            '"after = run.observe()\\n",'
            if "observe()\\n" in self.notebook.read_text()
            else '"after = run.observe()'
        )
        self.edit(self.notebook, before, before[0] + json.dumps(source + "\n")[1:-1] + before[1:])

    def run(self, database: Database, *arguments: str, kernel: bool = False) -> Outcome:
        self.project.env.setdefault("CRM_URL", database.url)
        given = ("run", self.name, "--target", "env:CRM_URL", *arguments)
        return self.project.command(*given, kernel=kernel)

    def leaves_nothing_of(self, secret: str, done: Outcome) -> None:
        """Neither on the terminal nor in a file under outputs/."""
        assert secret not in done.text
        for path in self.project.root.glob("outputs/**/*"):
            assert path.is_dir() or secret.encode() not in path.read_bytes(), path


@pytest.fixture
def account(project: Project) -> Account:
    made = Account(project)
    project.command("new", "account")
    made.edit(
        made.deploy,
        "  body TEXT NOT NULL,\n",
        "  body TEXT NOT NULL,\n  password TEXT CHECK (password <> ''),\n  client_secret TEXT "
        "DEFAULT 'none',\n"
        "  api_password TEXT DEFAULT 'password: see the vault',\n"
        "  url TEXT GENERATED ALWAYS AS ('https://app:'||password||'@elsewhere') STORED,\n"
        "  dsn TEXT GENERATED ALWAYS AS ('host=elsewhere password='||password) STORED,\n",
    )
    made.edit(
        made.deploy,
        "COMMENT ON COLUMN account.body",
        "CREATE INDEX account_password ON account (password);\n"
        "COMMENT ON COLUMN account.password IS 'the password: hashed, as in password = "
        "crypt(password, salt)';\n"
        "COMMENT ON COLUMN account.body",
    )
    return made


@pytest.fixture
def home(account: Account) -> Path:
    """The home of whoever runs it."""
    path = account.project.root / "home"
    path.mkdir()
    account.project.env["HOME"] = str(path)
    return path


def _passwords(home: Path, *lines: str) -> None:
    file = home / ".pgpass"
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(0o600)


def _noted(done: Outcome) -> dict[str, str]:
    assert done.notebook, done.text
    noted: dict[str, str] = nbformat.read(done.notebook, as_version=4).metadata["pgrunbook"]
    return noted


def _verdicts(database: Database) -> list[str]:
    return [
        verdict
        for (verdict,) in database.execute("SELECT verdict FROM pgrunbook.verdicts ORDER BY id")
    ]


# -- C: what is no secret
# ----------------------------------------------------------------------------------------------


def test_a_column_called_password(crm: Database, account: Account, home: Path) -> None:
    """And the passwords of other servers: words that stand everywhere."""
    _passwords(
        home,
        "other:*:*:*:root",
        "elsewhere:5432:crm:*:public",
        "third:*:*:*:wrong",
        "fourth:*:*:*:account",
    )
    looks = (
        "%sql SELECT password, client_secret, 'x' AS p FROM account WHERE password = 'never' "
        "OR password <> ''"
    )
    account.cell(f"display(run.columns('account'))\nprint(run.columns('account'))\n{looks}")
    done = account.run(crm, "-p", "operator", "root", "--html")
    assert done.code == 0, done.text
    assert "\nseal: " in done.text
    assert "warning" not in done.text
    assert "***" not in done.notebook.read_text()
    assert "masked" not in _noted(done)
    again = account.run(crm)
    assert again.code == 0, again.text


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE account SET password = v_hash, port = 5432",
        "UPDATE account SET host = p_host,\n  password = NEW.hash,\n  user = 'x'",
        "SELECT 'postgres://app:'||password||'@elsewhere', 'host=elsewhere password='||password "
        "FROM account",
        "DO $$ BEGIN RAISE NOTICE 'host = %, password = %', 1, 2; END $$",
        "COMMENT ON TABLE account IS 'as http://localhost:3000 shows it, or ask ops@example.com'",
    ],
)
def test_sql_about_passwords_holds_none(sql: str) -> None:
    """Neither before it runs, nor where the record shows it, which would not be what the ledger
    has.
    """
    body = f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN {sql}; END $f$"
    for text in (sql, body):
        assert list(literals.search(text)) == []
        assert search.search_text(text, (), "", sql=True) == []


def test_what_only_looks_like_a_secret_is_masked_and_told(crm: Database, account: Account) -> None:
    """After the commit: the verdict and the seal stand."""
    account.cell("print('see postgresql:/' + '/somebody:' + 'hsifdrows'[::-1] + '@elsewhere/crm')")
    done = account.run(crm, kernel=True)
    assert done.code == 0, done.text
    assert (
        "warning: what looks like a secret was masked: cell `after`, output 1: a password in a URL"
        in done.text
    )
    assert "\nseal: " in done.text
    account.leaves_nothing_of("swordfish", done)
    assert _noted(done)["verdict"] == "passed"
    assert _verdicts(crm) == ["passed"]
    assert done.notebook
    assert (
        "None of them is a password of this run"
        in nbformat.read(done.notebook, as_version=4).cells[0].source
    )
    verified = account.project.command("archive", "verify")
    assert verified.code == 0, verified.text


@pytest.mark.long
def test_a_record_whose_plan_and_sql_are_masked_in_part_is_sealed(
    crm: Database, account: Account
) -> None:
    """Though neither is byte for byte what the ledger and the plan's digest are about."""
    account.edit(account.deploy, "  body TEXT", '  "as in ftp://me:swordfish@h" TEXT,\n  body TEXT')
    for mode in ("plan", "apply", "revert"):
        done = account.run(crm, "--mode", mode)
        assert done.code == 0, done.text
        assert (
            "warning: what looks like a secret was masked: cell `preconditions`, output 1: a "
            "password in a URL" in done.text
        )
        assert "\nseal: " in done.text
        account.leaves_nothing_of("swordfish", done)
    verified = account.project.command("archive", "verify", "--target", "env:CRM_URL")
    assert verified.code == 0, verified.text


@pytest.mark.long
def test_a_plan_that_is_masked_in_part_was_rehearsed_all_the_same(
    crm: Database, account: Account
) -> None:
    settings = f'[targets.staging]\nenv = "CRM_URL"\n{crm.known_by}rehearsal = true\n'
    (account.project.root / "pgrunbook.toml").write_text(settings)
    account.project.env["CRM_URL"] = crm.url
    account.edit(account.deploy, "  body TEXT", '  "as in ftp://me:swordfish@h" TEXT,\n  body TEXT')
    rehearsed = account.project.command(
        "run", account.name, "--target", "staging", "--mode", "rehearse"
    )
    assert rehearsed.code == 0, rehearsed.text
    plan = re.search(r"^plan: +([0-9a-f]{64})", rehearsed.text, re.MULTILINE)
    assert plan

    account.edit(account.deploy, "  body TEXT", "  body TEXT, more TEXT")
    other = account.project.command(
        "run", account.name, "--target", "staging", "-p", "approved_plan", plan[1]
    )
    assert other.code == 2
    assert "parts of its record are masked" in other.text
    assert "more TEXT" in other.text
    account.leaves_nothing_of("swordfish", other)

    account.edit(account.deploy, "  body TEXT, more TEXT", "  body TEXT")
    done = account.project.command("run", account.name, "--target", "staging")
    assert done.code == 0, done.text
    assert "is the one that was rehearsed, masked in part" in done.notebook.read_text()
    account.leaves_nothing_of("swordfish", done)


def test_what_a_block_makes_with_a_password_of_the_run_is_rolled_back(
    crm: Database, account: Account, login_role: Callable[..., Role]
) -> None:
    """No text of its SQL holds it, and the ledger would keep it for ever."""
    role = login_role(crm, STRONG)
    crm.execute(f"ALTER ROLE {role.name} SUPERUSER")
    account.project.env["CRM_URL"] = role.url
    before, after = STRONG[:6], STRONG[6:]
    account.deploy.write_text(
        "-- title: T\n-- why: W\n\nCREATE TABLE account (id int);\nDO $$ BEGIN EXECUTE format("
        f"'ALTER TABLE account ADD body text DEFAULT %L', '{before}' || '{after}'); END $$;\n"
    )
    done = account.run(crm)
    assert done.code == 1, done.text
    assert "would hold a password that the run knew" in done.text
    assert "table column public.account.body" in done.text
    assert crm.execute("SELECT to_regclass('account')") == [(None,)]
    assert crm.execute("SELECT count(*) FROM pgrunbook.blocks") == [(0,)]
    account.leaves_nothing_of(STRONG, done)


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("role", "CREATE ROLE {name}; ALTER TABLE deals OWNER TO {name}"),
        ("column", "ALTER TABLE deals ADD COLUMN {name}_id int"),
    ],
)
def test_a_password_that_is_a_name_is_refused_before_anything_is_changed(
    crm: Database, account: Account, login_role: Callable[..., Role], kind: str, sql: str
) -> None:
    """Every record of the run shows it; it failed, once it had committed."""
    name = "app_owner_of_2026"
    role = login_role(crm, name)
    crm.execute(f"ALTER ROLE {role.name} SUPERUSER")
    crm.load(sql.format(name=name))
    account.project.env["CRM_URL"] = role.url
    done = account.run(crm)
    try:
        assert done.code == 2, done.text
        assert f"is also in the name of a {kind}" in done.text
        assert crm.execute("SELECT to_regclass('account')") == [(None,)]
        account.leaves_nothing_of(name, done)
    finally:
        if kind == "role":
            crm.load(f"ALTER TABLE deals OWNER TO postgres; DROP ROLE {name}")


def test_a_password_of_the_run_is_masked_and_fails_it(
    crm: Database, account: Account, home: Path, login_role: Callable[..., Role]
) -> None:
    """The record is sealed all the same, and the ledger says what the record says."""
    role = login_role(crm, STRONG)
    crm.execute(f"GRANT {crm.execute('SELECT current_user')[0][0]} TO {role.name}")
    crm.execute(f"ALTER ROLE {role.name} SUPERUSER")
    _passwords(
        home,
        "other:*:*:*:wrong",
        f"{crm.server.socket}:*:{crm.name}:{role.name}:{STRONG.replace(':', chr(92) + ':')}",
    )
    account.project.env["CRM_URL"] = crm.url_as(role.name)
    account.cell("import pathlib\nprint(pathlib.Path('~/.pgpass').expanduser().read_text())")
    done = account.run(crm, kernel=True)
    assert done.code == 1, done.text
    assert (
        "A password of this run was in the notebook, and is masked. The run itself passed"
        in done.text
    )
    assert "cell `after`, output 1: a password that the run knew" in done.text
    assert "\nseal: " in done.text
    account.leaves_nothing_of(STRONG, done)
    assert _noted(done)["verdict"] == "failed"
    assert _verdicts(crm) == ["passed", "failed"]
    ((reason,),) = crm.execute("SELECT reason FROM pgrunbook.verdicts ORDER BY id DESC LIMIT 1")
    assert reason == _noted(done)["reason"]
    verified = account.project.command("archive", "verify", "--target", "env:CRM_URL")
    assert verified.code == 0, verified.text


# -- D: what stops a run before it begins
# ------------------------------------------------------------------------------

SQL = {
    "a connection string": "ALTER TABLE account ADD dsn text DEFAULT 'host=h password=hunter2-x';",
    "one that is "
    "dollar-quoted": "ALTER TABLE account ADD dsn text DEFAULT $x$host=h password=hunter2-x$x$;",
    "one with "
    "escapes": r"ALTER TABLE account ADD dsn text DEFAULT E'host=h passw\x6frd=hunter2-x';",
    "a URL": "INSERT INTO account (body) VALUES ('postgres://u:hunter2-x@h/d');",
    "a role": "CREATE ROLE app PASSWORD $$hunter2-x$$;",
    "a role in Unicode": "ALTER ROLE app PASSWORD U&'hunter2-!0078' UESCAPE '!';",
    "a user "
    "mapping": "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'hunter2-x');",
    "a subscription": "CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2-x' PUBLICATION p;",
    "dblink in a "
    "function": "DO $$ BEGIN\n PERFORM dblink('host=h password=hunter2-x', 'q');\nEND $$;",
    "SQL in a function": "DO $$ BEGIN EXECUTE 'ALTER ROLE app PASSWORD ''hunter2-x'''; END $$;",
    "a comment": "-- was: postgres://u:hunter2-x@h/d\nSELECT 1;",
    "one that does not end": "CREATE ROLE app PASSWORD 'hunter2-x",
    "a private "
    "key": "INSERT INTO account (body) VALUES ('-----BEGIN PRIVATE KEY-----\nhunter2-x');",
}


@pytest.mark.parametrize("mode", ["plan", pytest.param("apply", marks=pytest.mark.long)])
def test_sql_with_a_secret_is_refused(crm: Database, account: Account, mode: str) -> None:
    """All of it at once, with file and line, and by lint as well; nothing of it is anywhere."""
    folder = account.deploy.parents[1]
    for number, (name, sql) in enumerate(SQL.items()):
        kind = ("deploy", "verify", "revert")[number % 3]
        (folder / kind / f"{number + 20:03}_x.sql").write_text(
            f"-- title: {name}\n-- why: x\n\n{sql}\n"
        )
    before = crm.dump()
    done = account.run(crm, "--mode", mode, "--html")
    assert done.code == 2, done.text
    assert crm.dump() == before
    linted = account.project.command("lint")
    for number in range(len(SQL)):
        kind = ("deploy", "verify", "revert")[number % 3]
        assert re.search(
            rf"^  {kind}/{number + 20:03}_x\.sql:\d: holds an? ", done.text, re.MULTILINE
        ), done.text
        assert re.search(rf"{kind}/{number + 20:03}_x\.sql:\d: holds an? ", linted.text), (
            linted.text
        )
    assert "remedy:" in done.text
    account.leaves_nothing_of("hunter2", done)
    assert "hunter2" not in linted.text
    assert done.notebook
    assert _noted(done)["verdict"] == "refused"


@pytest.mark.long
def test_the_password_of_the_target_in_the_sql(
    crm: Database, account: Account, login_role: Callable[..., Role]
) -> None:
    """Wherever it stands: in a name, in a value."""
    role = login_role(crm, "kX9_trouble_3")
    account.project.env["CRM_URL"] = role.url
    account.edit(account.deploy, "DEFAULT 'none'", "DEFAULT 'with kX9_trouble_3 in it'")
    done = account.run(crm, "--mode", "plan")
    assert done.code == 2, done.text
    assert "deploy/010_account.sql:8: holds a password that the run knew" in done.text
    account.leaves_nothing_of("kX9_trouble_3", done)


@pytest.mark.long
def test_a_secret_in_a_cell(crm: Database, account: Account) -> None:
    account.cell(
        "%sql SELECT * FROM dblink('host=h password=hunter2-x', 'SELECT 1') AS t (a int)\n"
    )
    done = account.run(crm)
    assert done.code == 2, done.text
    linted = account.project.command("lint")
    assert "cell after: a password in a connection string" in linted.text
    account.leaves_nothing_of("hunter2", done)
    assert "hunter2" not in linted.text


@pytest.mark.long
def test_one_that_an_earlier_version_has_written_into_the_ledger(
    crm: Database, account: Account
) -> None:
    """It does not stop the runs after it for ever: the file says that the secret is worthless
    now.
    """
    account.edit(account.deploy, "DEFAULT 'none'", "DEFAULT 'with dsn'")
    assert account.run(crm).code == 0
    secret = "host=h password=hunter2-x"
    account.edit(account.deploy, "with dsn", secret)
    refused = account.run(crm)
    assert refused.code == 2
    assert "-- exposed: changed on …" in refused.text
    account.edit(account.deploy, "\n\n", "\n-- exposed: changed on 2026-11-28, CHG-1\n\n")
    script = Script.read(account.deploy, account.deploy.parents[1])
    crm.load(
        "ALTER TABLE pgrunbook.blocks DISABLE TRIGGER ALL;"
        f"UPDATE pgrunbook.blocks SET sql = replace(sql, 'with dsn', '{secret}'),"
        f" facts = replace(facts::text, 'with dsn', '{secret}')::jsonb,"
        " effect = NULL, tree_sha256 = "
        f"'{script.tree_sha256}';"
        "ALTER TABLE pgrunbook.blocks ENABLE TRIGGER ALL;"
        f"ALTER TABLE account ALTER client_secret SET DEFAULT '{secret}'"
    )
    done = account.run(crm)
    assert done.code == 0, done.text
    assert "warning: what looks like a secret was masked" in done.text
    account.leaves_nothing_of("hunter2", done)
    crm.load("DROP TABLE account; DROP SCHEMA pgrunbook CASCADE")
    pending = account.run(crm)
    assert pending.code == 2, pending.text
    assert "deploy/010_account.sql: holds a secret, and is not done" in pending.text
    account.leaves_nothing_of("hunter2", pending)


def test_a_type_that_only_begins_as_ours_is_searched_as_any_other() -> None:
    for kind, found in [("frame", 0), ("mine", 1)]:
        notebook = nbformat.v4.new_notebook()
        cell = nbformat.v4.new_code_cell()
        data = {
            f"application/vnd.pgrunbook.{kind}+json": {},
            "text/plain": f"password = '{STRONG}'",
        }
        cell.outputs = [nbformat.v4.new_output("display_data", data)]
        notebook.cells = [cell]
        assert len(leaks.search(notebook, [])) == found


def test_a_long_text_takes_little_memory() -> None:
    """A group of a regular expression that is repeated remembers each time."""
    code = (
        "from pathlib import Path; from pgrunbook.secrets import patterns\n"
        "for text in 'x', ':', 'a:', 'password ', \"password='\", 'x ':\n"
        "    patterns.shapes(text + 'x' * 4_000_000)\n"
        "print(Path('/proc/self/status').read_text())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    # of itself alone: getrusage() has what its parent had, too
    (peak,) = re.findall(rb"VmHWM:\s*(\d+) kB", told.stdout)
    assert int(peak) < 300_000


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t FROM PROGRAM 'curl -u a:pw-1 https://h'",
        "COPY t TO PROGRAM 'tool --password pw-1 -x'",
        "COPY t FROM PROGRAM 'sshpass -p pw-1 ssh h cat f'",
        "SELECT set_config('app.password', 'pw-1', false)",
        "SET app.password = 'pw-1'",
        "BEGIN; SET LOCAL app.db.password TO 'pw-1'",
        "ALTER DATABASE d SET app.jwt_secret TO 'pw-1'",
        "ALTER ROLE r IN DATABASE d SET app.jwt_secret = 'pw-1'",
        "SELECT f(password => 'pw-1')",
        "SELECT f('Server=h;User Id=u;Password=pw-1;')",
        "SELECT http_header('Authorization', 'Bearer pw-1')",
        "SELECT f(jsonb_build_object('Authorization', 'Basic pw-1'))",
        *(
            f"CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', {name} 'pw-1')"
            for name in ("pwd", "pass", "apikey", "secret_key")
        ),
        "DO $$ BEGIN PERFORM set_config('app.password', 'pw-1', true); END $$",
    ],
)
def test_what_a_name_says_is_a_secret(sql: str) -> None:
    assert list(literals.search(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t FROM PROGRAM 'psql -p 5432 -U app'",
        "COPY t FROM PROGRAM 'tool --password $PW --password-file f; mkdir -p /x'",
        "SELECT set_config('app.password', '', false), set_config('a.password', NULL, false)",
        "SELECT set_config('app.password', current_setting('app.pw'), false)",
        "SET app.password = :'placeholder'",
        "SET password_encryption = 'scram-sha-256'",
        "UPDATE account SET password = 'reset'",
        "SELECT f(password => NULL, token => '')",
        "SELECT f('Server=h;User Id=u;Password={password};')",
        "SELECT http_header('Authorization', 'Bearer ' || current_setting('app.t'))",
        "CREATE USER MAPPING FOR u SERVER s OPTIONS (secret_key 'none')",
        """INSERT INTO i18n VALUES ('{"password": "Passwort", "token": "Marke"}')""",
        "-- WHERE password = 'legacy'\nSELECT 1",
        "SELECT 'x:2024:01:02:03'",
    ],
)
def test_what_stands_in_for_a_secret_is_none(sql: str) -> None:
    assert not list(literals.search(sql))


COMMANDS: list[tuple[str, ...]] = [
    ("run", "001"),
    ("status",),
    ("drift",),
    ("server",),
    ("pause",),
    ("archive", "verify"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["env", "service"])
def test_a_url_in_place_of_a_name_is_not_repeated(
    project: Project, command: tuple[str, ...], kind: str
) -> None:
    url = f"postgresql://u:{STRONG}@h/d"
    for target in (f"{kind}:{url}", "mistaken"):
        if target == "mistaken":
            (project.root / "pgrunbook.toml").write_text(f"[targets.mistaken]\n{kind} = '{url}'\n")
        done = project.command(*command, "--target", target)
        assert done.code in (1, 2), done.text
        assert STRONG not in done.text


def test_what_is_said_of_who_and_why_holds_no_password(
    crm: Database, project: Project, login_role: Callable[..., Role]
) -> None:
    role = login_role(crm, STRONG)
    project.env["CRM_URL"] = role.url
    for said in (f"see postgresql://u:{STRONG}@h/d", f"failover, {STRONG}"):
        for command in (("server", "--confirm", said), ("pause", "--reason", said)):
            done = project.command(*command, "--target", "env:CRM_URL", "--operator", "ada")
            assert done.code == 2, done.text
            assert "holds a password, and what is said is kept for good" in done.text
            assert STRONG not in done.text


@pytest.mark.parametrize("option", ["--stdout-file", "--stderr-file"])
def test_what_cells_print_goes_into_no_file_of_papermills(
    crm: Database, project: Project, option: str
) -> None:
    given = ("--engine", "pgrunbook", option, str(project.root / "printed.txt"))
    done = project.papermill(crm, *given)
    assert done.code != 0
    assert f"papermill's {option}: writes what cells print as it is" in done.text, done.text
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
