"""Words at the ends of subjects that say nothing of the matter: marks of mail programs, dates, and what is numbered.

Languages: English, German, French, Spanish, Italian, Portuguese, Dutch, the Scandinavian ones, Finnish, Polish, and the
commonest marks of others. All are folded as subjects are, so that look-alike letters are no way around.
"""

from __future__ import annotations

from gatekeeper.message.text_normalisation import fold


def _folded(words: str) -> frozenset[str]:
    return frozenset(fold(word) for line in words.split("\n") for word in line.split("|"))


# What programs and people put before a subject, with a colon, a dash or in brackets, by what it says.
MARKS = _folded(
    # a reply, a forward
    "re|r|aw|antw|antwort|sv|vs|vb|ref|rif|res|rv|resp|rép|réf|odp|fw|fwd|wg|tr|trans|transf|enc|doorst|i|pd|fs|vl"
    "|ynt|ilt|bls|trs|inoltra|inoltro|reenv|rvd|vá|atb|ymlaen|edasi|răsp|πρθ|απ|σχετ|επ|השב|הועבר|رد|پاسخ|отв|ha"
    "|пересл|回复|答复|转发|回覆|轉寄|回信|転送|返信|전달|회신|ตอบกลับ|ส่งต่อ|trả lời|chuyển tiếp|forwarded"
    "|weitergeleitet|transféré|reenviado|inoltrato|encaminhado|doorgestuurd\n"
    # for information, from outside, junk, in haste
    "fyi|fya|for information|for your information|zur info|zur information|zur kenntnis|pour info|pour information"
    "|para información|per informazione|per conoscenza|para informação|ter info|ter informatie|til orientering"
    "|tiedoksi|do wiadomości|к сведению|external|external email|external sender|extern|externe|externer absender"
    "|esterno|externo|ekstern|ulkoinen|zewnętrzny|внешний|外部|외부|ext|caution|spam|possible spam|suspected spam"
    "|junk|bulk|urgent|important|high importance|reminder|action required|dringend|wichtig|eilt|erinnerung|rappel"
    "|urgente|importante|recordatorio|promemoria|lembrete|belangrijk|herinnering|viktigt|viktig|vigtigt|påminnelse"
    "|påmindelse|tärkeää|muistutus|ważne|pilne|przypomnienie|срочно|важно|напоминание\n"
    # an automatic reply
    "automatic reply|auto reply|auto-reply|autoreply|auto|out of office|out of the office|ooo|automatische antwort"
    "|abwesenheitsnotiz|abwesenheit|réponse automatique|absence du bureau|absence|respuesta automática"
    "|fuera de la oficina|risposta automatica|fuori sede|fuori ufficio|resposta automática|fora do escritório"
    "|automatisch antwoord|afwezig|autosvar|automatiskt svar|automatisk svar|fraværende|automaattinen vastaus"
    "|poissa|odpowiedź automatyczna|autoodpowiedź|автоматический ответ|автоответ|αυτόματη απάντηση|自動返信"
    "|自動応答|自动答复|自动回复|自動回覆|자동 회신|otomatik yanıt|automatická odpověď|automatikus válasz"
    "|răspuns automat|תשובה אוטומטית|رد تلقائي\n"
    # a report of delivery, a receipt, a recall
    "undeliverable|undelivered|delivery failure|delivery failed|failure notice|delivery status notification"
    "|returned mail|unzustellbar|nicht zustellbar|non remis|non distribuable|échec de la remise|no entregado"
    "|no se puede entregar|non recapitabile|mancato recapito|não entregue|não é possível entregar|onbestelbaar"
    "|kan inte levereras|olevererbart|kan ikke leveres|uleverbar|ei voida toimittaa|niedostarczalne"
    "|nie można dostarczyć|недоставлено|не доставлено|配信不能|无法送达|read|not read|read receipt|delivered"
    "|gelesen|ungelesen|zugestellt|lu|non lu|leído|no leído|letto|non letto|lida|lido|gelezen|läst|lest|læst|luettu"
    "|przeczytane|прочитано|recall|rückruf|rappel du message\n"
    # an invitation and its answers
    "invitation|updated invitation|invitation updated|event|meeting|canceled|cancelled|canceled event"
    "|cancelled event|updated|update|accepted|declined|tentative|tentatively accepted|new time proposed|einladung"
    "|aktualisierte einladung|abgesagt|absage|aktualisiert|aktualisierung|zugesagt|zusage|angenommen|abgelehnt"
    "|mit vorbehalt|unter vorbehalt|mit vorbehalt zugesagt|annulé|annulée|mis à jour|mise à jour|accepté|acceptée"
    "|refusé|refusée|décliné|provisoire|invitación|cancelado|cancelada|actualizado|actualizada|actualización"
    "|aceptado|aceptada|rechazado|rechazada|provisional|invito|annullato|annullata|aggiornato|aggiornata"
    "|aggiornamento|accettato|accettata|rifiutato|rifiutata|provvisorio|convite|atualizado|atualizada|atualização"
    "|aceito|aceite|recusado|recusada|provisório|provisória|uitnodiging|geannuleerd|bijgewerkt|geaccepteerd"
    "|geweigerd|afgewezen|voorlopig|inbjudan|inställt|uppdaterad|uppdaterat|accepterat|avböjt|preliminärt"
    "|indkaldelse|aflyst|opdateret|accepteret|afvist|foreløbig|innkalling|avlyst|oppdatert|godtatt|avslått|kutsu"
    "|peruutettu|päivitetty|hyväksytty|hylätty|alustava|zaproszenie|odwołane|anulowano|zaktualizowano|zaakceptowano"
    "|odrzucono|wstępnie|wstępna akceptacja|приглашение|отменено|обновлено|принято|отклонено|под вопросом|已取消"
    "|已接受|已拒绝|キャンセル済み|承諾済み|취소됨"
)
# What copies and references are counted in, before or after the number.
COUNTED = _folded(
    "batch|part|group|wave|section|set|list|lot|copy|no|number|num|nr|n|ref|reference|id|code|case|vol|volume|page"
    "|run|round|chunk|block|series|teil|gruppe|welle|liste|kopie|nummer|referenz|kennung|aktenzeichen|az|seite"
    "|runde|serie|partie|groupe|vague|copie|numéro|référence|parte|grupo|lote|ola|lista|copia|número|referencia"
    "|página|gruppo|lotto|numero|riferimento|pagina|onda|cópia|referência|deel|groep|lijst|referentie|del|grupp"
    "|grupa|część|numer|strona|osa|erä|ryhmä|часть|группа|партия|номер|стр"
)
NUMBERS = _folded(
    "one|two|three|four|five|six|seven|eight|nine|ten|ii|iii|iv|vi|vii|viii|ix|eins|zwei|drei|vier|fünf|sechs"
    "|sieben|acht|neun|zehn|un|deux|trois|quatre|cinq|huit|neuf|dix|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve"
    "|diez|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|dois|três|quatro|sete|oito|dez|een|twee|drie|zes|zeven"
    "|negen|tien"
)
JOINING = _folded(
    "of|out|on|in|by|for|at|the|and|to|von|am|um|der|den|bis|für|de|du|le|en|el|del|di|il|em|van|op|af|av|z|ze|w|из|в"
)
DATES = _folded(
    "january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul"
    "|aug|sep|sept|oct|nov|dec|monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tue|tues|wed|thu|thur"
    "|thurs|fri|sat|sun|today|tomorrow|am|pm|utc|gmt|est|edt|cst|cdt|mst|mdt|pst|pdt|cet|cest|mez|mesz|uhr|januar"
    "|jänner|februar|märz|mai|juni|juli|oktober|dezember|okt|dez|montag|dienstag|mittwoch|donnerstag|freitag"
    "|samstag|sonnabend|sonntag|heute|morgen|janvier|février|mars|avril|juin|juillet|août|septembre|octobre"
    "|novembre|décembre|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|enero|febrero|marzo|abril|mayo|junio"
    "|julio|agosto|septiembre|octubre|noviembre|diciembre|lunes|martes|miércoles|jueves|viernes|sábado|domingo"
    "|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|lunedì|martedì|mercoledì|giovedì"
    "|venerdì|sabato|domenica|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|segunda"
    "|terça|quarta|quinta|sexta|januari|februari|maart|mei|augustus|maandag|dinsdag|woensdag|donderdag|vrijdag"
    "|zaterdag|zondag|augusti|måndag|tisdag|onsdag|torsdag|fredag|lördag|söndag|mandag|tirsdag|lørdag|søndag"
    "|stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|listopada|grudnia|января"
    "|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря|tammikuuta|helmikuuta|maaliskuuta"
    "|huhtikuuta|toukokuuta|kesäkuuta|heinäkuuta|elokuuta|syyskuuta|lokakuuta|marraskuuta|joulukuuta"
)
EARLIER = _folded("was|war|fwd|fw|forwarded|formerly|previously|vorher|früher|ehemals|antes|prima|era")  # in brackets
