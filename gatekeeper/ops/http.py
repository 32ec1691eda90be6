"""Serves /metrics, /livez and /readyz over HTTP, in threads beside the event loop.

Threads, so that operators can still see that the event loop hangs.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from gatekeeper.settings import Endpoint, SettingsError

Answer = tuple[bool, tuple[str, ...]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_LOG = logging.getLogger(__name__)
_IDLE_CLIENT = 10.0  # seconds that a client may take for its request


def always_well() -> Answer:
    """Return that all is well: the liveness of a process that can answer at all."""
    return True, ()


class OpsServer:
    """The HTTP server; `start` binds, `stop` ends it and waits for its thread.

    Args: `ready` and `alive` are called in the server's threads and answer (well, reasons in plain language).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        registry: CollectorRegistry,
        ready: Callable[[], Answer],
        alive: Callable[[], Answer] = always_well,
    ) -> None:
        if endpoint.path:
            raise SettingsError(f"--ops: {endpoint} is a socket's path: expected host:port, or off")
        self._endpoint = endpoint
        self._application = application(registry, ready, alive)
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def host(self) -> str:
        """The host of the setting."""
        return self._endpoint.host

    @property
    def port(self) -> int:
        """The port that is bound: the one that was chosen where the setting is 0."""
        return self._server.server_port if self._server else self._endpoint.port

    def start(self) -> None:
        """Bind and serve. Raises OSError, which names the flag, where the address cannot be had."""
        self._server = self._bind()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="ops", daemon=True)
        self._thread.start()

    def _bind(self) -> WSGIServer:
        host, port = self._endpoint.host, self._endpoint.port
        kind = _Server6 if ":" in host else _Server
        try:
            return make_server(host, port, self._application, server_class=kind, handler_class=_Handler)
        except OSError as error:
            raise OSError(error.errno, f"--ops {self._endpoint}: {error.strerror or error}") from error

    def stop(self) -> None:
        """Stop serving and give the port back; nothing to do where it was not started."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None


def application(registry: CollectorRegistry, ready: Callable[[], Answer], alive: Callable[[], Answer]) -> Application:
    """Make the WSGI application of the three pages."""
    pages: dict[str, Application] = {
        "/metrics": make_wsgi_app(registry),
        "/livez": _health_page(alive),
        "/readyz": _health_page(ready),
    }

    def route(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        page = pages.get(environ["PATH_INFO"])
        if page is None:
            return _text(start_response, "404 Not Found", f"no such page: expected {', '.join(pages)}")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text(start_response, "405 Method Not Allowed", "expected GET", ("Allow", "GET, HEAD"))
        body = page({**environ, "REQUEST_METHOD": "GET"}, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    return route


def _health_page(ask: Callable[[], Answer]) -> Application:
    def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        well, reasons = ask()
        status = "200 OK" if well else "503 Service Unavailable"
        return _text(start_response, status, "\n".join(("ok" if well else "not ok", *reasons)))

    return page


def _text(start_response: Callable[..., Any], status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    start_response(
        status,
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers],
    )
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False  # a client that hangs must not keep the gate from ending

    def server_bind(self) -> None:
        """Bind without the reverse lookup of wsgiref's, which can take as long as DNS does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a client; one that is silent or has left is no fault of the gate."""
        error = sys.exception()
        if isinstance(error, TimeoutError | ConnectionError):
            _LOG.debug("ops %s %s", client_address[0], error)
        else:
            _LOG.error("ops %s: a fault", client_address[0], exc_info=error)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_CLIENT

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug("ops %s %s", self.address_string(), format % args)
