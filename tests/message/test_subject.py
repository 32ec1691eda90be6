"""Subjects that are one, subjects that are two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message import subject_key
from gatekeeper.message.text_normalisation import fold

SAME = [
    "Budget meeting",
    "  BUDGET   meeting ",
    "Re: Budget meeting",
    "RE : re:Fwd: Budget meeting",
    "AW: WG: SV: VS: TR: RV: Antw: Odp: Budget meeting",
    "Re[2]: Re^3: Re(4): RE5: Budget meeting",
    "回复: 转发：Budget meeting",
    "[all-staff] Re: [hr] Budget meeting",
    "Budget meeting (fwd)",
    "Budget meeting (1/3)",
    "Budget meeting [2 of 5] #2",
    "Budget meeting - part 2 of 5",
    "Budget meeting!!!",
    "*** Budget meeting ***",
    "Вudgеt mееting",
    "Ｂｕｄｇｅｔ meeting",
    "Bud\u200bget\u00ad meeting\u202e",
    "Búdget meeting",
]


@pytest.mark.parametrize("subject", SAME)
def test_one_subject(subject):
    assert subject_key(subject) == "budget meeting"


NUMBERED = """
    Enrolment 17 | 17: Enrolment | 17 Enrolment | 17. Enrolment | 17 - Enrolment | 17/40 Enrolment | (17) Enrolment
    Enrolment 3/40 | Enrolment 17 of 40 | Enrolment #17 | Enrolment No. 17 | Enrolment Nr 17 | Enrolment № 17
    No. 17: Enrolment
    Enrolment - 17 | Enrolment-17 | Enrolment17 | Enrolment_17 | 17_Enrolment | Enrolment A17 | Enrolment 8f3a77
    Enrolment - Batch A | Enrolment (batch B) | Enrolment wave b | Enrolment part two | Enrolment Gruppe 3
    Enrolment lote 4
    Batch A: Enrolment | Batch A - Enrolment | Batch 3 of 40: Enrolment | Group 3 Enrolment | Teil II: Enrolment
    Enrolment (ref: x) | Enrolment [ref: 8f3a-77] | Enrolment ref: 8f3a-77 | Enrolment, ref 12 | Enrolment ref: abcd
    Enrolment (a) | Enrolment - A | Enrolment {17} | Enrolment <17> | Enrolment (1.2.3) | Enrolment (was: Picnic)
    Enrolment 3 March 2026 | Enrolment March 3, 2026 | Enrolment 2026-03-01 10:30 | Enrolment 01.03.2026
    Enrolment on Monday
    3 March: Enrolment | March 3: Enrolment | Monday: Enrolment | Monday, 3 March 2026 - Enrolment | Enrolment 10am
    Enrolment le 3 mars | Enrolment am 3. März 2026 | Enrolment, lunes 3 de marzo de 2026 | Enrolment - Friday
    Enrolment @ Mon Mar 3, 2026 10am - 11am (MST) (ann@example.gov) | Enrolment (2/5) - Batch A (ref: 17) #3
"""
MARKED = """
    Trs: | Inoltra: | I: | Επ: | ΑΠ: | הועבר: | FYI: | FYI - | EXTERNAL: | [EXTERNAL] | {External} | <External>
    (External)
    *EXTERNAL* | ***SPAM*** | ***** SPAM ***** | {Spam?} | [SPAM?] | SPAM: | Automatic reply: | Auto-Reply:
    Out of office: | Automatische Antwort: | Abwesenheitsnotiz: | Réponse automatique : | Respuesta automática:
    Risposta automatica: | Resposta automática: | Automatisch antwoord: | Autosvar: | Automatiskt svar: | Undeliverable:
    Automaattinen vastaus: | Odpowiedź automatyczna: | Автоматический ответ: | 自動返信: | 자동 회신: | Otomatik yanıt:
    Unzustellbar: | Non remis : | No entregado: | Non recapitabile: | Não entregue: | Onbestelbaar: | Недоставлено:
    Canceled: | Cancelled: | Abgesagt: | Annulé : | Cancelado: | Annullato: | Geannuleerd: | Inställt: | Aflyst:
    Odwołane:
    Updated: | Updated invitation: | Aktualisiert: | Mis à jour : | Actualizado: | Aggiornato: | Atualizado:
    Bijgewerkt:
    Accepted: | Zugesagt: | Accepté : | Aceptado: | Accettato: | Aceito: | Geaccepteerd: | Accepterat: | Hyväksytty:
    Принято:
    Declined: | Abgelehnt: | Refusé : | Rechazado: | Rifiutato: | Recusado: | Geweigerd: | Avböjt: | Avslått:
    Odrzucono:
    Tentative: | Mit Vorbehalt: | Provisoire : | Provisional: | Provvisorio: | Provisório: | Voorlopig: | Preliminärt:
    Invitation: | Einladung: | Invitación: | Invito: | Convite: | Uitnodiging: | Read: | Not read: | Gelesen: | Recall:
    URGENT: | Reminder: | Erinnerung: | Rappel : | 外部: | 【外部】 | 回复： | RE[2]: RE(3): RE4: | [list] Re: | Re: 17:
