"""The format of seals: in-toto statements about a record, in DSSE envelopes that may be signed.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

from pgrunbook.errors import Refused, Unreadable

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class _Closed(BaseModel):
    # A key that is not known is refused: a seal vouches for all that it says.
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, strict=True, defer_build=True
    )


class Digest(_Closed):
    """A SHA-256, in hexadecimal."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Resource(_Closed):
    """A file of the archive: its path from the root on, and the digest of its bytes."""

    name: str
    digest: Digest

    @classmethod
    def of(cls, name: str, sha256: str) -> Resource:
        """Return the resource with this name and this SHA-256."""
        return cls(name=name, digest=Digest(sha256=sha256))

    @property
    def sha256(self) -> str:
        """The digest itself."""
        return self.digest.sha256


class Predicate(_Closed):
    """What a seal says about the files of a record.

    - `sequence`, `previous`, `archive`: its place in the chain, the seal before it, and the digest
      of the first seal (None in the first itself).
    - `run`: the run, with its parameters and its verdict. `sources`: the digests of what was run.
    - `merged`: the last seals of the chains that other archives have brought.
    """

    archive: str | None
    sequence: int = Field(ge=1)
    previous: Resource | None
    sealed_at: str = Field(alias="sealedAt")
    sealed_by: str = Field(alias="sealedBy")
    run: Mapping[str, Any]
    sources: Mapping[str, str]
    merged: Sequence[Resource] = ()


class Statement(_Closed):
    """An in-toto statement: the files of one record, the executed notebook first, and the predicate
    about them.
    """

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        "https://in-toto.io/Statement/v1", alias="_type"
    )
    subject: Sequence[Resource] = Field(min_length=1)
    predicate_type: Literal["urn:pgrunbook:run:v1"] = Field(
        "urn:pgrunbook:run:v1", alias="predicateType"
    )
    predicate: Predicate


def seal_envelope(statement: Statement, signer: Signer | None) -> bytes:
    """Return the bytes of an envelope around a statement; without a signer it is not signed."""
    said = statement.model_dump(mode="json", by_alias=True)
    if not statement.predicate.merged:
        del said["predicate"]["merged"]  # as archives without such chains always had it
    # indented, as an auditor reads it with `base64 -d` alone
    payload = json.dumps(said, ensure_ascii=False, indent=1)
    envelope = Envelope(payload.encode(), PAYLOAD_TYPE, {})
    if signer:
        envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1).encode() + b"\n"


def open_envelope(data: bytes) -> tuple[Statement, Envelope]:
    """Return the statement in the bytes of an envelope, whether it is signed or not. Raises
    Unreadable with the reason.
    """
    try:
        envelope = Envelope.from_dict(json.loads(data))
        if envelope.payload_type != PAYLOAD_TYPE:
            raise Unreadable(
                f"the payload is of type {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}"
            )
        return Statement.model_validate_json(envelope.payload), envelope
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as exc:
        raise Unreadable(f"not a DSSE envelope: {type(exc).__name__}: {exc}") from exc


def is_signed(envelope: Envelope, keys: Sequence[Key]) -> bool:
    """Return whether one of the keys has signed the envelope."""
    try:
        # one signature of a known key is enough; others may be of keys that were replaced
        return bool(envelope.verify(list(keys), threshold=1))
    except (VerificationError, ValueError):
        return False


def signer(path: Path) -> Signer:
    """Return what signs with the private key in a PEM file. Raises Refused if the key is not of
    Ed25519, or has a passphrase: nobody is there to type it.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as exc:
        raise _unusable(path, _make_command(path), exc) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, _make_command(path))
    return CryptoSigner(key)


def _make_command(path: Path, *half: str) -> str:
    """Return the command that makes a key, of which `half` says how. It overwrites no file."""
    new = path.with_stem(f"{path.stem}-ed25519") if path.exists() else path
    making = half or ("genpkey", "-algorithm", "ed25519")
    return shlex.join(["openssl", *making, "-out", str(new)])


def public_key(path: Path, private: Path | None = None) -> Key:
    """Return the public key in a PEM file. Raises Refused if it is not of Ed25519, with the command
    that makes it from the file `private`.
    """
    remedy = "have whoever seals make it of the private key, with openssl pkey -pubout"
    if private:
        remedy = _make_command(path, "pkey", "-in", str(private), "-pubout")
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as exc:
        raise _unusable(path, remedy, exc) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path, remedy)
    return SSlibKey.from_crypto(key)


def _unusable(path: Path, remedy: str, exc: Exception | None = None) -> Refused:
    if isinstance(exc, OSError):
        found = exc.strerror or "cannot be read"
    else:
        found = "not a PEM file with such a key, or one with a passphrase"
        if exc is None:
            found = "another kind of key"
    return Refused.of(
        "the key cannot be used",
        where=path.name,
        expected="an Ed25519 key in a PEM file, without a passphrase",
        found=found,
        remedy=remedy,
    )
