"""Cut a text down to what its sender wrote for everyone: no quotes, greeting, signature, footer or disclaimer.

Every copy of a text is cut alike, so a cut too many costs little. A disclaimer that is left in would make one mailing
of all that an office sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTE = re.compile(r"\s{0,3}[A-Za-z]{0,4}[>|]")
_SAYS = re.compile(r"(?:wrote|writes|said|schrieb|a écrit|escribió|ha scritto)\s?:\Z", re.I)
_END = re.compile(  # the text ends at the mark of a signature (RFC 3676 4.3) or the line above a quoted message
    r"\n--(?:[ \t\r]*(?:\n|\Z)"
    r"|-*\s?(?:original message|forwarded message|urspr.ngliche nachricht|message d'origine|forwarded by))",
    re.I,
)
_RULE = re.compile(r"\s{0,9}[-_=*~+#]{6,}.{0,80}\Z")
_ENDING_LINES = 15  # how far from the end of a text its footer or signature may begin
_CLOSING = re.compile(
    r"(?:(?:with |many |best |kind |kindest |warm |warmest |yours |very )*(?:thanks|thank you|regards|wishes|sincerely"
    r"|truly|faithfully|respectfully)(?: again| and \w+ regards)?|cheers|sincerely yours"
    r"|(?:mit )?(?:freundlichen?|viele|herzliche|beste|liebe) gr(?:ü|ue)(?:ß|ss)en?|cordialement|bien à vous"
    r"|(?:un cordial )?saludos?(?: cordiales)?|atentamente|(?:cordiali|distinti) saluti|atenciosamente|cumprimentos"
    r"|(?:met )?(?:vriendelijke|hartelijke) groet(?:en)?)[\s,.!]{0,9}\Z",
    re.I,
)
_LONGEST_CLOSING = 40  # characters
_GREETING = re.compile(
    r"\s*(?:dear|hello|hi|hey|hiya|greetings|good (?:morning|day|afternoon|evening)|hallo|liebe[rs]?|guten tag"
    r"|sehr geehrte[rs]?|bonjour|ch[eè]re?s?|hola|buenos d[ií]as|estimad[oa]s?|ciao|gentile|ol[aá]|hej|beste|geachte"
    r"|prezad[oa]s?)\b[^,:!.\n]{0,60}[,:!.]",
    re.I,
)
_GREETING_WORDS = 7

_PARAGRAPH = re.compile(r"\n[ \t\r]*(?=\n)")
# One of these marks a passage that nobody wrote for this message (a disclaimer or similar) ...
_SURE_SIGN = (
    "unsubscrib|intended recipient|strictly prohibited|notify the sender|consider the environment|external (?:e-?mail|"
    "sender)|originated (?:from )?outside|do not reply to this|automatically generated|désabonn|désinscri|darse de baja"
    "|uitschrijven|newsletter abbestellen"
)
# ... and so do two different ones of these, or one right after such a passage. These are stems of English and of the
# European languages that a public office most likely writes in.
_SIGN = (
    "confidential|privileged|addressee|intended (?:only|for|solely)|unauthori[sz]ed|disseminat|disclos|prohibited"
    "|received this|in error|disclaimer|legally|virus|liabilit|opt.?out|mailing list|your (?:preferences|subscription)"
    "|vertraulich|rechtlich geschützt|irrtümlich|adressat|empfänger|unbefugt|nicht gestattet|vernichten|absender"
    "|confidentiel|destinataire|par erreur|expéditeur|interdit|divulg"
    "|confidencia|destinat[aá]ri|por error|remitente|prohibid"
    "|riservat|per errore|mittente|vietat|por engano|remetente|proibid"
    "|vertrouwelijk|geadresseerde|ten onrechte|afzender|niet toegestaan|openbaarmak"
)
_SIGNS = re.compile(rf"\b(?:(?P<sure>{_SURE_SIGN})|{_SIGN})")
# Nearly every such passage has one of these whole words: a set quickly shows that a text has no such passage.
DISCLAIMER_WORDS = frozenset(
    b"""
    confidential confidentiality privileged addressee recipient recipients unauthorized unauthorised dissemination
    disclosure disclosed disclose prohibited error disclaimer virus viruses liability unsubscribe environment external
    outside originated sender automatically preferences subscription
    vertraulich vertrauliche vertraulichen adressat empfanger unbefugte unbefugter gestattet vernichten abbestellen
    confidentiel confidentielle confidentiels confidentielles destinataire destinataires erreur expediteur interdite
    desabonner desinscrire
    confidencial confidenciales confidenciais destinatario destinatarios remitente prohibida prohibido baja
    riservate riservato riservata errore mittente vietata vietato engano remetente proibida proibido
    vertrouwelijk vertrouwelijke geadresseerde onrechte afzender toegestaan uitschrijven
    """.split()
)


def own_text(text: str, most: int) -> str:
    """Return at most `most` characters of a text without its quotes, greeting, signature and footer."""
    if ">" in text or "|" in text:
        text = "\n".join(_unquoted(text.split("\n")))
    text = text[: 3 * most].replace("\r", "")
    is_whole = len(text) <= 2 * most  # else the end of the text lies far behind the part that is examined
    if (text.startswith("--") or "\n--" in text) and (end := _END.search("\n" + text)):
        text = text[: max(0, end.start() - 1)]
    return _without_greeting(_without_ending(text) if is_whole else text)[:most]


def _unquoted(lines: list[str]) -> Iterator[str]:
    for line in lines:
        quoted = (">" in line or "|" in line) and _QUOTE.match(line)
        if not quoted and not (":" in line[-3:] and _SAYS.search(line[-40:].rstrip())):
            yield line


def _without_ending(text: str) -> str:
    """Remove a short footer below a drawn line, or a short signature below a closing formula."""
    kept, *ending = text.rstrip().rsplit("\n", _ENDING_LINES)
    for number, line in enumerate(ending):
        is_closing = len(line) <= _LONGEST_CLOSING and _CLOSING.match(line.strip())
        if is_closing or (line[:1] in "-_=*~+# \t" and _RULE.match(line[:200])):
            return "\n".join([kept, *ending[:number]])
    return text


def _without_greeting(text: str) -> str:
    """Remove the first line if it is short and ends like a greeting, else only the greeting words at its start."""
    line, _, rest = text.lstrip().partition("\n")
    if line.rstrip()[-1:] in (",", ":", "!") and len(line) < 100 and len(line.split()) <= _GREETING_WORDS:
        return rest
    greeting = _GREETING.match(line[:200])
    return text.lstrip()[greeting.end() :] if greeting else text


def without_disclaimers(text: str) -> str:
    """Remove confidentiality notices, notes on unsubscribing and similar passages, then greeting and ending again."""
    return _without_greeting(_without_ending("\n".join(_undisclaimed(_PARAGRAPH.split(text)))))


def _undisclaimed(paragraphs: list[str]) -> Iterator[str]:
    """Yield each paragraph up to the sentence, or line, in which a notice begins."""
    in_notice = False
    for paragraph in paragraphs:
        signs = list(_SIGNS.finditer(paragraph.lower()))
        different = len({sign[0] for sign in signs})
        in_notice = different >= (1 if in_notice else 2) or any(sign["sure"] for sign in signs)
        yield paragraph[: _sentence_start(paragraph, signs[0].start())] if in_notice else paragraph


def _sentence_start(paragraph: str, at: int) -> int:
    return max(paragraph.rfind("\n", 0, at), paragraph.rfind(". ", 0, at) + 1, 0)