"""


def listed(table: str) -> list[str]:
    return [each.strip() for line in table.strip().splitlines() for each in line.split(" | ")]


@pytest.mark.parametrize("subject", [*listed(NUMBERED), "Enrolment"])
def test_numbers_dates_and_references_make_no_other_subject(subject):
    assert subject_key(subject) == "enrolment"


@pytest.mark.parametrize("mark", listed(MARKED))
def test_marks_make_no_other_subject(mark):
    assert subject_key(f"{mark} Enrolment") == subject_key(f"Re: {mark.lower()} Fwd: Enrolment") == "enrolment"


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("17", "17"),
        ("Re: 17", "17"),
        ("#17", "17"),
        ("Fwd: (17)", "17"),
        ("3/40", "3/40"),
        ("Batch A", "batch a"),
        ("3 March", "3 march"),
        ("HB 234 hearing", "hb 234 hearing"),
        ("C++", "c++"),
        ("Learning C#", "learning c#"),
    ],
)
def test_what_is_left_when_all_may_vary(subject, key):
    assert subject_key(subject) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Budget meeting", "Budget meetings"),
        ("Report: budget", "Budget"),
        ("HB 234 hearing", "HB 235 hearing"),
        ("17", "18"),
        ("C", "C++"),
        ("C#", "C++"),
        ("Plan B", "Plan C"),
        ("Resume", "Résumé"),
        ("Resume", "Re\u0301sume\u0301"),
        ("I, Robot", "Robot"),
        ("日本語", "中文"),
        ("!!!", "???"),
        ("🎉", "🎂"),
    ],
)
def test_two_subjects(one, other):
    assert subject_key(one) != subject_key(other)
    assert subject_key(one)


@pytest.mark.parametrize("subject", [None, "", "  ", "\u200b", "\u3164\u2800"])
def test_nothing_to_see_is_no_key(subject):
    assert subject_key(subject) == ""


@pytest.mark.parametrize("subject", ["Re:", "(1/3)", "[hr]", "-", "Re: [hr] (fwd)", "#2", "part 2"])
def test_what_is_all_marks_keeps_a_key(subject):
    assert subject_key(subject)


MARKS = [
    "re:",
    "fw",
    "[a]",
    "(1/2)",
    " #3",
    "(fwd)",
    "part 2",
    "x",
    " ",
    "-",
    ":",
    "İ",
    "ß",
    "17",
    "3 march",
    "ref: ",
    "*",
]
MARKS += [
    "(ref: y)",
    "batch",
    " a",
    "fyi",
    "spam",
    "{",
    "}",
    " of ",
    "on",
    "c++",
    ",",
    "_",
    "2026-01-01",
    "ab1",
    "Résumé",
]
MIXED = st.one_of(st.text(), st.lists(st.sampled_from(MARKS)).map("".join))


@given(MIXED)
def test_a_key_is_its_own_key(subject):
    key = subject_key(subject)
    assert subject_key(key) == key


@given(MIXED)
def test_what_is_visible_keeps_a_key(subject):
    assert bool(subject_key(subject)) == bool(fold(subject))


@given(st.text())
def test_a_reply_has_the_key_of_what_it_answers(subject):
    if subject_key(subject) and subject_key(subject)[0].isalnum():
        assert subject_key(f"Re: {subject}"[:400]) == subject_key(subject[:396])


BEFORE = [each + " " for each in listed(MARKED)] + ["17: ", "3/40 ", "Batch B - ", "(2) ", "3 May: "]
AFTER = [f" {number}" for number in ("17", "3/40", "#4", "- Batch A", "(ref: x)", "on 3 March 2026", "(fwd)", "part 2")]


@given(st.lists(st.sampled_from(BEFORE), max_size=4), st.lists(st.sampled_from(AFTER), max_size=4))
def test_whatever_stands_around_a_subject_it_is_one(before, after):
    assert (
        subject_key(f"{''.join(before)}Open Enrolment for all staff{''.join(after)}") == "open enrolment for all staff"
    )


def test_a_subject_behind_invisible_characters_is_that_subject():
    assert subject_key("\u200b" * 3_000 + "Re: Enrolment 17") == "enrolment"
