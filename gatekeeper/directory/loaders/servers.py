"""Know each kind of server: which file has its secret, how it is asked, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gatekeeper.directory.loaders.ldap import ask_ldap
from gatekeeper.directory.loaders.server_cache import REFRESH, ServerAnswer, SourceQuery, SourceTerms
from gatekeeper.directory.loaders.sql import ask_sql
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.rules import DirectorySpec

_SECRETS = ("password_file", "secret_file", "certificate_file", "key_file")
CLOUD = ("entra", "google")
_CLOUD_REFRESH = timedelta(hours=1)
_LIBRARIES = ("httpx2", "joserfc")


def secret_file_of(spec: DirectorySpec) -> str | None:
    """Return the file with the secret of a source; None where it has none."""
    return next((spec.options[name] for name in _SECRETS if name in spec.options), None)


def terms_of(spec: DirectorySpec) -> SourceTerms:
    """Return how often a source is asked, and how old its copy may grow."""
    is_cloud = spec.kind in CLOUD
    return SourceTerms(spec.refresh or (_CLOUD_REFRESH if is_cloud else REFRESH), spec.age, is_cloud)


def query_of(spec: DirectorySpec, secret: str, folder: Path) -> SourceQuery:
    """Return what asks a source. Args: names of files are relative to `folder`."""
    options = _with_paths(spec.options, folder)
    if spec.kind == "sql":
        return partial(ask_sql, options["url"], options["query"], secret, folder)
    if spec.kind in CLOUD:
        return partial(_ask_cloud, spec.kind, options, secret)
    return partial(ask_ldap, options["url"], options, secret)


def _with_paths(options: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Return the options of a server with the path of its authority's certificates as seen from here."""
    return {**options, "ca": str(folder / options["ca"])} if "ca" in options else options


def _ask_cloud(kind: str, options: Mapping[str, str], secret: str) -> ServerAnswer:
    if any(find_spec(library) is None for library in _LIBRARIES):
        raise DirectoryError([f"directory: {kind} needs libraries: pip install 'gatekeeper-mail[cloud]'"])
    from gatekeeper.directory.loaders.entra import ask_entra
    from gatekeeper.directory.loaders.google import ask_google
    from gatekeeper.directory.loaders.https_service import Link

    link = Link(options.get("ca"))
    return ask_entra(options, secret, link) if kind == "entra" else ask_google(options, secret, link)
