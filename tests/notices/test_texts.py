"""Templates that an organisation can change: read from a folder, checked before they are needed."""

from __future__ import annotations

import pytest

from gatekeeper.notices import Organisation, held_notice
from gatekeeper.notices.texts import KINDS, LARGEST_TEMPLATE, NoticeTemplates, TemplatesError, labelled, read_templates
from gatekeeper.policy.active import ActivePolicy, PolicyError
from tests.notices.reading import read, text_of
from tests.notices.test_notices import MAILING, NOW, STATE


def written(folder, **texts):
    folder.mkdir(exist_ok=True)
    for kind, text in texts.items():
        (folder / f"{kind}.txt").write_text(text, encoding="utf-8")
    return folder


def test_an_own_template_is_used_and_the_others_stay_as_they_are(tmp_path):
    folder = written(tmp_path / "notices", held="Subject: Halt, $number\n\nWait. Ask $contact.\n\n$look\n")
    texts = read_templates(folder)
    ours = read(held_notice(MAILING, Organisation(STATE.title, STATE.contact, STATE.hostname, texts), NOW))
    assert ours["Subject"] == "Halt, M-17" and ours["Auto-Submitted"] == "auto-generated"
    assert text_of(ours) == f"Wait. Ask {STATE.contact}. See it here: {MAILING.link}"
    assert texts.of("released") is NoticeTemplates().of("released")


def test_without_a_subject_line_the_built_in_one_is_kept(tmp_path):
    texts = read_templates(written(tmp_path, held="Nothing yet, $number.\n"))
    ours = read(held_notice(MAILING, Organisation(STATE.title, STATE.contact, STATE.hostname, texts), NOW))
    assert ours["Subject"] == "Held for approval (M-17): Open enrolment" and text_of(ours) == "Nothing yet, M-17."


def test_no_folder_named_is_no_template_of_ones_own():
    assert read_templates(None) == NoticeTemplates()


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path):
    folder = written(
        tmp_path,
        held="Subject: x\n\nYour mailing $numbr\nand $recipients\n",
        heldd="x",
        warning="It costs 5 $ a day, $1\n",
        denied="",
    )
    (folder / "released.txt").write_bytes(b"caf\xe9")
    (folder / "lapsed.txt").write_bytes(b"x" * (LARGEST_TEMPLATE + 1))
    with pytest.raises(TemplatesError) as error:
        read_templates(folder)
    told = "\n".join(error.value.problems).replace(f"{folder}/", "")
    assert "held.txt:3: unknown name $numbr; did you mean $number?" in told
    assert "held.txt:4: unknown name $recipients; expected some of $" in told
    assert "heldd.txt: no notice is called heldd; did you mean held.txt?" in told
    assert "warning.txt:1: a $ that belongs to no name; expected $$" in told
    assert "denied.txt: nothing stands here" in told
    assert "released.txt: expected UTF-8" in told and "lapsed.txt: expected at most 16384 octets" in told
    assert len(error.value.problems) == 7


def test_a_gate_does_not_start_on_templates_that_it_cannot_use_and_keeps_the_last_good_ones(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nnotices: {templates: texts}\nrules: []\n")
    with pytest.raises(PolicyError, match="texts: no such folder; expected one with templates of notices"):
        ActivePolicy(rules)
    written(tmp_path / "texts", held="One. $contact\n")
    active_policy = ActivePolicy(rules)
    assert not active_policy.reload()
    written(tmp_path / "texts", held="Two. $contact\n")
    assert active_policy.reload() and active_policy.current.texts.of("held").paragraphs[0].template == "Two. $contact"
    written(tmp_path / "texts", held="$wrong\n")
    with pytest.raises(PolicyError, match=r"held\.txt:1: unknown name \$wrong"):
        active_policy.reload()
    assert active_policy.current.texts.of("held").paragraphs[0].template == "Two. $contact"


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_may_use_every_name_of_its_kind(tmp_path, kind):
    assert read_templates(written(tmp_path, **{kind: " ".join(f"${name}" for name in sorted(KINDS[kind]))})).of(kind)


def test_labels_stand_in_a_column_and_what_is_empty_is_left_out():
    assert labelled({"Mailing": "M-1", "Files": "", "Needed by": "now"}) == "Mailing:    M-1\nNeeded by:  now"
