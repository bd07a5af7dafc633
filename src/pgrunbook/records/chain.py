"""Checks a chain of seals: each seal names the one before it, HEAD the last one, and ledgers name
those that they have noted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from pgrunbook.errors import Problem
from pgrunbook.ledger.heads import Head
from pgrunbook.records.archive import HEAD, MERGED
from pgrunbook.records.attestation import Resource
from pgrunbook.records.naming import SEAL
from pgrunbook.records.reading import End
from pgrunbook.records.seal import Seal

# A problem, and the names of all files that it is about: `archive verify NOTEBOOK` picks by them.
Finding = tuple[Problem, Collection[str]]


def check_links(chain: Sequence[Seal], seals: Mapping[str, Seal]) -> Iterator[Finding]:
    """Check that each seal names the one before it, and lies where it was made."""
    for seal in chain:
        if seal.name != seal.notebook.removesuffix(".ipynb") + SEAL:
            yield (
                Problem("not where it was sealed", seal.name, f"the seal of {seal.notebook}"),
                [seal.name],
            )
        previous = seal.statement.predicate.previous
        if previous is None:
            if seal.sequence != 1:
                problem = Problem(
                    "names no seal before it", where=seal.name, found=f"number {seal.sequence}"
                )
                yield problem, [seal.name]
        elif previous.name not in seals:
            problem = Problem(
                "removed, or it cannot be read", previous.name, f"number {seal.sequence - 1}"
            )
            yield problem, [previous.name, seal.name]
        elif not _leads_to(seals[previous.name], seal, previous):
            what = f"changed: it is not the one that number {seal.sequence} was made after"
            problem = Problem(what, previous.name, previous.sha256, seals[previous.name].sha256)
            yield problem, [previous.name, seal.name]
    # Two copies of an archive that both went on have different seals of the same number.
    for one, other in pairwise(chain):
        if one.sequence == other.sequence:
            problem = Problem(
                f"two seals are number {one.sequence}", other.name, found=f"the other is {one.name}"
            )
            yield problem, [one.name, other.name]


def _leads_to(previous: Seal, seal: Seal, named: Resource) -> bool:
    same_chain = previous.archive == seal.archive and previous.sequence == seal.sequence - 1
    return previous.sha256 == named.sha256 and same_chain


def check_head(end: End, chain: Sequence[Seal]) -> Iterator[Finding]:
    """Check that HEAD names the last seal."""
    # Either HEAD was changed or the seals were: nobody can tell which, so both are named.
    noted = end.noted
    last = (chain[-1].sha256, chain[-1].name) if chain else ("", "")
    about = [last[1]]
    if noted:
        about.append(noted[1])
    if end.problem:
        yield end.problem, about
    elif end.left:
        remedy = "the next seal finishes it"
        yield Problem("its seal was interrupted", where=end.left[1], remedy=remedy), [end.left[1]]
    elif noted is None and chain:
        yield Problem("removed", where=HEAD, expected="  ".join(last)), about
    elif noted and noted != last:
        what = (
            "the chain does not end as it says: it was changed, or seals were, or some were "
            "removed or added"
        )
        yield Problem(what, HEAD, "  ".join(noted), "  ".join(last).strip() or "no seals"), about


def check_merged_ends(end: End, chains: Sequence[Sequence[Seal]]) -> Iterator[Finding]:
    """Check that each merged chain ends with the seal that MERGED names."""
    for (sha256, name), chain in zip(end.merged, chains, strict=True):
        if not chain:
            yield Problem("removed, or it cannot be read", name, f"SHA-256 {sha256}"), [name]
            continue
        last = chain[-1]
        if (sha256, name) != (last.sha256, last.name):
            what = "a chain that was merged does not end as it says"
            found = f"{last.sha256}  {last.name}"
            yield Problem(what, MERGED, f"{sha256}  {name}", found), [name, last.name]


def check_merged_seals(chain: Sequence[Seal], seals: Mapping[str, Seal]) -> Iterator[Finding]:
    """Check that every merged chain which a seal of ours names is still here: MERGED may have been
    shortened together with the files.
    """
    named: dict[str, Resource] = {}
    for seal in chain:
        named |= {each.name: each for each in seal.statement.predicate.merged}
    for name, resource in named.items():
        if name not in seals or seals[name].sha256 != resource.sha256:
            what = "removed or changed: a later seal names it as the end of a chain that was merged"
            yield Problem(what, name, f"SHA-256 {resource.sha256}"), [name]


def check_noted_heads(
    chain: Sequence[Seal], target: str, heads: Sequence[Head]
) -> Iterator[Finding]:
    """Check that the archive still has the heads that a target's ledger has noted. It shows when
    the end of the chain was cut off together with HEAD.
    """
    digests = {seal.sha256 for seal in chain}
    others = of_other_archives(chain, heads)
    own = [head for head in heads if head not in others]
    if heads and not own:
        last = heads[-1]
        problem = Problem(
            f"the ledger of {target} names heads of other archives only: this one was emptied, or "
            "begun anew",
            where=HEAD,
            expected=f"number {last.sequence}, {last.name}",
            found="an archive that this target's runs are not in" if chain else "no seals",
            remedy="bring the archive back, or name the target whose runs it holds",
        )
        yield problem, [seal.name for seal in chain]
    for head in own:
        if head.sha256 not in digests:
            what = (
                f"removed or changed: the ledger of {target} names it as the head of this archive"
            )
            problem = Problem(
                what, where=head.name, expected=f"number {head.sequence}, SHA-256 {head.sha256}"
            )
            yield problem, [head.name]


def of_other_archives(chain: Sequence[Seal], heads: Sequence[Head]) -> list[Head]:
    """Return the heads in a ledger that belong to archives of which nothing is here."""
    archives = {seal.archive for seal in chain}
    return [head for head in heads if head.archive not in archives]
