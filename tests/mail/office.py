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
            yield "\r\n\r\n".join((text, self.signature, self.notice)) + "\r\n"


_ENGLISH_KINDS = {
    "one-time password": "Your one-time password is {code}. It expires in ten minutes. Never share it with anybody.",
    "password expiry": "Hello {name},\r\n\r\nyour network password expires in 3 days. Press Ctrl+Alt+Del and choose"
    " Change a password, from a computer at your office or over the secure connection from home.",
    "ticket opened": "Ticket {code} was opened for {name}. A technician will contact you within one working day."
    " You can add details by replying to this message; please leave the number in the subject line.",
    "ticket closed": "Ticket {code} was resolved. If the problem persists, reopen it on the portal within five days,"
    " otherwise it is archived. Tell us how satisfied you were with the help that you got.",
    "invitation": "{name} has invited you to a meeting.\r\nWhen: Monday {code}\r\nWhere: room {code}\r\n",
    "scanner": "Scanned from the device on floor {code}.\r\nPages: {code}\r\nResolution: {code} dpi\r\n",
    "cron": "/usr/local/bin/backup: line {code}: warning: volume nearly full\r\nfinished with status {code}\r\n",
    "voice mail": "You have a new voice message from {code}, {code} seconds long. Dial the usual extension to hear it.",
    "leave request": "{name} asks for leave from {code} to {code}. Please approve or deny the request in the personnel"
    " system before the end of the week, so that the shift plan can be published in good time.",
}
_ENGLISH_SIGNATURE = (
    "Kind regards,\r\nState Information Technology Services\r\nservice desk for all agencies of the state\r\n"
    "calls answered from seven to six on working days"
)
_ENGLISH_NOTICE = (
    "This e-mail and any files transmitted with it may contain confidential or privileged information and are intended\r\n"
    "solely for the use of the individual or entity to whom they are addressed. If you are not the intended recipient,\r\n"
    "you are hereby notified that any review, dissemination, distribution or copying of this communication is strictly\r\n"
    "prohibited. If you have received it in error, please notify the sender at once and delete all copies of the\r\n"
    "original message from every system.\r\n\r\n"
    "Messages to and from this office may be monitored and may be disclosed to third parties under the public records\r\n"
    "law. The state accepts no liability for damage caused by any virus that is transmitted by this message.\r\n\r\n"
    "Please consider the environment before printing this message."
)

