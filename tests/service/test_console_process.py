"""`gatekeeper serve` starts the console, and replaces it; whatever becomes of it, mail goes on."""

from __future__ import annotations

import errno
import os
import re
import signal
import urllib.request
from types import SimpleNamespace

import pytest

from gatekeeper.service import console as console_service
from gatekeeper.service import console_process
from gatekeeper.service.console_process import ConsoleProcess
from gatekeeper.settings import SettingsError, read_settings
from tests.console.test_browser import SMALL, mail
from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.store.arrivals import people

KEY = b"k" * 16


@pytest.fixture(scope="module")
def console():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def gate(console):
    with Gate("maildir:out", rules=SMALL, environment={"GATEKEEPER_CONSOLE": console}) as gate:
        wait_for(lambda: pages(console) == 200, lambda: gate.log())
        yield gate


def pages(console):
    try:
        with urllib.request.urlopen(f"http://{console}/livez", timeout=1) as page:
            return page.status
    except OSError:
        return 0


def process(gate):
    return int(re.findall(r"console is process (\d+)", gate.log())[-1])


def ordinary(gate):
    return gate.send("clerk@doa.example.gov", ["one@doa.example.gov"], mail("Lunch"))[0]


def test_a_gate_that_is_tried_out_says_how_to_look_at_it(gate, console):
    (link,) = re.findall(rf"http://{console}/signin/start/\S+", gate.log())
    with urllib.request.urlopen(link) as page:
        assert b"deputy@example.gov" in page.read()  # the first approver of the rules


def test_a_console_that_is_killed_is_replaced_and_its_address_stays(gate, console):
    before = process(gate)
    os.kill(before, signal.SIGKILL)
    assert ordinary(gate) == 250
    wait_for(lambda: process(gate) != before and pages(console) == 200, lambda: gate.log())
    assert gate.metric("gatekeeper_process_restarts_total", kind="console") == 1
    assert gate.page("/readyz")[0] == 200


def test_a_console_that_is_stopped_keeps_no_mail_waiting(gate, console):
    os.kill(process(gate), signal.SIGSTOP)
    try:
        assert pages(console) == 0  # the kernel takes the connection, and nobody answers
        assert ordinary(gate) == 250 and "Held" in gate.send("a@doa.example.gov", people(30), mail("Parking"))[1]
    finally:
        os.kill(process(gate), signal.SIGCONT)
    wait_for(lambda: pages(console) == 200, lambda: gate.log())


def test_it_gives_way_to_mail_and_has_so_much_memory_and_no_more(gate):
    assert os.getpriority(os.PRIO_PROCESS, process(gate)) == 5
    with open(f"/proc/{process(gate)}/limits") as limits:
        (line,) = [line for line in limits if line.startswith("Max address space")]
    assert line.split()[3] == str(1 << 30)


def test_it_ends_with_the_gate_also_with_one_that_is_killed(gate, console):
    wait_for(lambda: pages(console) == 200, lambda: gate.log())
    gate.kill()
    wait_for(lambda: pages(console) == 0, lambda: gate.log())
    gate.start()
    wait_for(lambda: pages(console) == 200, lambda: gate.log())
    assert gate.terminate() == 0 and pages(console) == 0


# -- where it is off ---------------------------------------------------------------------------------------------


@pytest.fixture
def nothing(monkeypatch):
    """A machine without the extra."""
    monkeypatch.setattr(console_process, "find_spec", lambda name: None if name == "nh3" else "there")


def test_without_its_packages_it_is_off_and_where_it_was_asked_for_an_error(nothing, caplog):
    caplog.set_level("INFO")
    ConsoleProcess(read_settings({}, {}), KEY, print).close()
    assert "console: off, since nh3 is missing: install gatekeeper-mail[console] to have it" in caplog.text
    with pytest.raises(SettingsError, match="--console: nh3 is missing"):
        ConsoleProcess(read_settings({"console": "127.0.0.1:0"}, {}), KEY, print)


def test_an_address_that_is_taken_turns_it_off_unless_it_was_asked_for(monkeypatch, caplog):
    def taken(*_):
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(console_process, "open_sockets", taken)
    ConsoleProcess(read_settings({}, {}), KEY, print).close()
    assert "console: off, since http://127.0.0.1:8025 cannot be had (Address already in use)" in caplog.text
    with pytest.raises(OSError, match="8025: Address already in use"):
        ConsoleProcess(read_settings({"console": "127.0.0.1:8025"}, {}), KEY, print)


@pytest.mark.parametrize(
    ("given", "trial"),
    [
        ({}, True),
        ({"next_hop": "smtp://127.0.0.1:25"}, False),
        ({"listen": "0.0.0.0:10025"}, False),
        ({"ops": "0.0.0.0:9125"}, False),
        ({"ops": "off", "milter": "unix:milter.sock"}, True),
        ({"database": "postgresql://127.0.0.1/gate"}, False),
        ({"public_url": "https://gate.example.gov"}, False),
    ],
)
def test_only_a_gate_that_is_tried_out_prints_a_link(given, trial):
    assert read_settings({"next_hop": "maildir:out", **given}, {}).is_trial is trial


def test_where_its_share_cannot_be_limited_it_serves_all_the_same(monkeypatch, caplog):
    """As under the unit of deploy/, which forbids what is about resources."""
    from gatekeeper.service import console

    def forbidden(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    caplog.set_level("INFO")
    monkeypatch.setattr(console.os, "nice", forbidden)
    console._give_way(0)
    assert "cannot be limited here" in caplog.text


def test_an_address_that_cannot_be_had_is_named_with_its_setting(monkeypatch, tmp_path):
    settings = read_settings({"console": f"unix:{tmp_path}/missing/console.sock"}, {})

    class Refused:
        def __init__(self, *_):
            pass

        def run(self):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(console_service, "_desk", lambda *_: SimpleNamespace(service=lambda: None, url=""))
    monkeypatch.setattr(console_service, "_config", lambda *_: None)
    monkeypatch.setattr(console_service, "_Server", Refused)
    with pytest.raises(OSError, match=r"--console unix:.*/missing/console.sock: Permission denied"):
        console_service.serve(settings, None)
