"""Reports and certificates as tagged PDFs (PDF/UA-1), made by WeasyPrint: the extra `pdf`, and Pango of the system."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.report.page import report_page
from gatekeeper.api.report.tables import Document


class PdfMissing(Exception):
    """WeasyPrint or a library of the system is not there; the text says what to install."""


def report_pdf(document: Document, **options: Any) -> bytes:
    """Return the report as a PDF. Args: `options` of WeasyPrint. Raises PdfMissing."""
    return pdf_of(report_page(document), **options)


def pdf_of(text: str, **options: Any) -> bytes:
    """Return a page of HTML that refers to nothing as a PDF. Args: `options` of WeasyPrint. Raises PdfMissing."""
    try:
        from weasyprint import HTML  # loading it takes a second, and Pango has to be there
    except (ImportError, OSError) as error:
        raise PdfMissing(
            f"a PDF needs the extra pdf (pip install 'gatekeeper-mail[pdf]') and Pango (Debian: libpango-1.0-0, "
            f"libpangoft2-1.0-0, libharfbuzz-subset0): {error}"
        ) from None
    page = HTML(string=text, url_fetcher=_fetch_nothing)
    made: bytes = page.write_pdf(pdf_variant="pdf/ua-1", **options)
    return made


def _fetch_nothing(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError(f"{url}: it refers to nothing")
