"""All routes of the console, joined from the files of pages; docs/console-setup.md has the same table."""

from __future__ import annotations

from gatekeeper.console.pages import (
    account,
    deciding,
    enrolment,
    local_accounts,
    mail_links,
    mailings,
    messages,
    signing_in,
    site,
)
from gatekeeper.console.pages.common import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *site.ROUTES,
    *signing_in.ROUTES,
    *local_accounts.ROUTES,
    *mail_links.ROUTES,
    *enrolment.ROUTES,
    *account.ROUTES,
    *mailings.ROUTES,
    *deciding.ROUTES,
    *messages.ROUTES,
)
