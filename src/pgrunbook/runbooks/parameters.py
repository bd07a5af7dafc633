"""A run's parameters: typed, closed, and checked before a connection is opened."""

from __future__ import annotations

import ast
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from pgrunbook import controls
from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.runbooks import notebooks
from pgrunbook.runbooks.parameters_cell import is_kept, read_assignments
from pgrunbook.secrets.encodings import holds
from pgrunbook.secrets.patterns import looks_secret

# The environment variable by which a run is given its id beforehand, to name the notebook after it.
RUN_ID = "PGRUNBOOK_RUN_ID"


def _duration(text: str) -> str:
    milliseconds(text)
    return text


def _identifier(text: str) -> str:
    if not 0 < len(text.encode()) <= 63 or "\0" in text:
        raise ValueError("takes the name of a schema: 1 to 63 bytes")
    return text


def _named(text: str) -> str:
    if not text:
        raise ValueError("takes the name of a target, service:NAME or env:VARIABLE")
    return text


def _digest(text: str) -> str:
    if text and not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("takes the SHA-256 of a plan: 64 digits, as mode plan shows them")
    return text


def _one_line(text: str) -> str:
    if text and (takes := controls.unfit(text)):
        raise ValueError(takes)
    return text


# Without the parameter it is the user of the operating system, who may have no name: a container's.
_NAME_OPERATOR = (
    "say who does it: -p operator NAME for a run, --operator NAME for any other command"
)


def require_said(secrets: Sequence[str] = (), /, **texts: str) -> None:
    """Raise Refused, naming each of these texts about who and why that says nothing, or is not to
    be read as it stands; and each that holds a password, one of these `secrets` or another.
    """
    problems = []
    for name, text in texts.items():
        if looks_secret(text) or holds(text, secrets):
            what = "holds a password, and what is said is kept for good"
            problems.append(Problem(what, where=name, remedy="leave it out, and change it"))
        elif takes := controls.unfit(text):
            remedy = ""
            if name == "operator":
                remedy = _NAME_OPERATOR
            problems.append(Problem(takes, where=name, found=ascii(text), remedy=remedy))
    if problems:
        raise Refused("What is to be written does not say who, or why.", problems=problems)


Mode = Literal["plan", "rehearse", "apply", "verify", "revert"]
Duration = Annotated[str, AfterValidator(_duration)]
Said = Annotated[str, AfterValidator(_one_line)]


def run_id() -> str:
    """Return the id of the run that is begun: a new one, unless the environment has one. Raises
    Refused if that is none.
    """
    given = os.environ.get(RUN_ID) or str(uuid.uuid4())
    if is_run_id(given):
        return given
    raise Refused.of(
        "is no run's id",
        where=f"environment variable {RUN_ID}",
        expected=f"a UUID, such as {uuid.uuid4()}",
        found=ascii(given),
        remedy=f"unset {RUN_ID}",
    )


def is_run_id(text: str) -> bool:
    """Return whether a text can be the id of a run: a UUID as PostgreSQL prints it."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


class Parameters(BaseModel):
    """What every runbook takes. A runbook's own parameters, see `own`, need no code: its cell
    tagged `parameters` declares them, and `validate` adds them to the model.
    """

    # strict: nothing is converted, as a ticket 007 is not a number; and the model is built when it
    # is first used, which takes its time
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    target: Annotated[str, AfterValidator(_named)] = "embedded"
    mode: Mode = "apply"
    schema_: Annotated[str, AfterValidator(_identifier)] = Field("public", alias="schema")
    ticket: Said = ""
    operator: Said = ""
    lock_timeout: Duration = "150ms"
    lock_budget: Duration = "5min"
    statement_timeout: Duration = "30s"
    approved_plan: Annotated[str, AfterValidator(_digest)] = ""
    approver: Said = ""
    discard: str = ""
    adopt: str = ""

    @property
    def writes(self) -> bool:
        """Whether the run is to write: to the target, or to the copy that it rehearses on."""
        return self.mode in ("rehearse", "apply", "revert")

    @property
    def discarded(self) -> frozenset[str]:
        """The names in `discard`, of which there may be several with commas between."""
        names = [name.strip() for name in self.discard.split(",")]
        return frozenset(name for name in names if name)

    @property
    def own(self) -> dict[str, Any]:
        """The runbook's own parameters, by name."""
        names = type(self).model_fields.keys() - Parameters.model_fields.keys()
        return self.model_dump(include=names)

    def record(self) -> dict[str, Any]:
        """Return all parameters as JSON values, for the ledger."""
        return self.model_dump(by_alias=True)


def non_defaults(chosen: Parameters) -> dict[str, tuple[Any, Any]]:
    """Return the parameters that have another value than their default: by name, value
    and default.
    """
    found = {}
    for name, field in type(chosen).model_fields.items():
        value = getattr(chosen, name)
        if value != field.default:
            found[field.alias or name] = (value, field.default)
    return found


def read_declaration(notebook: Path) -> dict[str, Any]:
    """Name and default of each parameter in the notebook's cell tagged `parameters`.

    Raises Refused if the file is not a notebook, if there is not exactly one such cell, or if it
    holds more than plain assignments.
    """
    found = [cell.source for cell in notebooks.cells(notebook) if cell.declares]
    if len(found) != 1:
        raise Refused.of(
            f"{len(found)} cells are tagged 'parameters'",
            where=notebook.name,
            expected="exactly one",
        )
    return read_assignments(found[0], where=f"{notebook.name}, parameters cell")


