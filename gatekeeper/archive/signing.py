"""Sign a bag's manifest with Ed25519 (RFC 8032), and ask for timestamps of it (RFC 3161), without any outbound call."""

from __future__ import annotations

import base64
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

_SIGNED = "tagmanifest-sha256.txt"
_PEM = "-----BEGIN PUBLIC KEY-----"
_SHA256 = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier of SHA-256
_GRANTED = (0, 1)  # PKIStatus: granted, granted with modifications


class SignatureMissing(Exception):
    """The package for signatures is not there, or a signature cannot be read; the text says what to do."""


def _ed25519() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise SignatureMissing("it needs the package cryptography: pip install cryptography") from None
    return ed25519, serialization


def new_key() -> bytes:
    """Return a new private key, 32 octets."""
    return secrets.token_bytes(32)


def signature_text(key: bytes, signed: bytes) -> str:
    """Return signature.txt: the public key as PEM, and the signature of these octets. Raises SignatureMissing."""
    ed25519, serialization = _ed25519()
    private = ed25519.Ed25519PrivateKey.from_private_bytes(key)
    encoding, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    pem = private.public_key().public_bytes(encoding, kind).decode()
    return f"{pem}Signature: {base64.b64encode(private.sign(signed)).decode()}\n"


def fingerprint_of(signature: str) -> str:
    """Return the SHA-256 of the public key in signature.txt, by which the audit knows it."""
    return sha256(signature.partition("Signature:")[0].encode()).hexdigest()


def check_signature(folder: Path) -> bool:
    """Return True where signature.txt of a bag fits its manifest. Raises SignatureMissing."""
    ed25519, serialization = _ed25519()
    text = (folder / "signature.txt").read_text(encoding="utf-8", errors="replace")
    pem, _, signature = text.partition("Signature:")
    try:
        public = serialization.load_pem_public_key(pem.encode())
        public.verify(base64.b64decode(signature.strip(), validate=True), (folder / _SIGNED).read_bytes())
    except Exception:  # whatever is in that file: it is no signature
        return False
    return isinstance(public, ed25519.Ed25519PublicKey)


# -- timestamps --------------------------------------------------------------------------------------------------


def timestamp_request(digest: bytes) -> bytes:
    """Return a request for a timestamp of a SHA-256 (RFC 3161 2.4.1), with a nonce, which asks for the certificate."""
    imprint = _der(0x30, _SHA256 + _der(0x04, digest))
    nonce = _der(0x02, b"\x01" + secrets.token_bytes(8))
    return _der(0x30, _der(0x02, b"\x01") + imprint + nonce + _der(0x01, b"\xff"))


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128, "short forms only"
    return bytes([tag, len(content)]) + content


def problem_of_timestamp(answer: bytes, digest: bytes) -> str:
    """Return what is wrong with the answer of a timestamp authority; "" where it grants one of this SHA-256.

    Who signed it is for `openssl ts -verify` to say, with the authority's certificate.
    """
    try:
        outer, _ = _read(answer, 0x30)
        status, _ = _read(outer, 0x30)
        number, _ = _read(status, 0x02)
    except ValueError:
        return "expected the answer of a timestamp authority (TimeStampResp, RFC 3161)"
    if int.from_bytes(number) not in _GRANTED:
        return f"the authority has refused it (status {int.from_bytes(number)})"
    if _der(0x04, digest) not in answer:
        return "it is of another manifest than that of this export"
    return ""


def _read(octets: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the first DER element and what comes after it; raise ValueError for another tag."""
    if len(octets) < 2 or octets[0] != tag:
        raise ValueError
    length, start = octets[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(octets[2:start])
    if len(octets) < start + length:
        raise ValueError
    return octets[start : start + length], octets[start + length :]
