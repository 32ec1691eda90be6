"""Cut a text down to what its sender wrote for everyone: no quotes, greeting, signature, footer or disclaimer.

Every copy of a text is cut alike, so a cut too many costs little. A disclaimer that is left in would make one mailing
of all that an office sends. Where nothing is left, there is the rest: what is quoted or stands below a signature mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTED_LINE = re.compile(r"\n[^\S\n]{0,3}[A-Za-z]{0,4}[>|][^\n]*+")
_ENDS_WITH_COLON = re.compile(r":[^\n]{0,2}(?!.)")
_QUOTES = re.compile(r"\s{0,3}(?:[A-Za-z]{0,4}[>|] ?)+")
_QUOTE_MARK = re.compile(r"\s{0,3}[A-Za-z]{0,4}[>|] ?")
_DEEPEST_QUOTES = 3
_WORD = re.compile(r"[^\W_]{2}|[^\x00-\x7f]")
_SIGNATURE = re.compile(r"^--[ \t]{0,9}\n", re.MULTILINE)
# Some patterns look first for a letter that one of their words begins with: most lines have none there.
_SAYS = re.compile(
    r"\b(?=[ekswénнп])"
    r"(?:wrote|writes|said|schrieb|écrit|escribió|scritto|escreveu|schreef|skrev|kirjoitti|napisała?|написала?|пишет)"
    r"(?:\s[^:]{0,80})?\s?[:：]\Z|写道\s?[:：]\Z",
    re.I,
)
_FORWARDED = (  # the words of a line above a message that is quoted
    "original message|forwarded message|forwarded by|reply message|original appointment"
    "|urspr.ngliche nachricht|weitergeleitete nachricht|original-?nachricht|urspr.nglicher termin"
    "|message d'origine|message original|message transf.r.|message r.exp.di."
    "|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato"
    "|mensagem original|mensagem encaminhada|oorspronkelijk bericht|doorgestuurd bericht"
    "|ursprungligt meddelande|vidarebefordrat meddelande|oprindelig meddelelse|videresendt melding"
    "|alkuperäinen viesti|välitetty viesti|wiadomość oryginalna|wiadomość przekazana"
    "|исходное сообщение|пересылаемое сообщение"
)
_END = re.compile(  # the text ends at the mark of a signature (RFC 3676 4.3) or the line above a quoted message
    rf"\n--(?:[ \t\r]*+(?:\n|\Z)|-*+\s?+(?:{_FORWARDED}))", re.I
)
_BEGINS = re.compile(  # without hyphens, as Apple's program writes it
    rf"(?:begin|anfang der|début du|inizio|inicio del|início da)?\s?(?:{_FORWARDED})\s?[:：]?\Z", re.I
)
_LONGEST_MARK = 120  # characters of such a line
_FROM = "(?=[dflovо发寄差보])(?:from|von|de|da|van|från|fra|lähettäjä|od|от|发件人|寄件者|差出人|보낸 사람)"
_WHEN = (
    "sent|date|gesendet|datum|envoyé|enviado|enviado el|fecha|inviato|data|verzonden|skickat|sendt|dato|lähetetty"
    "|wysłano|отправлено|дата|发送时间|寄件日期|送信日時|日付|보낸 날짜"
)
# The header of a quoted message as mail programs write it into the text: From, then Sent or Date within three lines.
QUOTED_HEADER = re.compile(
    rf"\n[ \t]?+\*?+{_FROM}\s?[:：]\*?[^\n]{{1,400}}+\n(?:[^\n]{{0,400}}+\n){{0,2}}?[ \t]?\*?(?:{_WHEN})\s?[:：]",
    re.I,
)
_FIELD = re.compile(
    rf"\s?\*?(?:{_FROM}|{_WHEN}|to|cc|subject|an|betreff|à|objet|para|asunto|a|oggetto|assunto)\s?[:：]", re.I
)
_RULE = re.compile(r"\s{0,9}[-_=*~+#]{6,}.{0,80}\Z")
_ENDING_LINES = 15  # how far from the end of a text its footer or signature may begin
_CLOSING = re.compile(
    r"(?=[abcdfhklmrstuvwy])"
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
    # how to join a meeting, as Teams, Zoom and Meet write it below every invitation
    "|join on your computer|click here to join|join (?:the|zoom|with google) meet|scheduled zoom meeting|one tap mobile"
    "|dial by your location|(?:a|your) local number|joining instructions|microsoft teams (?:meeting|need help)"
    "|um an der besprechung teilzunehmen|in der mobilen app|rejoindre sur votre ordinateur|pour rejoindre la réunion"
    "|unirse en su equipo|unirse a la reunión|partecipa con il computer|per partecipare alla riunione"
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
    mobile device audio joining teilzunehmen mobilen ordinateur rejoindre unirse dispositivo partecipare
    vertrouwelijk vertrouwelijke geadresseerde onrechte afzender toegestaan uitschrijven
    """.split()
)


