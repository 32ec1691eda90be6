"""A browser without JavaScript, as far as the console's forms go: fields with what they hold, and sending them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from threading import Thread
from urllib.parse import urljoin, urlsplit

import uvicorn

from gatekeeper.console.live import Streams
from gatekeeper.service.console import _config
from gatekeeper.settings import Endpoint
from tests.peers import free_port


@contextmanager
def served(desk):
    """A desk on a port of loopback, by the server that the console has: a browser trusts that without TLS, too."""
    host, port = "127.0.0.1", free_port()
    desk = replace(desk, url=f"http://{host}:{port}", streams=Streams())
    server = uvicorn.Server(_config(desk, Endpoint(host, port)))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield desk
    finally:
        desk.streams.closed = server.should_exit = True
        thread.join(10)


@dataclass
class PageForm:
    """A form of a page: where it goes, and the fields as the page fills them."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    has_files: bool = False


class _Forms(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.forms: list[PageForm] = []
        self.area = self.select = None
        self.first = ""
        self.open = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.forms.append(PageForm(given.get("action", ""), given.get("method", "get")))
            self.forms[-1].has_files = given.get("enctype") == "multipart/form-data"
            self.open = True
        elif self.open:
            self._field(tag, given)

    def _field(self, tag, given):
        fields, name = self.forms[-1].fields, given.get("name")
        if tag == "input" and name and given.get("type") not in ("file", "submit"):
            is_box = given.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in given:
                fields.append((name, given.get("value", "on" if is_box else "")))
        elif tag == "textarea":
            self.area = name
            fields.append((name, ""))
        elif tag == "select":
            self.select, self.first = name, None
        elif tag == "option" and self.select and ("selected" in given or self.first is None):
            self.first = given.get("value", "")
            fields[:] = [each for each in fields if each[0] != self.select]
            fields.append((self.select, self.first))

    def handle_data(self, data):
        if self.area:
            name, text = self.forms[-1].fields[-1]
            self.forms[-1].fields[-1] = (name, text + data)

    def handle_endtag(self, tag):
        self.area = None if tag == "textarea" else self.area
        self.select = None if tag == "select" else self.select
        self.open = self.open and tag != "form"


def form_on(page, ending):
    """The form of a page whose address ends so."""
    place = urlsplit(str(page.url)).path
    forms = [each for each in _Forms(page.text).forms if each.method == "post"]
    for each in forms:
        each.action = urlsplit(urljoin(place, each.action or place)).path
    found = [each for each in forms if each.action.endswith(ending)]
    assert found, f"no form for {ending}; forms: {[each.action for each in forms]}"
    return found[0]


def send(client, place, ending=None, files=None, **changes):
    """Open a page, fill in its form, send it. Lists are several fields of one name. Returns the answer."""
    page = client.get(place)
    assert page.status_code == 200, (place, page.status_code, page.text)
    return resend(client, page, ending or place, files, **changes)


def resend(client, page, ending, files=None, **changes):
    """Fill in the form of a page and send it."""
    form = form_on(page, ending)
    kept = [(name, value) for name, value in form.fields if name not in changes]
    for name, value in changes.items():
        kept += [(name, each) for each in (value if isinstance(value, list) else [value])]
    data: dict[str, list[str]] = {}
    for name, value in kept:
        data.setdefault(name, []).append(value)
    if form.has_files:
        given = {name: ("any name", octets) for name, octets in (files or {}).items()}
        return client.post(form.action, data=data, files=given or {"none": ("", b"")})
    return client.post(form.action, data=data)


def told(client, answer):
    """What the page says to which a form has led."""
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"]).text
    return page.partition('role="status">')[2].partition("<")[0]
