"""Read the file of --peers into Peers, or report all its problems at once, as the reader of rules.yaml does."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from gatekeeper.address import is_valid_domain, normalise_domain
from gatekeeper.rules.language.problems import Problem, RulesetError
from gatekeeper.rules.language.scalars import FLAG, NETWORK, TEXT_JSON, VERSION, WORD
from gatekeeper.rules.language.value_types import INVALID, Json, Key, ListOf, MapOf, Reading, Section, Value
from gatekeeper.rules.language.yaml_nodes import LARGEST_FILE, Mapping, Node, YamlError, compose, decode
from gatekeeper.rules.peers import Peer, Peers, is_public, service_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,76}")
_FIELD_VALUE = re.compile(r"(?! )[ -~]{1,998}+(?<! )")


def _host_name(text: str) -> str:
    if not is_valid_domain(text):
        raise ValueError(text)
    return normalise_domain(text)


def _field_name(text: str) -> str:
    if not _FIELD_NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _field_value(text: str) -> str:
    if not _FIELD_VALUE.fullmatch(text):
        raise ValueError(text)
    return text


_CERTIFICATE_NAME = Value(
    "a name on its certificate, such as mail.protection.outlook.com", _host_name, {"type": "string"}
)
_REQUIRED_FIELD = Value("the name of a header field, such as X-OriginatorOrg", _field_name, {"type": "string"})
_REQUIRED_VALUE = Value("the value of a header field, on one line of ASCII", _field_value, TEXT_JSON)


class _RequiredFields:
    """The shape of `require:`, header fields by name with the values that each may have."""

    inner = MapOf(
        "header fields and their values, such as {X-OriginatorOrg: example.gov}",
        _REQUIRED_FIELD,
        ListOf(_REQUIRED_VALUE, 1),
    )

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a dict of frozensets; a field in two spellings is an error."""
        fields = self.inner.read(node, reading)
        if fields is INVALID:
            return INVALID
        if len({name.lower() for name in fields}) < len(fields):
            return reading.error(node, "one field in two spellings: expected once, upper and lower case are the same")
        return {name: frozenset(values) for name, values in fields.items()}

    def schema(self) -> Json:
        """Return the schema of an object with free keys."""
        return self.inner.schema()


def _make_peer(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    shared = values.pop("shared", None)
    service = service_of(values["networks"], values.get("certificate", ()))
    if service and shared is False:
        return reading.error(
            node, f"shared: false for {service}, which sends the mail of many tenants: expected require"
        )
    if not values.get("require") and (problem := _why_shared(values["networks"], service, shared)):
        return reading.error(
            node,
            f"require missing: {problem}; expected a field that tells your tenant, such as "
            "require: {X-MS-Exchange-CrossTenant-Id: GUID}",
        )
    return values


def _why_shared(networks: Any, service: str, shared: bool | None) -> str:
    """Return why mail from the networks may be anybody's; "" where they are the organisation's own."""
    if service:
        return f"{service} sends the mail of many tenants from there"
    if shared:
        return "shared: true says that others send from there too"
    public = next(filter(is_public, networks), None) if shared is None else None
    return f"{public} is of the internet, and without shared: false others may send from there" if public else ""


PEER = Section(
    "a peer, such as {networks: [192.0.2.0/28], tls: true}",
    (
        Key("networks", ListOf(NETWORK, 1), "Where it sends from: addresses and networks.", required=True),
        Key(
            "certificate",
            ListOf(_CERTIFICATE_NAME, 1),
            "A name on its certificate, or several of which one is enough; --client-cert-ca says who may issue it.",
        ),
        Key("require", _RequiredFields(), "Header fields that each message must have once, with one of these values."),
        Key("from", FLAG, "true: it has checked From, which is as good as a login.", attribute="vouches"),
        Key("tls", FLAG, "true: nothing is taken without TLS; goes without saying beside certificate."),
        Key("shared", FLAG, "Whether others send from its networks too; require is demanded then."),
    ),
    _make_peer,
)
PEERS = MapOf("peers by names of your own, such as tenant: {networks: [192.0.2.0/28]}", WORD, PEER)
DOCUMENT = Section(
    "a file of peers, with peers:",
    (
        Key("version", VERSION, "The version of this grammar: 1."),
        Key("peers", PEERS, "Who may hand mail to the gate, and what tells that it is they.", required=True),
    ),
)


def read_peers(path: Path) -> Peers:
    """Read the peers of a file. Raises RulesetError with all problems, OSError where the file cannot be read."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    try:
        return parse_peers(decode(content), str(path))
    except YamlError as error:
        raise RulesetError([Problem(error.line, error.column, error.text, str(path))]) from None


def parse_peers(text: str, name: str) -> Peers:
    """Read peers from text. Raises RulesetError with all problems, YamlError where the text is no YAML."""
    reading = Reading(name)
    root, faults = compose(text.removeprefix("\ufeff"))
    if root is None:
        raise RulesetError([Problem(1, 1, "the file is empty: expected peers", name)])
    read = DOCUMENT.read(root, reading)
    problems = [*reading.problems, *(Problem(fault.line, fault.column, fault.text, name) for fault in faults)]
    if problems or read is INVALID:
        raise RulesetError(sorted(problems))
    peers = tuple(Peer(called, **values) for called, values in read["peers"].items())
    return Peers(peers, hashlib.sha256(text.encode()).hexdigest())


def peers_schema() -> Json:
    """Return the grammar as JSON Schema 2020-12; only the reader checks whether `require` is demanded."""
    return {"$schema": _DIALECT, "title": "peers.yaml of Gatekeeper", **DOCUMENT.schema()}
