"""The texts of verdicts: one line, everything that the sender needs in it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.model import Action, Reason
from gatekeeper.smtp import policy_replies

ONE_LINE = re.compile(rb"[245][0-9]{2} [245]\.[0-9]\.[0-9] [ -~]+\r\n")
REASONS = st.lists(
    st.builds(
        Reason,
        rule=st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True),
        action=st.sampled_from(Action),
        text=st.text(max_size=600),
    ),
    max_size=8,
)


def one_line(reply):
    wire = reply.encode()
    return bool(ONE_LINE.fullmatch(wire)) and len(wire) <= 512


@given(st.text(max_size=900), st.none() | st.text(max_size=900))
def test_held_says_so_whatever_the_reason(why, link):
    text = policy_replies.held("M-17", why, link).text
    assert one_line(policy_replies.held("M-17", why, link))
    assert text.startswith("2.0.0 Held for approval as M-17: not sent yet,")
    assert "; do not resend" in text


def test_held_with_a_link():
    made = policy_replies.held("M-17", "over 2000 users need approval.", "https://gate.example.gov/mailings/M-17")
    assert str(made) == (
        "250 2.0.0 Held for approval as M-17: not sent yet, over 2000 users need approval; do not resend;"
        " https://gate.example.gov/mailings/M-17"
    )


def test_gathered():
    assert str(policy_replies.gathered("M-19", 300)) == (
        "250 2.0.0 M-19 not sent yet: counting recipients, up to 5 minutes; do not resend"
    )
    assert "up to 90 seconds;" in policy_replies.gathered("M-19", 90).text
    assert "up to 1 hour;" in policy_replies.gathered("M-19", 3600).text


@given(REASONS, st.text(max_size=300))
def test_a_refusal_names_every_rule(reasons, contact):
    for make in (policy_replies.rejected, policy_replies.deferred):
        made = make(reasons, contact)
        assert one_line(made)
        named = made.text.rpartition("(")[2]
        assert all(reason.rule in named for reason in reasons)


def test_a_refusal_gives_all_reasons_the_worst_first():
    reasons = [
        Reason("attachments", Action.WARN, text="Link to the file instead."),
        Reason("subject", Action.REJECT, text="Add a subject line."),
    ]
    assert str(policy_replies.rejected(reasons, "desk@example.gov, 406-555-0100")) == (
        "550 5.7.1 Not sent. 1) Add a subject line. 2) Link to the file instead."
        " Help: desk@example.gov, 406-555-0100 (subject, attachments)"
    )


def test_long_reasons_share_the_line():
    reasons = [
        Reason("first", Action.REJECT, text="alpha " * 100),
        Reason("second", Action.REJECT, text="Add a subject line."),
        Reason("third", Action.REJECT, text="omega " * 100),
    ]
    text = policy_replies.rejected(reasons, "desk@example.gov").text
    assert "1) alpha" in text and "2) Add a subject line. 3) omega" in text
    assert text.endswith("omega... Help: desk@example.gov (first, second, third)")
    assert abs(text.count("alpha") - text.count("omega")) <= 1


def test_more_rules_than_fit_are_counted():
    reasons = [Reason(f"a-long-name-of-a-rule-{number}", Action.REJECT, text="No.") for number in range(60)]
    made = policy_replies.rejected(reasons, "desk@example.gov")
    assert one_line(made) and re.search(r"a-long-name-of-a-rule-0, .*, and \d\d more\)$", made.text)


def test_faults():
    faults = {
        policy_replies.our_fault(): (451, "4.3.0"),
        policy_replies.next_hop_down(): (451, "4.4.1"),
        policy_replies.outcome_unknown(): (451, "4.4.2"),
        policy_replies.disk_full(): (452, "4.3.1"),
        policy_replies.too_many_hops(): (554, "5.4.6"),
    }
    assert {made: (made.code, made.enhanced) for made in faults} == faults
    assert all(one_line(made) for made in faults)