def papermill_parameters(nb: Mapping[str, Any]) -> Parameters:
    """Return the parameters that papermill was given for this notebook; one that declares none
    takes none. Raises Refused.
    """
    declaration: dict[str, Any] = {}
    for cell in nb["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            declaration = read_assignments("".join(cell["source"]), "parameters cell")
            break
    given = nb["metadata"].get("papermill", {}).get("parameters")
    return validate(declaration, given or {})


def validate(declaration: Mapping[str, Any], given: Mapping[str, Any]) -> Parameters:
    """Check what was given against what the runbook declares; what is not given keeps its default.

    A runbook's own parameter takes values of its default's type. Nothing is converted: papermill's
    `-p ticket 007` arrives as the number 7, and is an error rather than the text '7'. Raises
    Refused, naming every parameter that is wrong, what it got and what it takes. What looks like a
    secret is refused and not repeated: a default that another value replaces too, for it is written
    all the same.
    """
    misnamed = [name for name in declaration if _is_taken(name)]
    unkept = [name for name, value in given.items() if not is_kept(value)]
    own = {}
    for name, default in declaration.items():
        if name not in _COMMON_NAMES and name not in misnamed:
            own[name] = default
    model = _model(repr(own))
    secret = set()
    for name, value in [*declaration.items(), *given.items()]:
        if name not in unkept and looks_secret({name: value}):
            secret.add(name)
    values = {**declaration, **given}  # what is not given keeps its default
    problems = [_misnamed(name) for name in misnamed]
    problems += [Problem("takes a value that JSON keeps as it is", where=name) for name in unkept]
    problems += [_secret(name) for name in values if name in secret]
    for name in {*misnamed, *unkept, *secret}:
        values.pop(name, None)
    try:
        parameters = model.model_validate(values)
        if not problems:
            return parameters
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            problem = _problem(error, list(declaration))
            if secret:  # the same password may be the value of another parameter, too
                problem = replace(problem, found="")
            problems.append(problem)
    raise Refused("The parameters are not valid: nothing was started.", problems=problems)


def secret_problems(given: Mapping[str, Any], secrets: Sequence[str]) -> list[Problem]:
    """Return a problem for each value that holds one of the passwords that the run could use."""
    return [_secret(name) for name, value in given.items() if holds(str(value), secrets)]


@lru_cache
def _model(own: str) -> type[Parameters]:
    """Return the model of a runbook that declares these parameters of its own: literals, as Python
    writes them. It takes a while to make, and is the same for each target.
    """
    fields: dict[str, Any] = {}
    for name, value in ast.literal_eval(own).items():
        fields[name] = (type(value), value)
    return create_model("RunbookParameters", __base__=Parameters, **fields)


_COMMON_NAMES = frozenset(field.alias or name for name, field in Parameters.model_fields.items())


def _is_taken(name: str) -> bool:
    """Return whether the model of the parameters has a use of its own for the name."""
    if name in _COMMON_NAMES:
        return False
    return name.startswith("_") or name == "schema_" or hasattr(Parameters, name)


def _misnamed(name: str) -> Problem:
    why = "means something else to pgrunbook"
    if name.startswith("_"):
        why = "begins with _"
    other = f"{name.strip('_') or 'own'}_value"
    remedy = (
        f"call it {other}, say, in the notebook's cell tagged `parameters` and where it is used"
    )
    return Problem("cannot be the name of a parameter", where=name, found=why, remedy=remedy)


def _secret(name: str) -> Problem:
    return Problem(
        "holds a password; parameters are written into the archived notebook",
        where=name,
        remedy="put the password where libpq finds it (PGPASSFILE, a service file, or the URL in "
        "an environment variable) and pass its name: target='env:DATABASE_URL' or "
        "target='service:NAME'",
    )


_TAKES = {
    "string_type": (
        "takes a string",
        "papermill's -p turns 007 and true into numbers and booleans: use its -r",
    ),
    "int_type": ("takes a whole number", ""),
    "float_type": ("takes a number", ""),
    "bool_type": ("takes True or False", "papermill's -p takes True and False, with a capital"),
}


def _problem(error: Any, known: list[str]) -> Problem:
    name = str(error["loc"][0])
    if not name.isidentifier():  # no declaration can have it
        what = (
            "cannot be the name of a parameter: papermill writes it into a cell as it stands, "
            "so that it is code"
        )
        return Problem(what, where=name, expected="one of " + ", ".join(known))
    if error["type"] == "extra_forbidden":
        remedy = (
            f"{did_you_mean(name, known)}A parameter is declared in the cell tagged `parameters`"
        )
        return Problem(
            "unknown parameter", where=name, expected="one of " + ", ".join(known), remedy=remedy
        )
    takes, remedy = _TAKES.get(error["type"], (error["msg"].removeprefix("Value error, "), ""))
    got = error["input"]
    return Problem(takes, where=name, found=f"{got!r} ({type(got).__name__})", remedy=remedy)