OFFICES = {
    "English": Office(_ENGLISH_KINDS, _ENGLISH_SIGNATURE, _ENGLISH_NOTICE),
    "English, notice without line breaks": Office(
        _ENGLISH_KINDS, "", _ENGLISH_NOTICE.replace("\r\n\r\n", "\0").replace("\r\n", " ").replace("\0", "\r\n\r\n")
    ),
    "English, signature marked": Office(_ENGLISH_KINDS, "-- \r\nState Information Technology", _ENGLISH_NOTICE),
    "German": Office(
        {
            "one-time password": "Ihr Einmalkennwort lautet {code}. Es ist zehn Minuten gültig.",
            "ticket opened": "Guten Tag,\r\n\r\nIhre Anfrage {code} ist bei uns eingegangen und wird so bald wie möglich"
            " bearbeitet. Sie können weitere Angaben machen, indem Sie auf diese Nachricht antworten.",
            "scanner": "Gescannt von Gerät {code}, Seiten: {code}",
            "leave request": "{name} möchte von {code} bis {code} freinehmen. Bitte genehmigen Sie dies oder lehnen es"
            " ab, damit wir den Dienstplan rechtzeitig veröffentlichen können.",
        },
        "Mit freundlichen Grüßen\r\nLandesamt für Informationstechnik\r\nerreichbar werktags von sieben bis achtzehn Uhr",
        "Diese E-Mail enthält vertrauliche oder rechtlich geschützte Informationen. Wenn Sie nicht der richtige Adressat\r\n"
        "sind oder diese E-Mail irrtümlich erhalten haben, informieren Sie bitte sofort den Absender und vernichten Sie\r\n"
        "diese E-Mail. Das unerlaubte Kopieren sowie die unbefugte Weitergabe dieser E-Mail sind nicht gestattet.",
    ),
    "French": Office(
        {
            "one-time password": "Votre code à usage unique est {code}. Il est valable dix minutes.",
            "ticket opened": "Bonjour,\r\n\r\nvotre demande {code} a bien été enregistrée et sera traitée dans les"
            " meilleurs délais. Vous pouvez la compléter en répondant simplement au présent message.",
            "leave request": "{name} souhaite prendre congé du {code} au {code}. Merci de valider ou de refuser la"
            " demande avant vendredi, afin que nous puissions publier le planning des équipes.",
        },
        "Cordialement\r\nDirection des systèmes informatiques\r\nouvert les jours ouvrables de huit heures à dix-huit",
        "Ce message et toutes les pièces jointes sont confidentiels et établis à l'intention exclusive de leurs\r\n"
        "destinataires. Toute utilisation ou diffusion non autorisée est interdite. Si vous avez reçu ce message par\r\n"
        "erreur, merci d'en avertir immédiatement l'expéditeur et de le détruire.",
    ),
    "Spanish": Office(
        {
            "one-time password": "Su contraseña de un solo uso es {code}. Caduca dentro de diez minutos.",
            "ticket opened": "Hola,\r\n\r\nhemos recibido su solicitud {code} y la atenderemos cuanto antes. Puede añadir"
            " más información respondiendo directamente desde su correo habitual.",
            "leave request": "{name} pide vacaciones desde {code} hasta {code}. Por favor, apruebe o rechace esta"
            " petición antes del viernes para que podamos publicar los turnos.",
        },
        "Saludos cordiales\r\nServicio de informática\r\natención todos los días laborables desde las ocho",
        "Este mensaje y sus archivos adjuntos son confidenciales y van dirigidos exclusivamente a su destinatario. Si\r\n"
        "usted lo ha recibido por error, le rogamos que lo comunique al remitente y lo elimine. Queda prohibida su\r\n"
        "divulgación, copia o distribución a terceros sin la autorización previa por escrito.",
    ),
    "Italian": Office(
        {
            "one-time password": "La sua password temporanea è {code}. Scade tra dieci minuti.",
            "ticket opened": "Gentile utente,\r\n\r\nabbiamo registrato la sua richiesta {code}, che verrà gestita quanto"
            " prima. Può aggiungere altre informazioni rispondendo direttamente dalla sua casella.",
            "leave request": "{name} chiede ferie dal {code} al {code}. La preghiamo di approvare oppure respingere la"
            " domanda entro venerdì, affinché possiamo pubblicare i turni.",
        },
        "Cordiali saluti\r\nUfficio sistemi informativi\r\nrisponde nei giorni feriali dalle otto alle diciotto",
        "Le informazioni contenute in questo messaggio sono riservate e destinate esclusivamente al destinatario. Se lo\r\n"
        "avete ricevuto per errore, vi preghiamo di avvisare il mittente e di cancellarlo. Qualsiasi uso o diffusione\r\n"
        "non autorizzata è vietata ai sensi della normativa vigente.",
    ),
    "Portuguese": Office(
        {
            "one-time password": "A sua senha temporária é {code}. Expira dentro de dez minutos.",
            "ticket opened": "Olá,\r\n\r\nrecebemos o seu pedido {code} e vamos tratá-lo assim que possível. Pode juntar"
            " mais informações respondendo diretamente através do correio habitual.",
            "leave request": "{name} pede férias desde {code} até {code}. Queira aprovar ou recusar este pedido antes de"
            " sexta-feira, para que possamos publicar as escalas.",
        },
        "Atenciosamente\r\nServiço de informática\r\natendimento todos os dias úteis desde as oito horas",
        "Esta mensagem pode conter informações confidenciais e destina-se exclusivamente ao seu destinatário. Caso a\r\n"
        "tenha recebido por engano, avise imediatamente o remetente e elimine-a. É proibida a sua divulgação ou cópia\r\n"
        "sem autorização prévia.",
    ),
    "Dutch": Office(
        {
            "one-time password": "Uw eenmalige code is {code}. Deze vervalt over tien minuten.",
            "ticket opened": "Beste collega,\r\n\r\nwij hebben uw melding {code} ontvangen en gaan er zo snel mogelijk mee"
            " aan de slag. Aanvullende gegevens kunt u doorgeven door rechtstreeks te antwoorden.",
            "leave request": "{name} vraagt verlof van {code} tot {code}. Keur deze aanvraag voor vrijdag goed of wijs hem"
            " af, zodat wij het rooster op tijd kunnen publiceren.",
        },
        "Met vriendelijke groet\r\nDienst voor informatica\r\nbereikbaar op werkdagen vanaf acht uur",
        "De informatie in dit bericht is vertrouwelijk en uitsluitend bestemd voor de geadresseerde. Indien u dit bericht\r\n"
        "ten onrechte heeft ontvangen, verzoeken wij u de afzender te waarschuwen en het te vernietigen. Gebruik door\r\n"
        "anderen is niet toegestaan.",
    ),
}
