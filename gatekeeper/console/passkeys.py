"""Passkeys by WebAuthn: what a browser is asked, and whether its answer holds. User verification is required."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gatekeeper.ledger.credentials import Passkey

MOST_ANSWER = 16_384  # characters of what a browser answers
_TITLE = "Gatekeeper"


class WrongAnswer(Exception):
    """An answer of a browser that proves nothing."""


def registration(url: str, address: str, handle: bytes, known: list[Passkey]) -> tuple[str, str]:
    """Return what a browser is asked that makes a passkey, as JSON, and the challenge in it."""
    options = generate_registration_options(
        rp_id=_host(url),
        rp_name=_TITLE,
        user_name=address,
        user_id=handle,
        user_display_name=address,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return options_to_json(options), _text(options.challenge)


def authentication(url: str) -> tuple[str, str]:
    """Return what a browser is asked that signs somebody in by any passkey of theirs, and the challenge in it."""
    options = generate_authentication_options(rp_id=_host(url), user_verification=UserVerificationRequirement.REQUIRED)
    return options_to_json(options), _text(options.challenge)


def made(url: str, answer: str, challenge: str, address: str, name: str) -> Passkey:
    """Return the passkey that a browser has made. Raises WrongAnswer."""
    try:
        found = verify_registration_response(
            credential=_read(answer),
            expected_challenge=_octets(challenge),
            expected_rp_id=_host(url),
            expected_origin=_origin(url),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongAnswer(str(error)) from error
    return Passkey(found.credential_id, address, name, found.credential_public_key, found.sign_count, 0.0)


def credential_of(answer: str) -> bytes:
    """Return the id of the passkey that an answer names. Raises WrongAnswer."""
    try:
        return _octets(_read(answer)["id"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongAnswer(str(error)) from error


def used(url: str, answer: str, challenge: str, known: Passkey) -> int:
    """Return the counter of a passkey that was used. Raises WrongAnswer."""
    try:
        return verify_authentication_response(
            credential=_read(answer),
            expected_challenge=_octets(challenge),
            expected_rp_id=_host(url),
            expected_origin=_origin(url),
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        ).new_sign_count
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongAnswer(str(error)) from error


def _read(answer: str) -> dict[str, Any]:
    found = json.loads(answer[:MOST_ANSWER])
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
