"""The SQL files of a runbook, read and parsed, and the blocks that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import header_rules
from pgrunbook.runbooks.batches import Batching
from pgrunbook.runbooks.blocks import Admits, Block, entry_of
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.header_rules import listed_needs
from pgrunbook.runbooks.scripts import Script, Statement
from pgrunbook.runbooks.sql_files import KINDS, block_paths, stray_files, variant_paths
from pgrunbook.secrets import literals
from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.needs import Need, needs

# Variants of one block, side by side: the name of the file without its ending, and the file.
Variants = Mapping[str, Script]


@dataclass(frozen=True)
class Source:
    """The SQL of one runbook, read and parsed: for each kind of script, its files by base name.
    `unusable` has what is wrong with files, by their paths; one that cannot even be parsed is not
    among the others.
    """

    deploy: Mapping[str, Script | Variants]
    verify: Mapping[str, Script | Variants]
    revert: Mapping[str, Script | Variants]
    unusable: Mapping[str, Sequence[Problem]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Read every file. Raises Refused naming all that is wrong with any of them, before any
        connection.
        """
        source = cls.read_usable(folder)
        problems: list[Problem] = []
        for found in source.unusable.values():
            problems += found
        if problems:
            raise Refused(
                "The runbook's SQL cannot be used: nothing was started.", problems=problems
            )
        return source

    @classmethod
    def read_usable(cls, folder: Path) -> Source:
        """Read every file, as far as it can be used."""
        unusable: dict[str, Sequence[Problem]] = {}
        kinds = {kind: dict(_entries(folder / kind, folder, unusable)) for kind in KINDS}
        if not block_paths(folder / "deploy"):
            problem = Problem("holds no block", where="deploy/", expected="NNN_name.sql")
            unusable["deploy/"] = [problem]
        unusable |= {name: [problem] for name, problem in stray_files(folder)}
        return cls(**kinds, unusable=unusable)

    def scripts(self, *kinds: str) -> Iterator[Script]:
        """Yield the files of these kinds, or of all, variants too."""
        for kind in kinds or KINDS:
            for entry in getattr(self, kind).values():
                if isinstance(entry, Script):
                    yield entry
                else:
                    yield from entry.values()

    @property
    def elsewhere(self) -> bool:
        """Whether a block names the schemas itself that it works in: they need not be the run's."""
        return any("search_path" in script.header for script in self.scripts("deploy", "revert"))

    @property
    def proven(self) -> frozenset[str]:
        """The blocks that a verify script names in its header, as it is about several."""
        return frozenset[str]().union(*(script.proves for script in self.scripts("verify")))

    @property
    def unverified(self) -> list[str]:
        """The blocks, files and folders of `deploy/`, that no verify script is about."""
        known = {name for name, entry in self.verify.items() if entry} | self.proven
        return [name for name in self.deploy if name not in known]

    def secret_problems(self, secrets: Sequence[str]) -> Iterator[Problem]:
        """Yield a problem for each line of a file that holds one of these passwords."""
        for script in self.scripts():
            yield from literals.problems(script.text, script.name, secrets, forms=False)

    def plain_blocks(self) -> list[str]:
        """Return the names of the blocks that are one file, in order."""
        return [name for name, entry in self.deploy.items() if isinstance(entry, Script)]

    def block(self, name: str, variables: Mapping[str, str]) -> Block:
        """Return the block of one file, rendered. Raises Refused if it is not there."""
        script = self.deploy.get(name)
        if not isinstance(script, Script):
            raise Refused.of(f"no block is called {name!r}", expected=", ".join(self.deploy))
        # what is shown has no header; the statements know their lines in the file, header and all
        sql = script.render(variables)
        parsed = script.statements_with(variables)
        needed: list[Need] = []
        if "search_path" not in script.header:  # else its names are not those of the run's schema
            for statement in parsed:
                needed += needs(statement.node)
        needed += listed_needs(script, "requires", variables)
        block = _block(name, [script], sql, parsed, needed)
        fills = [(each.table, each.column) for each in listed_needs(script, "fills", variables)]
        return replace(block, fills=tuple(fills), batching=_batching(script, variables))

    def variant_block(
        self,
        name: str,
        choices: Sequence[tuple[str, Mapping[str, str]]],
        facts: Facts,
        admits: Admits,
        *,
        recorded: Sequence[str] = (),
        otherwise: str = "",
    ) -> Block:
        """Return the block `folder:table.column` made of chosen variants, each with its variables,
        in this order.

        What it makes cannot be told from its text and is given. With no choice the block holds no
        SQL, `otherwise` says why, and its checksums are those of the variants that a run recorded.
        """
        variants = self.deploy.get(name)
        if variants is None or isinstance(variants, Script):
            raise Refused.of(f"no folder of variants is called {name!r}", where="deploy/")
        wanted = [variant for variant, _ in choices]
        if missing := [variant for variant in wanted if variant not in variants]:
            raise Refused.of(
                f"no variant {', '.join(missing)}",
                where=f"deploy/{name}/",
                expected=", ".join(variants),
            )
        sql, parsed = _fill([(variants[variant], values) for variant, values in choices])
        scripts = self.files(name, wanted or recorded)
        block = _block(f"{name}:{admits.table}.{admits.column}", scripts, sql, parsed, ())
        block = replace(block, admits=admits, facts=facts, choices=tuple(choices))
        if not choices:
            block = replace(block, title="No SQL is needed", why=otherwise)
        return block

    def files(self, block: str, variants: Sequence[str]) -> Sequence[Script]:
        """Return the files in `deploy/` of a block: its own; of one that has variants, those of
        these that are there.
        """
        entry = self.deploy[entry_of(block)]
        if isinstance(entry, Script):
            return [entry]
        return [entry[variant] for variant in variants if variant in entry]

    def revert_block(self, block: Block, variables: Mapping[str, str], undone: Facts) -> Block:
        """Return the revert script of a block, as a block of the same name: it makes what it takes
        away.

        The scripts of variants come in reverse order, each with the variables in `block.choices`;
        `variables` are for a block that is one file. Raises Refused if there is no such script, or
        a placeholder has no value.
        """
        entry = self.revert.get(block.entry) or {}
        batching = None
        chosen: list[tuple[Script, Mapping[str, str]]] = []
        if isinstance(entry, Script):
            batching = _batching(entry, variables)
            chosen.append((entry, variables))
        else:
            for variant, values in reversed(block.choices):
                if variant in entry:
                    chosen.append((entry[variant], values))
        if not chosen:
            file = f"revert/{block.entry}.sql"
            remedy = f"write {file}, or undo the block by hand"
            raise Refused.of("has no revert script", where=block.name, expected=file, remedy=remedy)
        sql, parsed = _fill(chosen)
        scripts = [script for script, _ in chosen]
        undo = _block(block.name, scripts, sql, parsed, _needs_of_undoing(block))
        return replace(
            undo, admits=block.admits, facts=undone, choices=block.choices, batching=batching
        )


