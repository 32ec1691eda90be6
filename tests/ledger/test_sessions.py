"""When a session ends by itself, and which browser has asked for a link."""

from __future__ import annotations

from gatekeeper.ledger.mail_links import is_asking_browser
from gatekeeper.ledger.signins import SessionEnd, Signins
from gatekeeper.store.signins import Proof, SessionView, SigninLink, hashed
from tests.ledger.scene import CIO


def test_a_session_ends_by_its_pause_or_by_its_length_whichever_is_first(store):
    now = [1_000.0]
    sign = Signins(store, clock=lambda: now[0], idle=600.0, limit=3_600.0)
    session = SessionView(b"t", Proof(CIO, "password"), "", "", 1_000.0, 1_000.0)
    assert sign.ends(session) == SessionEnd(left=600, idle=600)
    now[0] += 3_400
    assert sign.ends(session) == SessionEnd(left=200, idle=600)


def test_only_the_browser_that_asked_is_the_one_that_asked():
    link = SigninLink(b"t", CIO, 9.0, "mail", browser=hashed("mine"))
    assert is_asking_browser(link, "mine")
    assert not is_asking_browser(link, "another") and not is_asking_browser(link, None)
    assert not is_asking_browser(SigninLink(b"t", CIO, 9.0, "mail"), "")
