"""The sample report of docs/: `python -m tests.reports.sample` plays half a year and writes it anew.

A test says when docs/report-sample.html is not what the program makes; the PDF and the picture are made of that page.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from gatekeeper.api.report.page import report_page
from gatekeeper.api.report.pdf import report_pdf
from tests.reports.quarter import sample

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PDF = DOCS / "report-sample.html", DOCS / "report-sample.pdf"

if __name__ == "__main__":
    document = asyncio.run(sample())
    PAGE.write_text(report_page(document), encoding="utf-8")
    PDF.write_bytes(report_pdf(document))