def own_text(text: str, most: int) -> str:
    """Return at most `most` characters of a text without its quotes, greeting, signature and footer."""
    if ">" in text or "|" in text:
        text = _unquoted(text)
    text = text[: 3 * most].replace("\r", "")
    is_whole = len(text) <= 2 * most  # else the end of the text lies far behind the part that is examined
    if "-" in text and (text.startswith("--") or "\n--" in text) and (end := _END.search("\n" + text)):
        text = text[: max(0, end.start() - 1)]
    if ":" in text and (header := QUOTED_HEADER.search("\n" + text)):
        text = text[: max(0, header.start() - 1)]
    return _without_greeting(_without_ending(text) if is_whole else text)[:most]


def without_filler(text: str) -> str:
    """Return a text in which no two lines without a word follow each other, and no two spaces."""
    kept: list[str] = []
    is_filler = False
    for line in (" ".join(line.split()) for line in text.split("\n")):
        was_filler, is_filler = is_filler, not _WORD.search(line)
        if not (is_filler and was_filler):
            kept.append(line)
    return "\n".join(kept)


def _unquoted(text: str) -> str:
    """Return a text without quoted lines, and without lines that say who wrote them."""
    text = _QUOTED_LINE.sub("", f"\n{text}")
    kept, at = [], 0
    for ends in _ENDS_WITH_COLON.finditer(text):
        start = text.rfind("\n", 0, ends.start())
        if _stands_above_quote(text[start + 1 : ends.end()]):
            kept.append(text[at:start])
            at = ends.end()
    return "".join([*kept, text[at:]])[1:]


def quoted_texts(text: str, most: int) -> Iterator[str]:
    """Yield at most `most` characters of what a text forwards, then of what it quotes, then of quotes in these.

    Each is without greeting, signature and footer, and without what is quoted in turn.
    """
    before = text[: 9 * most].replace("\r", "").split("\n")
    lines = [line for line in before if not _is_mark(line)]
    for _ in range(_DEEPEST_QUOTES + 1):
        if lines != before:
            yield own_text("\n".join(lines), most)
        before = lines
        lines = [line for line in (_QUOTE_MARK.sub("", line, count=1) for line in lines) if not _is_mark(line)]


def rests_of_text(text: str, most: int) -> Iterator[str]:
    """Yield at most `most` characters of what stands below the first signature mark, then of all that a text has."""
    text = text[: 9 * most].replace("\r", "")
    if mark := _SIGNATURE.search(text):
        yield own_text(text[mark.end() :], most)
    lines = (_QUOTES.sub("", line, count=1) for line in text.split("\n"))
    yield _without_greeting("\n".join(line for line in lines if not _is_mark(line)))[:most]


def _is_mark(line: str) -> bool:
    """Return True for a line that stands above a message which is quoted or forwarded, or in its header."""
    if ":" in line[:30] and _FIELD.match(line):
        return True
    return line.rstrip()[-1:] in (":", "：", "-") and _stands_above_quote(line)


def _stands_above_quote(line: str) -> bool:
    """Return True for a line that says who wrote what is quoted below, or that it is a forwarded message."""
    line = line.strip()[-_LONGEST_MARK:]
    return (_SAYS.search(line) or _BEGINS.match(line.strip("- "))) is not None


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
