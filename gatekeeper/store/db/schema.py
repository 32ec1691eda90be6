"""The tables. Times are seconds since 1970 (UTC) as doubles; hashes are keyed with the database's own secret.

Of ordinary mail only keyed hashes are here (policy D4): `mailings.sender` and `subject` are written when a mailing gets
a number, and recipients' addresses only with a batch that is kept.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
)

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for INTEGER PRIMARY KEY


def _index_given(given: Column[Any], name: str, *columns: Column[Any]) -> None:
    """Index the rows in which the column `given` has a value; the others, which are nearly all, cost nothing."""
    there = given.is_not(None)
    Index(name, *columns, sqlite_where=there, postgresql_where=there)


secrets = Table(
    "secrets",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

counters = Table(  # the last numbers of mailings and permits; and which programs work on this schema
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Integer, nullable=False),
)

rulesets = Table(  # every ruleset that was in force; the newest is in force, and commands on the ledger use it
    "rulesets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("loaded_at", Double, nullable=False),
    Column("hostname", Text),  # under which the gate that loaded it writes
    Column("public_url", Text),  # where links in its mails lead
)

mailings = Table(
    "mailings",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True),  # the 17 of M-17; none for ordinary mail
    Column("state", String(16), nullable=False),
    Column("source", LargeBinary(16), nullable=False),  # keyed hash of the source's mailbox
    Column("sender", Text),
    Column("subject", Text),
    Column("started_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("held_at", Double),
    Column("users", Integer, nullable=False),
    Column("external", Integer, nullable=False),
    Column("unresolved", Integer, nullable=False),
    Column("relayed", Integer, nullable=False),  # people reached without a stop
    Column("agencies", JSON, nullable=False),  # agency id -> users
    Column("lists", JSON, nullable=False),
    Column("tallies", JSON),  # what rules ask beyond counts: reach of lists, people in no list (list_reach.py)
    Column("reasons", JSON, nullable=False),  # why it is held
    Column("joined", JSON, nullable=False),  # kind of key -> transactions that it joined
    Column("version", Integer, nullable=False),  # grows with every batch; the fence of a gather
    Column("gather_until", Double),  # when its gather is judged, while it is gathering
    Column("gather_since", Double),
    Column("gather_leased", Double),  # until when one node judges it, and the others leave it alone
    Column("reached_before", Integer),  # people reached when it was last held
    Column("merged_into", _Id, ForeignKey("mailings.id")),  # the mailing that this one became part of
    Column("mass", Boolean, nullable=False, server_default=false()),  # by the rules' `mass:` when it was last judged
    Column("agency", String(64)),  # of the source, once it has a number
    Column("kept", Integer),  # batches of it that were made durable: the place of the newest
    Column("look_again", Double),  # when a permit was given that may cover it, while it is held
    Column("refused", JSON),  # by which rules a part of it was refused, and at which counts (refusals.py)
    Column("destroyed", Integer),  # the 3 of D-3, by which its content was destroyed last
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
    sqlite_autoincrement=True,  # an id is never given twice: `jobs.once` names them
)
Index("mailings_by_state", mailings.c.state, mailings.c.started_at)
_index_given(mailings.c.gather_until, "mailings_by_gather", mailings.c.gather_until)
_index_given(mailings.c.look_again, "mailings_by_look", mailings.c.look_again)
for _column in (mailings.c.state, mailings.c.sender, mailings.c.agency):  # of what is listed
    _index_given(mailings.c.number, f"mailings_listed_by_{_column.name}", _column, mailings.c.number)
_index_given(mailings.c.held_at, "mailings_listed_held", mailings.c.number)
Index("mailings_by_mass", mailings.c.started_at, sqlite_where=mailings.c.mass, postgresql_where=mailings.c.mass)
# As the index has it: SQLAlchemy writes `mass = 1` for SQLite, for which SQLite does not use the index.
IS_MASS: ColumnElement[bool] = literal_column("mailings.mass")
_index_given(mailings.c.merged_into, "mailings_by_merged", mailings.c.merged_into)
_index_given(mailings.c.number, "mailings_by_source", mailings.c.source)
_index_given(mailings.c.sender, "mailings_by_name", mailings.c.state, mailings.c.mass)

mailing_keys = Table(  # keys by which a transaction joins a mailing; weak keys are hashed with their place
    "mailing_keys",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id"), nullable=False),
    Column("kind", String(8), nullable=False),  # queue, message, subject, text, short, auto, common
    sqlite_with_rowid=False,
)
Index("mailing_keys_by_mailing", mailing_keys.c.mailing_id)

# What several mailings share and are counted by: a text (across.py), an origin or client (sent.py).
shared_keys = Table(
    "shared_keys",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("shared_keys_by_mailing", shared_keys.c.mailing_id)

sent_sums = Table(  # people of the batches of an origin or client, by the hour since 1970: an upper bound (sent.py)
    "sent_sums",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("people", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("sent_sums_by_hour", sent_sums.c.hour)

sent_counts = Table(  # how many different people or agencies an origin or client had reached when these were last read
    "sent_counts",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("query", String(40), primary_key=True),  # field and seconds
    Column("hour", Integer, nullable=False),  # in which they were read
    Column("hour_sum", Integer, nullable=False),  # of that hour when they were read
    Column("found", Integer, nullable=False),
    sqlite_with_rowid=False,
)

mailing_people = Table(  # whom a mailing reaches: the exact set, as keyed hashes
    "mailing_people",
    metadata,
    Column("mailing_id", _Id, ForeignKey("mailings.id"), primary_key=True),
    Column("person", LargeBinary(16), primary_key=True),
    Column("reached", Boolean, nullable=False),  # relayed, or approved for sending; a successor takes these over
    Column("inside", Boolean, nullable=False),
    Column("unresolved", Boolean, nullable=False),
    Column("agency", String(64)),
    sqlite_with_rowid=False,
)

bodies = Table(  # messages, once a digest
    "bodies",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of the octets as they came in
    Column("size", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("stored_at", Double, nullable=False),
)

body_chunks = Table(
    "body_chunks",
    metadata,
    Column("digest", LargeBinary(32), ForeignKey("bodies.digest"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("gathered", Boolean, nullable=False),  # stored first because it was gathered
    Column("identity", LargeBinary(16), nullable=False),  # the same for a resend of the batch
    Column("listener", String(8), nullable=False),
    Column("client", JSON, nullable=False),
    Column("login", Text),
    Column("authenticated", Boolean, nullable=False),
    Column("sender", Text, nullable=False),  # MAIL FROM
    Column("parameters", JSON, nullable=False),
    Column("message_id", Text),
    Column("content_digest", String(64), nullable=False),  # what a permit binds to
    Column("body", LargeBinary(32), nullable=False),
    Column("trace", LargeBinary, nullable=False),  # the Received field that goes before it
    Column("reasons", JSON, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("notify", Boolean, nullable=False),  # whether its sender may be told by mail
    Column("permits", JSON, nullable=False, server_default="[]"),  # ids of those under which it was released
    Column("place", Integer),  # in the order in which those of its mailing were made durable: what somebody has seen
    Column("owners", JSON),  # mailboxes whose mail it is; none where From alone says who sends it
    Column("recipients", Integer),  # how many there are, and what became of them (tallies.py)
    Column("sent", Integer),
    Column("refused", Integer),
    Column("expired", Integer),
    Column("origin", LargeBinary(16)),  # keyed hash of the origin for which it counts while it is kept (kept.py)
    Column("size", Integer),  # octets of its message
    sqlite_autoincrement=True,  # an id is never given twice: `jobs.once` names them
)
Index("batches_by_identity", batches.c.identity)
Index("batches_by_mailing", batches.c.mailing_id)
Index("batches_by_state", batches.c.state)
Index("batches_by_body", batches.c.body)
_index_given(batches.c.origin, "batches_by_origin", batches.c.origin, batches.c.state)
Index("batches_by_content", batches.c.mailing_id, batches.c.content_digest)

batch_recipients = Table(
    "batch_recipients",
    metadata,
    Column("batch_id", _Id, ForeignKey("batches.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("address", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reply", Text),  # the next hop's last words about it
    Column("told_at", Double),
    Column("token", LargeBinary(16)),  # keyed hash of the one that it was sent with, until that comes back
    Column("agency", String(64)),  # of a user; none for others, and for lists
)
Index("batch_recipients_by_token", batch_recipients.c.token)

matter_people = Table(  # whose a mailing, request or permit is, and who was asked about it: they may see it
    "matter_people",
    metadata,
    Column("address", Text, primary_key=True),
    Column("kind", String(8), primary_key=True),  # mailing, request, permit
    Column("matter_id", _Id, primary_key=True, autoincrement=False),  # of the mailing, request or permit
    Column("role", String(8), primary_key=True),  # own, asked
    sqlite_with_rowid=False,
)
Index("matter_people_by_key", matter_people.c.kind, matter_people.c.matter_id)

requests = Table(  # an agency asks for a mailing in advance
    "requests",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("state", String(16), nullable=False),
    Column("agency", String(64), nullable=False),
    Column("requester", Text, nullable=False),
    Column("senders", JSON, nullable=False),  # mailboxes; ids of agencies; names of groups as "group:NAME"
    Column("subject", Text, nullable=False),
    Column("subject_key", Text, nullable=False),  # folded; "" for any subject
    Column("purpose", Text, nullable=False),
    Column("audiences", JSON, nullable=False),  # addresses of lists, ids of agencies
    Column("users", Integer, nullable=False),
    Column("planned", String(10)),  # ISO days, by the organisation's clock
    Column("needed_by", String(10)),
    Column("content", JSON),  # what it is bound to, where content was given: digest, links, attachments, likeness
    Column("body", LargeBinary(32), ForeignKey("bodies.digest")),
    Column("exception", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("earliest", String(10)),  # the day that would not have been late
    Column("rules", JSON, nullable=False),  # those that it answers
    Column("terms", JSON, nullable=False),  # what those who agreed so far allow
    Column("appealed", Boolean, nullable=False),
    Column("final", Boolean, nullable=False),  # denied by somebody whose no is final
    Column("reason", Text, nullable=False),  # of the last decision
    Column("decided_by", Text),
    Column("submitted_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
    sqlite_autoincrement=True,
)
Index("requests_by_state", requests.c.state, requests.c.number)
_index_given(requests.c.body, "requests_by_body", requests.c.body)

permits = Table(
    "permits",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("kind", String(16), nullable=False),  # approval, exception, emergency
    Column("state", String(16), nullable=False),
    Column("mailing_id", _Id, ForeignKey("mailings.id")),  # the held one that it was given for
    Column("request_id", _Id, ForeignKey("requests.id")),
    Column("rules", JSON, nullable=False),
    Column("binding", String(16), nullable=False),  # exact, template, none
    Column("digests", JSON, nullable=False),
    Column("fingerprints", JSON, nullable=False, server_default="[]"),
    Column("links", JSON, nullable=False, server_default="[]"),
    Column("attachments", JSON, nullable=False, server_default="[]"),
    Column("likeness", JSON),  # what else a copy of a template is compared by; NULL where it was given before that
    Column("subject", Text, nullable=False, server_default=""),
    Column("subject_key", Text, nullable=False, server_default=""),  # "" for any subject
    Column("lists", JSON, nullable=False, server_default="[]"),  # that it may go to; empty for any
    Column("ceiling", Integer),  # users; none for any number
    Column("agencies", JSON, nullable=False),  # that it may reach; empty for any
    Column("since", Double, nullable=False, server_default="0"),
    Column("until", Double, nullable=False),
    Column("uses", Integer),  # mailings; none for any number
    Column("used", Integer, nullable=False, server_default="0"),
    Column("purpose", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("review", String(8)),  # of an emergency: open, closed
    Column("given_by", Text, nullable=False),
    Column("given_at", Double, nullable=False),
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
)
Index("permits_by_mailing", permits.c.mailing_id)
Index("permits_by_request", permits.c.request_id)
Index("permits_by_subject", permits.c.subject_key, permits.c.until)
Index("permits_by_state", permits.c.state, permits.c.until)

permit_scopes = Table(  # whose mail a permit is for
    "permit_scopes",
    metadata,
    Column("permit_id", _Id, ForeignKey("permits.id"), primary_key=True),
    Column("kind", String(8), primary_key=True),  # sender, agency, group
    Column("name", Text, primary_key=True),
    sqlite_with_rowid=False,
)
Index("permit_scopes_by_name", permit_scopes.c.kind, permit_scopes.c.name)

permit_uses = Table(  # which mailings have claimed a permit
    "permit_uses",
    metadata,
    Column("permit_id", _Id, ForeignKey("permits.id"), primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id"), primary_key=True),
    Column("claimed_at", Double, nullable=False),
    Column("relayed", Integer, nullable=False),  # recipients that it let pass without a stop
    sqlite_with_rowid=False,
)
Index("permit_uses_by_mailing", permit_uses.c.mailing_id)

flights = Table(  # messages that a permit lets pass and the next hop has not answered yet
    "flights",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("permits", JSON, nullable=False),  # ids
    Column("until", Double, nullable=False),  # when it is over for certain, whatever became of the process
    sqlite_autoincrement=True,
)

suspensions = Table(  # who may not send mass mail
    "suspensions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("state", String(16), nullable=False),  # in force, ended
    Column("kind", String(8), nullable=False),  # sender, agency, group
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Double, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("given_at", Double, nullable=False),
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
)
Index("suspensions_by_name", suspensions.c.kind, suspensions.c.name)

cases = Table(  # for which records are searched, preserved and exported
    "cases",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),  # the 4 of C-4
    Column("state", String(16), nullable=False),  # open, closed
    Column("kind", String(16), nullable=False),  # request, litigation, audit, investigation
    Column("title", Text, nullable=False),
    Column("outside", Text, nullable=False),  # its number elsewhere, such as a court's; "" for none
    Column("due", String(10)),  # ISO day, by the organisation's clock
    Column("opened_by", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_by", Text),
    Column("closed_at", Double),
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
    sqlite_autoincrement=True,
)
Index("cases_by_state", cases.c.state, cases.c.number)

case_items = Table(  # mailings that belong to a case: none of it is destroyed while the case is open
    "case_items",
    metadata,
    Column("case_id", _Id, ForeignKey("cases.id"), primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id"), primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)
Index("case_items_by_mailing", case_items.c.mailing_id)

preserves = Table(  # legal holds: what is in the scope of one is not destroyed
    "preserves",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),  # the 2 of H-2
    Column("state", String(16), nullable=False),  # in force, released
    Column("case_id", _Id, ForeignKey("cases.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("agencies", JSON, nullable=False),  # whose senders; empty for any
    Column("audiences", JSON, nullable=False),  # lists and agencies that were reached; empty for any
    Column("subjects", JSON, nullable=False),  # words of the subject; empty for any
    Column("mailings", JSON, nullable=False),  # numbers that are in it whatever else it says
    Column("since", Double),
    Column("until", Double),
    Column("silent", Boolean, nullable=False),  # its custodians are not told
    Column("placed_by", Text, nullable=False),
    Column("placed_at", Double, nullable=False),
    Column("agreed_by", Text),  # who first signed its release, where that needs two
    Column("agreed_at", Double),
    Column("released_by", Text),
    Column("released_at", Double),
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
    sqlite_autoincrement=True,
)
Index("preserves_by_case", preserves.c.case_id)
Index("preserves_by_state", preserves.c.state, preserves.c.number)

custodians = Table(  # whose mail a hold is about: sent by them, or received
    "custodians",
    metadata,
    Column("preserve_id", _Id, ForeignKey("preserves.id"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("person", LargeBinary(16), nullable=False),  # keyed hashes, as mailings have them: as a recipient
    Column("source", LargeBinary(16), nullable=False),  # as a sender
    Column("recorded", LargeBinary(16), nullable=False),  # as the sender in recorded decisions
    Column("told_at", Double),
    Column("reminded_at", Double),
    Column("acknowledged_at", Double),
    sqlite_with_rowid=False,
)

disposals = Table(  # lists of what is to be destroyed by the schedule, or was (D-3)
    "disposals",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("state", String(16), nullable=False),  # listing, proposed, signed, withdrawn, done
    Column("class", String(16), nullable=False),
    Column("schedule", Text, nullable=False),  # these three as rules.yaml had them
    Column("cite", Text, nullable=False),
    Column("keep", Text, nullable=False),
    Column("cutoff", Double, nullable=False),  # before when it was due
    Column("backups", Double),  # seconds for which copies may be in backups after it is done
    Column("automatic", Boolean, nullable=False),  # needs no signature
    Column("items", Integer, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the list
    Column("proposed_by", Text, nullable=False),  # "" for the gate itself
    Column("proposed_at", Double, nullable=False),
    Column("signed_by", Text),
    Column("signed_at", Double),
    Column("withdrawn_by", Text),
    Column("withdrawn_at", Double),
    Column("done_at", Double),
    Column("certificate", String(64)),  # SHA-256 of the certificate
    Column("disposed", Integer),  # the 5 of D-5, by which all but this line of it was destroyed
    sqlite_autoincrement=True,
)
Index("disposals_by_state", disposals.c.state, disposals.c.number)

disposal_items = Table(  # a message of a mailing, a matter of the ledger or a block of acts, and what became of it
    "disposal_items",
    metadata,
    Column("disposal_id", _Id, ForeignKey("disposals.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(12), nullable=False, server_default="content"),  # content, mailing, request, ..., acts
    Column("mailing_id", _Id, nullable=False),  # of another kind, the key of that; of acts, the last of the block
    Column("number", Integer, nullable=False),  # of the mailing or other matter; of acts, the first of the block
    Column("body", LargeBinary(32), nullable=False),  # SHA-256 of the message or matter; of acts, the head after them
    Column("octets", Integer, nullable=False),
    Column("state", String(12), nullable=False),  # listed, destroyed, elsewhere, kept
    Column("why", Text),  # what keeps it
    sqlite_with_rowid=False,
)
Index("disposal_items_by_mailing", disposal_items.c.mailing_id)
Index("disposal_items_by_state", disposal_items.c.disposal_id, disposal_items.c.state, disposal_items.c.position)

jobs = Table(  # the one durable queue: releases, DSNs, notices
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("once", String(80), unique=True),  # "held:M-17": at most one of its name is ever queued
    Column("mailing_id", _Id, ForeignKey("mailings.id")),
    Column("batch_id", _Id, ForeignKey("batches.id")),
    Column("recipient", Text),
    Column("content", LargeBinary),
    Column("state", String(8), nullable=False),  # due, done, failed
    Column("queued_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("fence", Integer, nullable=False),  # grows with each lease: a worker with an old one can no longer write
    Column("error", Text),
    sqlite_autoincrement=True,  # an id is never given twice: `jobs.once` names them
)
Index("jobs_by_due", jobs.c.state, jobs.c.due_at)
Index("jobs_by_batch", jobs.c.batch_id)
_index_given(jobs.c.mailing_id, "jobs_by_mailing", jobs.c.mailing_id)

seen_states = Table(  # the states behind versions that people were shown
    "seen_states",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("at", Double, nullable=False),  # when it was first shown
)
Index("seen_states_by_time", seen_states.c.at)

events = Table(  # what happened to a mailing, request, permit, suspension, case or hold, and who did it: one timeline
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("mailing_id", _Id, ForeignKey("mailings.id")),
    Column("request_id", _Id, ForeignKey("requests.id")),
    Column("permit_id", _Id, ForeignKey("permits.id")),
    Column("suspension_id", _Id, ForeignKey("suspensions.id")),
    Column("case_id", _Id, ForeignKey("cases.id")),
    Column("preserve_id", _Id, ForeignKey("preserves.id")),
    Column("disposal_id", _Id, ForeignKey("disposals.id")),
    Column("at", Double, nullable=False),
    Column("act", String(24), nullable=False),
    Column("by", Text),
    Column("login", Text),  # of the operating system
    Column("text", Text),
    Column("details", JSON),  # of an approval: what was seen, and its terms; of growth: from what to what
)
Index("events_by_mailing", events.c.mailing_id)
Index("events_by_request", events.c.request_id)
Index("events_by_permit", events.c.permit_id)
Index("events_by_suspension", events.c.suspension_id)
_index_given(events.c.case_id, "events_by_case", events.c.case_id)
_index_given(events.c.preserve_id, "events_by_preserve", events.c.preserve_id)
_index_given(events.c.disposal_id, "events_by_disposal", events.c.disposal_id)

audit_chains = Table(  # the records of one writer, each hashed with the one before it
    "audit_chains",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(120), nullable=False),  # of the process that writes it; `acts` is everybody's
    Column("began_at", Double, nullable=False),
    Column("records", Integer, nullable=False),  # written so far
    Column("head", LargeBinary(32), nullable=False),
    Column("aged_out", Integer, nullable=False),  # of them no longer here
    Column("checkpoint", LargeBinary(32), nullable=False),  # the head after the last of those
    sqlite_autoincrement=True,
)

audit_blocks = Table(  # records of one chain that were written together, or merged since
    "audit_blocks",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("chain_id", _Id, ForeignKey("audit_chains.id"), nullable=False),
    Column("first", Integer, nullable=False),  # number of its first record in the chain, from 1
    Column("records", Integer, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("head", LargeBinary(32), nullable=False),  # after its last record
    Column("payload", LargeBinary, nullable=False),  # deflated lines
)
Index("audit_blocks_by_chain", audit_blocks.c.chain_id, audit_blocks.c.first, unique=True)
Index("audit_blocks_by_time", audit_blocks.c.last_at)

audit_frames = Table(  # the order of values in records; named by a digest
    "audit_frames",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("text", Text, nullable=False),
)

modes = Table(  # times in which the gate was to observe only; the newest counts
    "modes",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Double, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("until", Double),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

texts = Table(  # what is searched, made of the ledger and of kept messages (texts.py); its words are in `text_words`
    "texts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(12), nullable=False),  # mailing, request, permit, suspension, content; mark
    Column("matter_id", _Id),  # of the mailing, request, permit or suspension
    Column("digest", LargeBinary(32)),  # of the message
    Column("files", Text, nullable=False),  # their names, each after a line break
    Column("unsearched", JSON(none_as_null=True)),  # what of it is not, and why; none where all of it is
    Column("made_at", Double, nullable=False),
    sqlite_autoincrement=True,
    info={"is_made": True},  # of other tables: not copied, but made again
)
Index("texts_by_matter", texts.c.kind, texts.c.matter_id)
_index_given(texts.c.digest, "texts_by_digest", texts.c.digest)
_index_given(texts.c.unsearched, "texts_unsearched", texts.c.kind)

searches = Table(  # searches that were saved, so that an export can name what it hands over
    "searches",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("case_id", _Id, ForeignKey("cases.id"), nullable=False),
    Column("query", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("digest", String(64), nullable=False),  # of the list of what was found
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
)
Index("searches_by_case", searches.c.case_id)

exports = Table(  # what was handed over for a case (E-1)
    "exports",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("case_id", _Id, ForeignKey("cases.id"), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("done_at", Double),
    Column("payload", String(64)),  # SHA-256 of manifest-sha256.txt
    Column("tags", String(64)),  # SHA-256 of tagmanifest-sha256.txt
    Column("files", Integer),
    Column("octets", BigInteger),
)
Index("exports_by_case", exports.c.case_id)

control_numbers = Table(  # GK-000001: one a message or file in a case, the same in each of its exports
    "control_numbers",
    metadata,
    Column("case_id", _Id, ForeignKey("cases.id"), primary_key=True),
    Column("thing", String(80), primary_key=True),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)

kept_reports = Table(  # compliance reports as they were made (RP-1)
    "kept_reports",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number", Integer, unique=True, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("agency", String(64)),  # whose senders it is about; none for all
    Column("document", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
)

processes = Table(  # running processes, and their rules; the row of a process that has died grows old
    "processes",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("rules", String(64), nullable=False),  # digests
    Column("directory", String(64), nullable=False),
    Column("problem", Text, nullable=False, server_default=""),  # why the rules on its disk cannot be used
)

clocks = Table(  # the time that running processes go by
    "clocks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("boot", Text, nullable=False),  # which start of the machine (SQLite); "server" (Postgres)
    Column("ahead", Double, nullable=False),  # of the seconds since that start; of the server's clock
    Column("told_at", Double, nullable=False),  # seconds since that start; by the server's clock
)

directory_sources = Table(  # how large each source was when it was good last, and how it is now
    "directory_sources",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", String(8), nullable=False),
    Column("entries", Integer, nullable=False),
    Column("granted", Integer, nullable=False),
    Column("found_entries", Integer, nullable=False),
    Column("found_granted", Integer, nullable=False),
)

release_tokens = Table(  # of programs before this one, which may still run beside it; nothing is written any more
    "release_tokens",
    metadata,
    Column("recipient", LargeBinary(16), primary_key=True),  # of the batch and the address
    Column("token", LargeBinary(16), nullable=False),
    Column("person", LargeBinary(16), nullable=False),  # of the address
    Column("bound", LargeBinary(16), nullable=False),  # of sender and content
    Column("mailing_id", _Id, nullable=False),
    Column("issued_at", Double, nullable=False),
)
Index("release_tokens_by_token", release_tokens.c.token)

returned_mail = Table(  # uses of tokens by mail that came back; each token is good once for each recipient
    "returned_mail",
    metadata,
    Column("use", LargeBinary(16), primary_key=True),  # of the token and a keyed hash of the recipient
    Column("at", Double, nullable=False),
)
Index("returned_mail_by_time", returned_mail.c.at)

preflights = Table(  # what was asked of the preflight address, for minutes; addresses, for they are to be counted
    "preflights",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("addresses", JSON, nullable=False),
    Column("answers", Integer, nullable=False),
    Column("asked_at", Double, nullable=False),
)

console_sessions = Table(  # of the web console; the browser has the token, here is its hash
    "console_sessions",
    metadata,
    Column("token", LargeBinary(32), primary_key=True),
    Column("address", Text, nullable=False),
    Column("method", String(16), nullable=False),  # how they signed in: start, password, passkey, link, proxy, oidc
    Column("client", Text, nullable=False),
    Column("program", Text, nullable=False),  # the browser, by its own words
    Column("began_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("issuer", Text),  # these four of who signed in by OpenID Connect
    Column("subject", Text),
    Column("sid", Text),
    Column("id_token", Text),
    Column("shown_at", Double),  # when they last showed who they are; NULL where nobody knows
    sqlite_with_rowid=False,
)
Index("console_sessions_by_address", console_sessions.c.address)

unfinished_requests = Table(  # what people have begun to write on the console, one request a person
    "unfinished_requests",
    metadata,
    Column("address", Text, primary_key=True),
    Column("answers", JSON, nullable=False),
    Column("content", LargeBinary),  # the message itself, where they have given one
    Column("changed_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

signin_links = Table(  # one-time links, by which people sign in or set up how they will; removed once used
    "signin_links",
    metadata,
    Column("token", LargeBinary(32), primary_key=True),
    Column("address", Text, nullable=False),
    Column("until", Double, nullable=False),
    Column("kind", String(8), nullable=False, server_default="start"),  # start, enrol, mail
    Column("made_at", Double, nullable=False),
    Column("browser", LargeBinary(32)),  # hash of what the browser holds that asked for it
    Column("code", LargeBinary(32)),  # hash of the code that another browser needs
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("place", Text, nullable=False, server_default=""),  # the page that it leads to
    sqlite_with_rowid=False,
)
Index("signin_links_by_address", signin_links.c.address)

signin_steps = Table(  # what the console remembers of a sign-in that has begun: challenges, states
    "signin_steps",
    metadata,
    Column("token", LargeBinary(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("details", JSON, nullable=False),
    Column("until", Double, nullable=False),
    sqlite_with_rowid=False,
)

signin_pins = Table(  # which name at which issuer an address belongs to: the first that claimed it
    "signin_pins",
    metadata,
    Column("address", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("pinned_at", Double, nullable=False),
    Column("claim", Text),  # the last that claimed the same and was refused
    Column("claimed_at", Double),
    sqlite_with_rowid=False,
)
Index("signin_pins_by_subject", signin_pins.c.issuer, signin_pins.c.subject, unique=True)

accounts = Table(  # of people who sign in by what they know and have; of whom is disabled, without any of it
    "accounts",
    metadata,
    Column("address", Text, primary_key=True),
    Column("handle", LargeBinary(32), nullable=False),  # what passkeys know it by
    Column("password", Text),  # hashed by Argon2
    Column("totp", String(64)),  # the secret of the app that makes codes
    Column("totp_step", BigInteger, nullable=False, server_default="0"),  # the last code's: each is used once
    Column("made_at", Double, nullable=False),
    Column("disabled_at", Double),
    sqlite_with_rowid=False,
)
Index("accounts_by_handle", accounts.c.handle, unique=True)

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential", LargeBinary(1023), primary_key=True),
    Column("address", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary(2048), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("used_at", Double),
    sqlite_with_rowid=False,
)
Index("passkeys_by_address", passkeys.c.address)

recovery_codes = Table(  # hashes; removed once used
    "recovery_codes",
    metadata,
    Column("address", Text, primary_key=True),
    Column("code", LargeBinary(32), primary_key=True),
    sqlite_with_rowid=False,
)
