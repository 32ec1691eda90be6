"""The JSON of disposals, as the CLI, the HTTP API and the console show it, and certificates as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from gatekeeper.api.timeline import timeline_document
from gatekeeper.archive.certificate import named
from gatekeeper.ledger.disposals import ShownDisposal
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.disposals import DisposalView


def disposal_document(disposal: DisposalView) -> dict[str, Any]:
    """Return a disposal as a JSON object."""
    return {
        "id": disposal.id,
        "state": disposal.state.value,
        "class": disposal.name,
        "schedule": disposal.schedule or None,
        "cite": disposal.cite or None,
        "keep": disposal.keep,
        "cutoff": utc_text(disposal.cutoff),
        "items": disposal.items,
        "octets": disposal.octets,
        "list": disposal.digest or None,
        "automatic": disposal.automatic,
        "proposed_by": disposal.proposed_by or None,
        "proposed": utc_text(disposal.proposed_at),
        "signed_by": disposal.signed_by,
        "signed": utc_text(disposal.signed_at),
        "done": utc_text(disposal.done_at),
        "certificate": disposal.certificate,
        "copies_in_backups_expire": utc_text(disposal.backups_until),
    }


def shown_disposal_document(shown: ShownDisposal) -> dict[str, Any]:
    """Return a disposal as a JSON object, with what became of its items, and its timeline."""
    items = [
        {**named(item), "sha256": item.digest, "octets": item.octets, "state": item.state, "why": item.why}
        for item in shown.items
    ]
    timeline = timeline_document(shown.events)
    return {
        **disposal_document(shown.disposal),
        "counts": dict(shown.counts),
        "list_items": items,
        "timeline": timeline,
    }


# -- the certificate as a page ------------------------------------------------------------------------------------

_STYLE = (
    "body{font:11pt/1.4 sans-serif;margin:2rem;max-width:60rem}table{border-collapse:collapse;width:100%}"
    "tr{break-inside:avoid}table:first-of-type{table-layout:fixed}table:first-of-type th{width:9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #999}"
    "td{overflow-wrap:anywhere}td.d{font-family:monospace}td.n{white-space:nowrap}"
)
_SAID = {
    "class": "Class of records",
    "schedule": "Schedule",
    "cite": "By",
    "keep": "To be kept",
    "cutoff": "Due before",
    "proposed_by": "Proposed by",
    "proposed": "Proposed",
    "signed_by": "Signed by",
    "signed": "Signed",
    "done": "Destroyed",
    "method": "How",
    "copies_in_backups_expire": "Copies in backups expire by",
    "destroyed": "Number destroyed",
    "octets": "Octets of them",
    "kept": "Left out",
    "list": "SHA-256 of the list",
}


def certificate_page(document: dict[str, Any], digest: str) -> str:
    """Return a certificate as one page of HTML that refers to nothing. Args: `digest` of the certificate."""
    title = f"Certificate of destruction {document['certificate']}"
    rows = [(label, document[name]) for name, label in _SAID.items()]
    if not document["signature_needed"]:
        rows.append(("Signature", "none needed, by the schedule"))
    rows.append(("SHA-256 of this certificate", digest))
    return "".join(
        (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n<table>",
            *(
                f'<tr><th scope="row">{escape(label)}</th><td>{escape(_text(value))}</td></tr>\n'
                for label, value in rows
            ),
            "</table>\n<h2>What was listed</h2>\n<table><thead><tr>",
            *(f'<th scope="col">{label}</th>' for label in ("Record", "SHA-256", "Octets", "What became of it")),
            "</tr></thead><tbody>\n",
            *_items(document),
            "</tbody></table></body></html>\n",
        )
    )


def _items(document: dict[str, Any]) -> Iterator[str]:
    for item in document["items"]:
        became = "destroyed" if item["destroyed"] else "left out"
        became += f": {item['why']}" if item["why"] else ""
        cells = (item.get("mailing") or item["record"], item["sha256"], _text(item["octets"]), became)
        marks = ("", ' class="d"', "", "")
        yield (
            "<tr>"
            + "".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in zip(marks, cells, strict=True))
            + "</tr>\n"
        )


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
