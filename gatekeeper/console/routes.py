"""All routes of the console, joined from the files of pages; docs/console-setup.md has the same table."""

from __future__ import annotations

from gatekeeper.console.pages import (
    account,
    appearance,
    deciding,
    deliveries,
    enrolment,
    health,
    live_events,
    local_accounts,
    mail_links,
    mailings,
    may_i,
    messages,
    oidc_signin,
    people,
    permits,
    queue,
    reports,
    request_steps,
    requests,
    signing_in,
    site,
    suspensions,
)
from gatekeeper.console.pages.common import PageRoute

ROUTES: tuple[PageRoute, ...] = (
    *site.ROUTES,
    *signing_in.ROUTES,
    *local_accounts.ROUTES,
    *mail_links.ROUTES,
    *oidc_signin.ROUTES,
    *enrolment.ROUTES,
    *account.ROUTES,
    *queue.ROUTES,
    *mailings.ROUTES,
    *deciding.ROUTES,
    *deliveries.ROUTES,
    *messages.ROUTES,
    *requests.ROUTES,
    *request_steps.ROUTES,
    *may_i.ROUTES,
    *permits.ROUTES,
    *suspensions.ROUTES,
    *reports.ROUTES,
    *health.ROUTES,
    *people.ROUTES,
    *live_events.ROUTES,
    *appearance.ROUTES,
)
