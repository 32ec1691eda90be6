"""Write an export as a bag, from its begin or from where it was left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from gatekeeper.api.bag.payload import Payload
from gatekeeper.api.bag.tags import README, custody_csv, heads_text, scope_text
from gatekeeper.archive.bag import Bag, zipped
from gatekeeper.archive.premis import PremisEvent, premis
from gatekeeper.archive.signing import fingerprint_of, new_key, signature_text, timestamp_request
from gatekeeper.ledger.exporting import ExportPlan, ExportView
from gatekeeper.ledger.searching import SearchWanted
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lib import __version__
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import utc_text

_ADDRESS = re.compile(r"(?<![^\s,;<>])[^\s,;<>@]++@[^\s,;<>]+")
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@immutable
class BagWanted:
    """How an export is to be written."""

    case: int
    wanted: SearchWanted
    by: str
    mbox: bool = False
    prefix: str = ""  # of control numbers; "" for none
    sign: bool = False
    timestamp: bool = False  # write a request for one
    zip: Path | None = None  # a file of the same beside the folder


@immutable
class Written:
    """An export that is whole."""

    export: ExportView
    files: int
    octets: int
    payload: str  # SHA-256 of manifest-sha256.txt
    tags: str
    key: str = ""  # SHA-256 of the public key that it is signed with


def write_bag(service: LedgerService, folder: Path, how: BagWanted, progress: Progress) -> Written:
    """Write an export; one that was begun in this folder goes on. Raises BagError, OSError, LedgerError, StoreError."""
    asked = {"case": how.case, **how.wanted.as_asked(), "mbox": how.mbox, "numbers": how.prefix}
    bag = Bag.begin(folder, lambda: {"export": service.begin_export(how.case, how.wanted, asked, how.by).id}, asked)
    plan = service.export_plan(int(str(bag.about["export"]).removeprefix("E-")), how.wanted, how.by)
    payload = Payload(service, plan, bag, how.by, how.prefix, how.mbox)
    with progress(payload.steps) as payload.on_step:
        payload.write()
    made = _finish(service, plan, bag, how)
    step("export-whole")
    if how.zip is not None:
        zipped(folder, how.zip)
    taken = {"mailings": [f"M-{number}" for number in plan.mailings]}
    service.finish_export(plan.export, {**made, **taken}, how.by)
    step("export-done")
    bag.close()
    return Written(export=plan.export, **made)


def _finish(service: LedgerService, plan: ExportPlan, bag: Bag, how: BagWanted) -> dict[str, Any]:
    bag.tag("README.txt", README)
    bag.tag("scope.txt", scope_text(plan, service.ruleset))
    bag.tag("custody.csv", custody_csv(service.custody(plan, how.by)))
    bag.tag("heads.txt", heads_text(service.heads()))
    bag.tag("premis-export.xml", premis((), _events(service, plan, bag)))
    payload, tags = bag.finish(_info(service, plan))
    made = {
        "files": bag.files,
        "octets": bag.octets,
        "payload": payload.sha256,
        "tags": tags.sha256,
    }
    if how.sign:
        signed = (bag.folder / tags.path).read_bytes()
        text = signature_text(service.signing_key(new_key()), signed)
        (bag.folder / "signature.txt").write_text(text, encoding="utf-8")
        made["key"] = fingerprint_of(text)
    if how.timestamp:
        digest = sha256((bag.folder / tags.path).read_bytes()).digest()
        (bag.folder / "timestamp.tsq").write_bytes(timestamp_request(digest))
    return made


def _events(service: LedgerService, plan: ExportPlan, bag: Bag) -> Iterator[PremisEvent]:
    """Yield what was done to the payload by exporting it, which the payload itself does not say: it stays the same."""
    at, whole = utc_text(service.clock()), f"{bag.files} files were read and hashed"
    yield PremisEvent("fixity check", at, whole, f"gatekeeper {__version__}")
    yield PremisEvent("dissemination", at, f"exported as {plan.export.id} for {plan.export.case}", plan.export.by)


def _info(service: LedgerService, plan: ExportPlan) -> dict[str, str]:
    ruleset = service.ruleset
    day = datetime.fromtimestamp(service.clock(), ruleset.timezone).date()
    return {
        "Source-Organization": ruleset.title,
        "Contact-Email": address[0] if (address := _ADDRESS.search(ruleset.contact)) else ruleset.contact,
        "External-Identifier": plan.export.id,
        "Internal-Sender-Identifier": plan.export.case,
        "Bagging-Date": day.isoformat(),
        "Bag-Software-Agent": f"gatekeeper {__version__}",
    }
