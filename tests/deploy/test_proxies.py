"""The proxies of deploy/ lead to the console's own address, and let open pages hear at once what changes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from gatekeeper.settings import BY_NAME

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_proxies_lead_to_the_console_and_hold_nothing_back():
    place = BY_NAME["console"].default
    nginx, caddy = (DEPLOY / "nginx" / "gatekeeper.conf").read_text(), (DEPLOY / "caddy" / "Caddyfile").read_text()
    assert nginx.count(f"proxy_pass http://{place};") == 2 and f"reverse_proxy {place}" in caddy
    assert "proxy_buffering off;" in nginx.partition("location = /events")[2] and "flush_interval -1" in caddy
    assert nginx.count("proxy_set_header Host $host;") == 2  # else each request is for another host


def test_the_compose_file_serves_pages_by_a_proxy_that_reaches_the_socket():
    compose = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())
    services = compose["services"]
    socket = services["console"]["environment"]["GATEKEEPER_CONSOLE"].removeprefix("unix:")
    assert f"reverse_proxy unix/{socket}" in (DEPLOY / "container" / "Caddyfile").read_text()
    assert (
        "console:/run/console" in services["caddy"]["volumes"]
        and "console:/run/console" in services["console"]["volumes"]
    )
    assert services["gate-1"]["environment"]["GATEKEEPER_CONSOLE"] == "off"
    user = re.search(r"^USER (\d+):\d+$", (DEPLOY / "container" / "Dockerfile").read_text(), re.MULTILINE)
    assert user and f"uid={user[1]}," in compose["volumes"]["console"]["driver_opts"]["o"], "else it is root's"
