"""Find the words that tell a text of few words from others: no courtesies or numbers, names only for want of others."""

from __future__ import annotations

from gatekeeper.message.words import all_words, plain_words, undressed_words

LEAST_TELLING = 3
_LEAST_LETTERS = 3
_MOST = 96  # words
_LONGEST_NAME = 3  # words

# What people write around an attachment, a link or an answer, and words that stand in every text.
_COURTESIES = frozenset(
    all_words(
        """
    thanks thank you your yours please see find attached attachment attachments enclosed enclosure regards best kind
    kindest warm warmest sincerely cheers many much very for the and fyi fya info information hello hey dear all team
    colleagues everyone everybody good morning afternoon evening day night nice great weekend week have hope well okay
    yes yep yeah sure got received noted let know any questions question contact feel free hesitate not sent from
    iphone ipad android phone mobile device outlook samsung get looking forward hearing soon will would can could are
    was were has had this that these those with below above following here there click link links file files document
    documents email mail message copy view open per our their its his her but what when which who how also just too
    now then out about into over more some asap appreciated advance again welcome happy sorry forwarded fwd begin
    wrote original danke dank vielen bitte siehe anbei anhang beigefügt angehängt anlage grüße grüßen gruß mit
    freundlichen freundliche freundlicher viele beste liebe lieber hallo guten tag morgen abend sehr geehrte geehrter
    geehrten damen herren zur kenntnis kenntnisnahme ihr ihre ihnen und für das die der den dem des ein eine einen ich
    wir sie euch dir mir uns ist sind hat haben wird werden von vom gesendet meinem handy schönes schönen wochenende
    alles klar gerne rückfragen fragen datei dokument hier unten nicht auch auf aus bei merci beaucoup bonjour bonsoir
    salut cordialement bien vous votre vos nous notre joint jointe jointes cijoint cijointe pièce pièces veuillez
    trouver pour bonne journée soirée cordiales salutations chers cher chère tous avec dans les des une est sont que
    qui par fichier lien ici voir envoyé mon gracias muchas hola buenos buenas días tardes noches saludos saludo
    cordial estimado estimada estimados adjunto adjunta adjuntos archivo archivos por favor para información ver
    encontrará encuentre los las con del sus fin semana enlace aquí documento una enviado desde grazie mille ciao
    buongiorno buonasera saluti cordiali distinti gentile gentili allegato allegati allegata trova troverete favore
    prego informazione conoscenza vedi della gli che qui buona giornata serata inviato dal mio obrigado obrigada bom
    dia boa tarde noite olá atenciosamente cumprimentos segue seguem anexo anexa anexos conhecimento informação com
    dos das uma arquivo ficheiro aqui melhores prezado prezada prezados bedankt dankjewel goedemorgen goedemiddag
    geachte groet groeten met vriendelijke hartelijke bijlage bijgevoegd zie alstublieft graag ter informatie
    kennisgeving het een van voor jullie fijn bestand verzonden vanaf mijn tack takk tak hej hei mvh med vänliga
    vänlig hälsning hälsningar vennlig hilsen venlig hilsner mange bifogat bifogad vedlagt vedhæftet vedlagte
    vedhæftede fil för och att den det som til till kännedom orientering god helg bästa kiitos terveisin ystävällisin
    liitteenä liite ohessa tiedoksi hyvää päivää viikonloppua dziękuję dzięki proszę pozdrawiam pozdrowienia
    serdecznie witam dzień dobry załączeniu załącznik załączniku przesyłam wiadomości szanowni państwo poważaniem oraz
    jest спасибо здравствуйте добрый день уважением пожалуйста вложении приложении файл сведения привет для что это
    よろしくお願いいたします よろしくお願いします お世話になっております ご確認ください 添付ファイル 谢谢 請查收附件
    请查收附件 您好 감사합니다 안녕하세요
    """
    )
)


def telling_words(own: str, dressed: bool = True) -> tuple[bytes, ...]:
    """Return the telling words of a text that is cut down to its sender's own, in order, without its first word.

    The first word has a capital whether or not it is a name. Names are taken where fewer than three words are left, and
    then the first word as well.

    Args: `dressed` says whether the text may be in capitals, or have digits for letters.
    """
    own = _without_name(own)
    rest = "".join(own.split(None, 1)[1:])
    found = _telling(plain_words(rest, _LEAST_LETTERS))
    if dressed and len(undressed := _telling(undressed_words(rest, _LEAST_LETTERS))) >= LEAST_TELLING:
        return undressed
    return found if len(found) >= LEAST_TELLING else _telling(all_words(own))


def says_nothing(text: str) -> bool:
    """Return True for a text without telling words, signatures and names included."""
    return len(_telling(all_words(text))) < LEAST_TELLING


def _telling(words: list[bytes]) -> tuple[bytes, ...]:
    return tuple([word for word in words if word not in _COURTESIES][:_MOST])


def _without_name(own: str) -> str:
    """Cut a text before a line behind an empty one that is a name, as signatures begin."""
    if "\n" not in own:
        return own
    lines = own.rstrip().split("\n")
    for number, line in enumerate(lines[1:], 1):
        if not lines[number - 1].strip() and line[:1].isupper():
            words = line.split()
            if len(words) <= _LONGEST_NAME and all(word[0].isupper() for word in words):
                return "\n".join(lines[:number])
    return own