def _needs_of_undoing(block: Block) -> Iterator[Need]:
    """Yield the tables that a block makes, alters or maintains: what undoes it does, too."""
    if block.admits:
        yield Need(block.admits.table, "alter")
    for each in block.made:
        if each.kind == "table":
            yield Need(each.name, "alter")
    for statement in block.statements:
        for need in needs(statement.node):
            if need.use != "reference":
                yield Need(need.table, need.use)


def _fill(
    scripts: Sequence[tuple[Script, Mapping[str, str]]],
) -> tuple[str, tuple[Statement, ...]]:
    """Return the SQL of scripts, each with its variables, one after the other; and its
    statements.
    """
    texts: list[str] = []
    parsed: list[Statement] = []
    for script, variables in scripts:
        texts.append(script.render(variables))
        parsed += script.statements_with(variables)
    return "\n".join(texts), tuple(parsed)


def _block(
    name: str,
    scripts: Sequence[Script],
    sql: str,
    parsed: tuple[Statement, ...],
    needed: Iterable[Need],
) -> Block:
    # variants of one block run as one: what the header of one says holds for all
    headers = [script.header for script in scripts]
    titles = dict.fromkeys(header.get("title", name) for header in headers)
    timeouts: dict[str, str] = {}
    for header in headers:
        for key in ("lock_timeout", "statement_timeout"):
            if key in header:
                timeouts[key] = header[key]
    role = _first_of(headers, "role")
    return Block(
        name=name,
        title="; ".join(titles),
        why=" ".join(dict.fromkeys(map(_why, scripts))),
        sql=sql,
        statements=parsed,
        needs=tuple(dict.fromkeys(needed)),
        scripts=tuple(scripts),
        transaction=all(header.get("transaction") != "no" for header in headers),
        search_path=search_paths.of_role(_first_of(headers, "search_path"), role),
        role=role,
        repeatable=any(header.get("repeatable") == "yes" for header in headers),
        timeouts=timeouts,
    )


def _batching(script: Script, variables: Mapping[str, str]) -> Batching | None:
    if "batch" not in script.header:
        return None
    return Batching.of(script, variables)


def _first_of(headers: Iterable[Mapping[str, str]], key: str) -> str:
    """Return what the headers say: those of variants say the same, or nothing."""
    for header in headers:
        if key in header:
            return header[key]
    return ""


def _why(script: Script) -> str:
    """Return what its header says, or where it comes from."""
    if "why" not in script.header and script.imported:
        return f"Imported from {script.imported}."
    return script.header.get("why", "")


def _entries(
    folder: Path, root: Path, unusable: dict[str, Sequence[Problem]]
) -> Iterable[tuple[str, Script | Variants]]:
    for name, path in block_paths(folder).items():
        if not path.exists():
            continue  # a link that leads nowhere, see `stray_files`
        if path.is_dir():
            variants = {}
            for file in variant_paths(path):
                if script := _script(file, root, unusable):
                    variants[file.stem] = script
            yield name, variants
        elif script := _script(path, root, unusable):
            yield name, script


def _script(path: Path, root: Path, unusable: dict[str, Sequence[Problem]]) -> Script | None:
    name = path.relative_to(root).as_posix()
    try:
        script = Script.read(path, root)
    except Refused as exc:
        unusable[name] = exc.problems
        return None
    if problems := list(header_rules.problems(script)):
        unusable[name] = problems
    return script
