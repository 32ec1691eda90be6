"""Show a compliance report that was kept, as it was made (M6)."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.api.report.page import report_page
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import FRAME_POLICY, ledger_for
from gatekeeper.console.pages.common import PageRoute, visitor_of


def kept(desk: Desk, request: Request) -> Response:
    """Return a report as a page of its own, which loads nothing and leads nowhere."""
    found = ledger_for(desk, request).kept_report(request.path_params["number"], visitor_of(desk, request).address)
    headers = {"content-security-policy": FRAME_POLICY, "etag": f'"{found.digest}"'}
    page = report_page(json.loads(found.document)).encode("utf-8", "backslashreplace")
    return Response(page, headers=headers, media_type="text/html; charset=utf-8")


_READER = "approvers, admins, auditors, records officers"
ROUTES = (PageRoute("/reports/RP-{number:int}", "GET", kept, _READER, "a compliance report that was kept"),)
