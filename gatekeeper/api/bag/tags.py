"""What stands beside the payload of a bag: how to check it, what it is, what is not in it, and who had it."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeeper.api.bag.payload import csv_chunks
from gatekeeper.api.searching import destroyed_line
from gatekeeper.ledger.exporting import EventView, ExportPlan
from gatekeeper.ledger.searching import said
from gatekeeper.lib import __version__
from gatekeeper.lib.moments import utc_text
from gatekeeper.rules import Ruleset

README = """\
This folder is a bag (BagIt 1.0, RFC 8493): records of an organisation, handed over with the means to check
that nothing was changed, left out or added. No program of the sender is needed.

What is in it

  data/index.csv         a line a message: where it is, from whom, when, its SHA-256; index.jsonl is the same
  data/mailings/         a folder a mailing: its facts and timeline (mailing.json), its messages as they came in
                         (.eml), to whom (.envelope.json)
  data/requests, permits, suspensions   what people asked for and decided about them
  data/rules/            the rules that decided, named by their SHA-256
  data/audit/lines.jsonl what was recorded of these decisions and acts, a line each
  data/exceptions.csv    parts of messages that no search can read, messages that were not kept, and why
  data/premis.xml        events of these files as PREMIS 3 has them
  scope.txt              what was asked for, and what is not here and why
  custody.csv            who searched, read and exported; go on with it in a copy outside of this folder

Check that it is whole

  sha256sum --check --quiet manifest-sha256.txt
  sha256sum --check --quiet tagmanifest-sha256.txt
  or: bagit.py --validate .

Check the signature, where there is a signature.txt

  sed -n '/BEGIN/,/END/p' signature.txt > key.pem
  sed -n 's/^Signature: //p' signature.txt | openssl base64 -d -A > signature.bin
  openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in tagmanifest-sha256.txt -sigfile signature.bin
  The fingerprint of the key (sha256sum key.pem) is in the records of the organisation: ask for it.

Check the timestamp, where there is a timestamp.tsr

  openssl ts -verify -data tagmanifest-sha256.txt -in timestamp.tsr -CAfile AUTHORITY.pem

Check an audit line

  "after" is the SHA-256 of the octets of "before" (hexadecimal) followed by the text of "line". Each record of a
  chain stands on the one before it: the organisation's log has heads of these chains, heads.txt those of the day.
"""


def scope_text(plan: ExportPlan, ruleset: Ruleset) -> str:
    """Return scope.txt: the question, what is not here and why, by whom and when, by which rules and program."""
    return "\n".join(_scope_lines(plan, ruleset)) + "\n"


def _scope_lines(plan: ExportPlan, ruleset: Ruleset) -> Iterator[str]:
    export, scope = plan.export, plan.found.scope
    yield f"Export {export.id} of case {export.case}: {plan.found.case.title}"
    yield f"made by {export.by}, begun {utc_text(export.begun_at)}"
    yield f"rules in force: {ruleset.title}, SHA-256 {ruleset.digest}"
    yield f"program: gatekeeper {__version__}"
    yield ""
    yield f"Searched for: {scope.read_as or 'no words'}"
    yield from (f"  {name}: {said(name, value)}" for name, value in scope.asked.items() if name != "query")
    counted = ", ".join(f"{number} {name}" for name, number in plan.found.counts.items())
    yield f"Found: {counted or 'nothing'}"
    yield "Of a mailing found by its facts all kept messages are here, else those whose content was found."
    yield ""
    yield "Not here"
    yield from (f"- {line}" for line in scope.not_here)
    if scope.gone:
        yield f"- {scope.gone} recorded decisions and acts have aged out; they begin at {utc_text(scope.recorded_from)}"
    yield from (f"- {destroyed_line(each)}" for each in scope.destroyed)
    number = scope.unsearched_messages
    yield f"- what no search can read: parts of {number} kept messages; of those handed over see data/exceptions.csv"


_CUSTODY = ("at", "about", "act", "by", "login", "text")


def custody_csv(told: list[tuple[str, EventView]]) -> str:
    """Return custody.csv: who did what with these records, oldest first."""
    rows = ((utc_text(each.at), about, each.act, each.by, each.login, each.text) for about, each in told)
    return b"".join(csv_chunks(_CUSTODY, rows)).decode()


def heads_text(heads: list[tuple[int, int, str]]) -> str:
    """Return heads.txt: where each chain of records stood on the day of the export, as the log has such lines."""
    return "".join(f"{chain}:{records}:{head}\n" for chain, records, head in heads)
