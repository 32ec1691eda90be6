"""What an office's machines send all day: short texts of many kinds above one long legal notice and one signature."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_PEOPLE = ("Ann Smith", "Bob Jones", "Carla Diaz", "Dieter Wolf", "Emma Brown", "Farid Khan")


@dataclass(frozen=True)
class Office:
    """Texts of kinds of mail, with {code} and {name} where copies differ, and what stands below all of them."""

    kinds: dict[str, str]
    signature: str
    notice: str

    def copies(self, kind: str, number: int) -> Iterator[str]:
        """Texts of one kind, to different people."""
        seeded = random.Random(kind)
        for _ in range(number):
            text = self.kinds[kind].format(code=seeded.randrange(10**6), name=seeded.choice(_PEOPLE))
            yield "\n\n".join((text, self.signature, self.notice, "")).replace("\n", "\r\n")


_ENGLISH_KINDS = {
    "one-time password": "Your one-time password is {code}. It expires in ten minutes. Never share it with anybody.",
    "password expiry": "Hello {name},\n\nyour network password expires in 3 days. Press Ctrl+Alt+Del and choose"
    " Change a password, from a computer at your office or over the secure connection from home.",
    "ticket opened": "Ticket {code} was opened for {name}. A technician will contact you within one working day."
    " You can add details by replying to this message; please leave the number in the subject line.",
    "ticket closed": "Ticket {code} was resolved. If the problem persists, reopen it on the portal within five days,"
    " otherwise it is archived. Tell us how satisfied you were with the help that you got.",
    "invitation": "{name} has invited you to a meeting.\nWhen: Monday {code}\nWhere: room {code}\n",
    "scanner": "Scanned from the device on floor {code}.\nPages: {code}\nResolution: {code} dpi\n",
    "cron": "/usr/local/bin/backup: line {code}: warning: volume nearly full\nfinished with status {code}\n",
    "voice mail": "You have a new voice message from {code}, {code} seconds long. Dial the usual extension to hear it.",
    "leave request": "{name} asks for leave from {code} to {code}. Please approve or deny the request in the personnel"
    " system before the end of the week, so that the shift plan can be published in good time.",
}
_ENGLISH_SIGNATURE = (
    "Kind regards,\nState Information Technology Services\nservice desk for all agencies of the state\n"
    "calls answered from seven to six on working days"
)
_ENGLISH_NOTICE = (
    "This e-mail and any files transmitted with it may contain confidential or privileged information, intended\n"
    "solely for the use of the individual or entity whom they are addressed to. If you are no intended recipient,\n"
    "you are hereby notified that any review, dissemination, distribution or copying of this message is strictly\n"
    "prohibited. If you have received it in error, please notify the sender at once and delete all copies of the\n"
    "original message from every system.\n\n"
    "Messages to and from this office may be monitored and may be disclosed to third parties under the public records\n"
    "law. The state accepts no liability for damage caused by any virus that is transmitted by this message.\n\n"
    "Please consider the environment before printing this message."
)

OFFICES = {
    "English": Office(_ENGLISH_KINDS, _ENGLISH_SIGNATURE, _ENGLISH_NOTICE),
    "English, notice without line breaks": Office(
        _ENGLISH_KINDS, "", _ENGLISH_NOTICE.replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n")
    ),
    "English, signature marked": Office(_ENGLISH_KINDS, "-- \nState Information Technology", _ENGLISH_NOTICE),
    "German": Office(
        {
            "one-time password": "Ihr Einmalkennwort lautet {code}. Es ist zehn Minuten gültig.",
            "ticket opened": "Guten Tag,\n\nIhre Anfrage {code} ist bei uns eingegangen und wird bald"
            " bearbeitet. Sie können weitere Angaben machen, indem Sie auf diese Nachricht antworten.",
            "scanner": "Gescannt von Gerät {code}, Seiten: {code}",
            "leave request": "{name} möchte von {code} bis {code} freinehmen. Bitte genehmigen Sie dies oder lehnen es"
            " ab, damit wir den Dienstplan rechtzeitig veröffentlichen können.",
        },
        "Mit freundlichen Grüßen\nLandesamt für Informationstechnik\nerreichbar werktags von sieben bis achtzehn Uhr",
        "Diese E-Mail enthält vertrauliche oder rechtlich geschützte Informationen. Wenn Sie nicht der Adressat\n"
        "sind oder diese E-Mail irrtümlich erhalten haben, informieren Sie bitte den Absender und vernichten Sie\n"
        "diese E-Mail. Das unerlaubte Kopieren sowie die unbefugte Weitergabe dieser E-Mail sind nicht gestattet.",
    ),
    "French": Office(
        {
            "one-time password": "Votre code à usage unique est {code}. Il est valable dix minutes.",
            "ticket opened": "Bonjour,\n\nvotre demande {code} a bien été enregistrée et sera traitée dans les"
            " meilleurs délais. Vous pouvez la compléter en répondant simplement au présent message.",
            "leave request": "{name} souhaite prendre congé du {code} au {code}. Merci de valider ou de refuser la"
            " demande avant vendredi, afin que nous puissions publier le planning des équipes.",
        },
        "Cordialement\nDirection des systèmes informatiques\nouvert les jours ouvrables de huit heures à dix-huit",
        "Ce message et toutes les pièces jointes sont confidentiels et établis à l'intention exclusive de leurs\n"
        "destinataires. Toute utilisation ou diffusion non autorisée est interdite. Si vous avez reçu ce message par\n"
        "erreur, merci d'en avertir immédiatement l'expéditeur et de le détruire.",
    ),
    "Spanish": Office(
        {
            "one-time password": "Su contraseña de un solo uso es {code}. Caduca dentro de diez minutos.",
            "ticket opened": "Hola,\n\nhemos recibido su solicitud {code} y la atenderemos cuanto antes. Puede añadir"
            " más información respondiendo directamente desde su correo habitual.",
            "leave request": "{name} pide vacaciones desde {code} hasta {code}. Por favor, apruebe o rechace esta"
            " petición antes del viernes para que podamos publicar los turnos.",
        },
        "Saludos cordiales\nServicio de informática\natención todos los días laborables desde las ocho",
        "Este mensaje y sus archivos adjuntos son confidenciales y van dirigidos exclusivamente a su destinatario. Si\n"
        "usted lo ha recibido por error, le rogamos que lo comunique al remitente y lo elimine. Queda prohibida su\n"
        "divulgación, copia o distribución a terceros sin la autorización previa por escrito.",
    ),
    "Italian": Office(
        {
            "one-time password": "La sua password temporanea è {code}. Scade tra dieci minuti.",
            "ticket opened": "Gentile utente,\n\nabbiamo registrato la sua richiesta {code}, che gestiremo quanto"
            " prima. Può aggiungere altre informazioni rispondendo direttamente dalla sua casella.",
            "leave request": "{name} chiede ferie dal {code} al {code}. La preghiamo di approvare oppure respingere la"
            " domanda entro venerdì, affinché possiamo pubblicare i turni.",
        },
        "Cordiali saluti\nUfficio sistemi informativi\nrisponde nei giorni feriali dalle otto alle diciotto",
        "Le informazioni contenute in questo messaggio sono riservate e destinate esclusivamente al destinatario. Se\n"
        "lo avete ricevuto per errore, vi preghiamo di avvisare il mittente e di cancellarlo. Ogni uso o diffusione\n"
        "non autorizzata è vietata ai sensi della normativa vigente.",
    ),
    "Portuguese": Office(
        {
            "one-time password": "A sua senha temporária é {code}. Expira dentro de dez minutos.",
            "ticket opened": "Olá,\n\nrecebemos o seu pedido {code} e vamos tratá-lo assim que possível. Pode juntar"
            " mais informações respondendo diretamente através do correio habitual.",
            "leave request": "{name} pede férias desde {code} até {code}. Queira aprovar ou recusar o pedido antes de"
            " sexta-feira, para que possamos publicar as escalas.",
        },
        "Atenciosamente\nServiço de informática\natendimento todos os dias úteis desde as oito horas",
        "Esta mensagem pode conter informações confidenciais e destina-se exclusivamente ao seu destinatário. Caso a\n"
        "tenha recebido por engano, avise imediatamente o remetente e elimine-a. É proibida a sua divulgação ou cópia\n"
        "sem autorização prévia.",
    ),
    "Dutch": Office(
        {
            "one-time password": "Uw eenmalige code is {code}. Deze vervalt over tien minuten.",
            "ticket opened": "Beste collega,\n\nwij hebben uw melding {code} ontvangen en gaan er snel mee"
            " aan de slag. Aanvullende gegevens kunt u doorgeven door rechtstreeks te antwoorden.",
            "leave request": "{name} vraagt verlof van {code} tot {code}. Keur deze aanvraag voor vrijdag goed of wijs"
            " hem af, zodat wij het rooster op tijd kunnen publiceren.",
        },
        "Met vriendelijke groet\nDienst voor informatica\nbereikbaar op werkdagen vanaf acht uur",
        "De informatie in dit bericht is vertrouwelijk en alleen bestemd voor de geadresseerde. Indien u dit bericht\n"
        "ten onrechte heeft ontvangen, verzoeken wij u de afzender te waarschuwen en het te vernietigen. Gebruik door\n"
        "anderen is niet toegestaan.",
    ),
}
