"""A stand-in for Microsoft Graph and Google's Directory API, their tokens included: in-process, or by HTTPS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2

from tests.peers.certificates import Certificate

Json = dict[str, Any]
ELSEWHERE = "https://elsewhere.example.org"


@dataclass
class Fault:
    """What goes wrong with one answer: another `status`, or "cut", "elsewhere", "again" (a page that leads back)."""

    kind: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)


@dataclass
class Cloud:
    """One tenant. Of Graph the groups' members are those that it gives as transitive, of Google as derived."""

    users: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    members: dict[str, list[Json]] = field(default_factory=dict)  # key of a group -> members; others are 404
    origin: str = "https://cloud.example.net"
    page: int = 2
    faults: dict[int, Fault] = field(default_factory=dict)  # number of a GET, from 1 -> what goes wrong
    lifetime: int = 0  # how many GETs a token is good for; 0 for any number
    secret: str = "s3cr3t"
    gets: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)  # of which tokens were asked for
    _used: int = 0

    def answer(self, method: str, url: str, authorization: str, body: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, fields and body of the answer to one request."""
        parts = urlsplit(url)
        if method == "POST":
            return self._new_token({name: values[0] for name, values in parse_qs(body).items()})
        self.gets.append(unquote(f"{parts.path}?{parts.query}"))
        self._used += 1
        if authorization != f"Bearer t{len(self.forms)}" or (self.lifetime and self._used > self.lifetime):
            return _json(401, {"error": {"code": "InvalidAuthenticationToken", "message": "expired"}})
        fault = self.faults.get(len(self.gets), Fault())
        if fault.status != 200:
            return fault.status, fault.headers, json.dumps(fault.body).encode()
        status, headers, content = self._page(f"{parts.path}?{parts.query}", fault)
        return status, headers, content[: len(content) // 2] if fault.kind == "cut" else content

    def transport(self) -> httpx2.MockTransport:
        """Return what answers in the place of the network."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            authorization = request.headers.get("authorization", "")
            status, headers, content = self.answer(
                request.method, str(request.url), authorization, request.content.decode()
            )
            return httpx2.Response(status, headers=headers, content=content)

        return httpx2.MockTransport(handle)

    @contextmanager
    def by_https(self, certificate: Certificate) -> Iterator[str]:
        """Serve by HTTPS on loopback; yield the origin."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply("")

            def do_POST(self) -> None:
                self._reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _reply(handler, body: str) -> None:
                url = self.origin + handler.path
                status, headers, content = self.answer(
                    handler.command, url, handler.headers.get("Authorization", ""), body
                )
                handler.send_response(status)
                fault = self.faults.get(len(self.gets), Fault())
                missing = 1000 if fault.kind == "cut" and handler.command == "GET" else 0
                for name, value in {**headers, "Content-Length": str(len(content) + missing)}.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(content)
                handler.close_connection = bool(missing)

            def log_message(self, *parts: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = certificate.server_context().wrap_socket(server.socket, server_side=True)
        self.origin = f"https://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self.origin
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _new_token(self, form: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.forms.append(form)
        self._used = 0
        if form.get("client_secret", self.secret) != self.secret:
            return _json(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
        return _json(200, {"access_token": f"t{len(self.forms)}", "token_type": "Bearer", "expires_in": 3599})

    def _page(self, place: str, fault: Fault) -> tuple[int, dict[str, str], bytes]:
        path, _, text = place.partition("?")
        query = parse_qs(text)
        name, objects = self._listed(unquote(path))
        if objects is None:
            return _json(404, {"error": {"code": "Request_ResourceNotFound", "message": "gone"}})
        start = int((query.get("$skiptoken") or query.get("pageToken") or ["0"])[0])
        end = start + self.page
        again = fault.kind == "again"
        found = objects[start:end]
        if path.startswith("/v1.0/"):
            page: Json = {"@odata.context": "here", "value": found}
            if again or end < len(objects):
                origin = ELSEWHERE if fault.kind == "elsewhere" else self.origin
                page["@odata.nextLink"] = f"{origin}{path}?$skiptoken={end}" if not again else self.origin + place
            return _json(200, page)
        page = {"kind": f"admin#directory#{name}"} | ({name: found} if found else {})  # an empty list is left out
        if again or end < len(objects):
            page["nextPageToken"] = str(start if again else end)
        return _json(200, page)

    def _listed(self, path: str) -> tuple[str, list[Json] | None]:
        last = path.rpartition("/")[2]
        if last in ("users", "groups"):
            return last, self.users if last == "users" else self.groups
        return "members", self.members.get(path.split("/")[-2])


def _json(status: int, document: Json) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()
