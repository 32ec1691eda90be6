"""The metrics for Prometheus: names, labels and the methods that change them. docs/metrics.md explains each.

`Counters` count what happens to mail: every process of a gate has its own, and they are summed. `Gauges` show the state
of the gate: one process has them. No label ever holds an address: labels are closed vocabularies, ids of rules, and the
ruleset's own title.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import product
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from gatekeeper.lib import __version__
from gatekeeper.lib.immutable import immutable

# Seconds; a verdict is due within ten.
DECISION_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PROCESS_KINDS = ("worker", "office", "console")  # of those that are replaced when they end
QUEUE_KINDS = ("release", "dsn", "notice")
DIRECTORY_STATES = ("fresh", "copy", "expired", "shrunk")
LISTENERS, RELOADS, AUDITED = ("smtp", "milter"), ("ok", "failed"), ("written", "lost")
CONTENTS = ("kept", "lost")
OBSERVED = "observe"  # the action of a rule that is only watched
NOBODYS = "none"  # the agency of senders that are of none
RECIPIENT_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


@immutable
class LedgerSummary:
    """Figures of the store at a scrape."""

    mailings: Mapping[str, int] = field(default_factory=dict)  # state -> number of mailings that have a number
    queue: Mapping[str, int] = field(default_factory=dict)  # kind (release, report, notice) -> mails that wait
    oldest_held_seconds: float = 0.0  # 0 where nothing is held
    sources: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # of the directory: entries, and state
    queue_ages: Mapping[str, float] = field(default_factory=dict)  # kind -> seconds that its oldest mail waits
    requests: Mapping[str, int] = field(default_factory=dict)  # state -> number of requests
    kept: int = 0  # octets of stored messages
    keep_limit: int = 0  # of which there may be so many; 0 for no limit


@immutable
class Vocabulary:
    """The words that labels can have, of rooms that this one does not know."""

    verdicts: tuple[str, ...]
    next_hop_errors: tuple[str, ...]
    stages: tuple[str, ...]
    refusals: tuple[str, ...]


class Counters:
    """Counters of what happens to mail.

    In a process that began with PROMETHEUS_MULTIPROC_DIR in its environment the figures are kept in files of that
    folder, which `sum_processes` sums; they outlive the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Counter("gatekeeper_messages", "Messages judged.", ["listener", "verdict"], registry=registry)
        self._messages_of = lru_cache(maxsize=None)(self._messages.labels)  # few: labels are closed vocabularies
        self._rule_hits = Counter(
            "gatekeeper_rule_hits", "Times that a rule matched.", ["rule", "action"], registry=registry
        )
        self._rule_hits_of = lru_cache(maxsize=1_024)(self._rule_hits.labels)  # rulesets come and go
        self._decision_seconds = Histogram(
            "gatekeeper_decision_seconds",
            "Time from the final dot to the verdict.",
            buckets=DECISION_BUCKETS,
            registry=registry,
        )
        self._recipients = Histogram(
            "gatekeeper_recipients", "Recipients of a transaction.", buckets=RECIPIENT_BUCKETS, registry=registry
        )
        self._next_hop_errors = Counter(
            "gatekeeper_next_hop_errors", "Failures of the next hop.", ["kind"], registry=registry
        )
        self._observed = Counter(
            "gatekeeper_observed", "Messages that passed since the gate only observed.", ["verdict"], registry=registry
        )
        self._observed_of = lru_cache(maxsize=None)(self._observed.labels)
        self._audited = Counter(
            "gatekeeper_audit_records",
            "Decisions recorded, and those that could not be.",
            ["result"],
            registry=registry,
        )

        self._content = Gauge(
            "gatekeeper_content_bytes",
            "Octets of large messages on their way, by where they are.",
            ["where"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._content_of = {where: self._content.labels(where) for where in ("memory", "disk")}
        self._add_of_the_gate(registry)

    def _add_of_the_gate(self, registry: CollectorRegistry) -> None:
        """Add what is counted besides the judging of messages."""
        self._reloads = Counter(
            "gatekeeper_ruleset_reloads", "Attempts to load the ruleset.", ["result"], registry=registry
        )
        self._queue_failed = Counter(
            "gatekeeper_queue_failed", "Mails of the queue that were given up.", ["kind"], registry=registry
        )
        self._reloaded = Gauge(
            "gatekeeper_ruleset_last_reload_successful",
            "1 where the last attempt to load the ruleset went well.",
            registry=registry,
            multiprocess_mode="livemax",  # one process of a gate says so
        )
        self._refused = Counter(
            "gatekeeper_refused",
            "What was refused before any rule was asked.",
            ["listener", "stage", "reason"],
            registry=registry,
        )
        self._contents = Counter(
            "gatekeeper_mass_contents", "Mass mail that passed, and was to be kept.", ["result"], registry=registry
        )
        self._agencies = Counter(
            "gatekeeper_agency_mailings",
            "Messages of numbered mailings, by the agency of their sender.",
            ["agency", "verdict"],
            registry=registry,
        )

    def begin(self, vocabulary: Vocabulary) -> None:
        """Begin all counters at 0, with all values of their labels: an alert sees no rise of what is not there yet."""
        for listener, verdict in product(LISTENERS, vocabulary.verdicts):
            self._messages_of(listener, verdict)
        for verdict in vocabulary.verdicts:
            self._observed_of(verdict)
        for kind in vocabulary.next_hop_errors:
            self._next_hop_errors.labels(kind)
        for labels in product(LISTENERS, vocabulary.stages, vocabulary.refusals):
            self._refused.labels(*labels)
        for kind in QUEUE_KINDS:
            self._queue_failed.labels(kind)
        for result in RELOADS:
            self._reloads.labels(result)
        for result in AUDITED:
            self._audited.labels(result)
        for result in CONTENTS:
            self._contents.labels(result)

    def expect(self, rules: Iterable[tuple[str, str]], agencies: Iterable[str], verdicts: Iterable[str]) -> None:
        """Begin the counters of rules (id and action) and of agencies at 0, as a ruleset has them."""
        for rule, action in rules:
            self._rule_hits_of(rule, action)
        for labels in product((*agencies, NOBODYS), verdicts):
            self._agencies.labels(*labels)

    def refused(self, listener: str, stage: str, reason: str) -> None:
        """Count what was refused before any rule was asked; `stage` and `reason` are words of smtp/refusals.py."""
        self._refused.labels(listener, stage, reason).inc()

    def agency_mailing(self, agency: str | None, verdict: str) -> None:
        """Count a message of a numbered mailing; `agency` is the id of its sender's."""
        self._agencies.labels(agency or NOBODYS, verdict).inc()

    def content(self, where: str, octets: int) -> None:
        """Add octets of large messages that are in `memory` or on `disk`; negative where some are gone."""
        self._content_of[where].inc(octets)

    def queue_failed(self, kind: str) -> None:
        """Count a mail of the queue that was given up; `kind` is one of QUEUE_KINDS."""
        self._queue_failed.labels(kind).inc()

    def observed(self, verdict: str) -> None:
        """Count a message that passed though the rules say otherwise; `verdict` is what they say."""
        self._observed_of(verdict).inc()

    def audited(self, written: int, lost: int) -> None:
        """Count decisions that were recorded, and those that could not be."""
        self._audited.labels("written").inc(written)
        if lost:
            self._audited.labels("lost").inc(lost)

    def contents(self, kept: int, lost: int) -> None:
        """Count messages of mass mail whose content was kept, and those whose could not be."""
        for result, number in zip(CONTENTS, (kept, lost), strict=True):
            if number:
                self._contents.labels(result).inc(number)

    def message(self, listener: str, verdict: str) -> None:
        """Count a message that was judged; `listener` is smtp or milter, `verdict` one of model.Action."""
        self._messages_of(listener, verdict).inc()

    def rule_hit(self, rule: str, action: str) -> None:
        """Count a rule that matched, by its id and what it asks for."""
        self._rule_hits_of(rule, action).inc()

    def decision(self, seconds: float, recipients: int) -> None:
        """Observe how long a verdict took, and the recipients of its transaction."""
        self._decision_seconds.observe(seconds)
        self._recipients.observe(recipients)

    def next_hop_error(self, kind: str) -> None:
        """Count a failure of the next hop; `kind` is a word of the delivery room's, never a reply's text."""
        self._next_hop_errors.labels(kind).inc()

    def reload(self, went_well: bool) -> None:
        """Count an attempt to load the ruleset (policy M7); after a bad one the last good one stays in force."""
        self._reloads.labels("ok" if went_well else "failed").inc()
        self._reloaded.set(went_well)


class Gauges:
    """Gauges of the state of the gate."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._ruleset = Gauge(
            "gatekeeper_ruleset_info", "The ruleset in force; always 1.", ["digest", "title"], registry=registry
        )
        self._review = Gauge(
            "gatekeeper_ruleset_review_timestamp_seconds",
            "When the ruleset is due for review, in seconds since 1970; 0 where it does not say.",
            registry=registry,
        )
        self._next_hop = Info("gatekeeper_next_hop", "Where the gate relays to.", registry=registry)
        self._add_processes()
        Info("gatekeeper_build", "The program that runs.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        ProcessCollector(registry=registry)

    def _add_processes(self) -> None:
        self._processes = Gauge(
            "gatekeeper_processes", "Processes of the gate that are ready.", ["kind"], registry=self._registry
        )
        self._restarts = Counter(
            "gatekeeper_process_restarts", "Processes that ended and were replaced.", ["kind"], registry=self._registry
        )
        for kind in PROCESS_KINDS:
            self._restarts.labels(kind)
        self._rules_of_processes = Gauge(
            "gatekeeper_process_ruleset_info",
            "The ruleset that a process judges by; always 1.",
            ["process", "digest"],
            registry=self._registry,
        )

    def next_hop(self, kind: str) -> None:
        """Say where the gate relays to, by the scheme of --next-hop."""
        self._next_hop.info({"kind": kind})

    def ruleset(self, digest: str, title: str, review: date | None) -> None:
        """Say which ruleset is in force from now on."""
        self._ruleset.clear()
        self._ruleset.labels(digest, title).set(1)
        due = datetime(review.year, review.month, review.day, tzinfo=UTC).timestamp() if review else 0
        self._review.set(due)

    def processes(self, ready: Mapping[str, int], rulesets: Mapping[str, str]) -> None:
        """Say how many processes of each kind are ready, and the digest of the ruleset that each one judges by."""
        for kind, number in ready.items():
            self._processes.labels(kind).set(number)
        self._rules_of_processes.clear()
        for process, digest in rulesets.items():
            self._rules_of_processes.labels(process, digest).set(1)

    def restart(self, kind: str) -> None:
        """Count a process that ended and is replaced."""
        self._restarts.labels(kind).inc()

    def watch_ledger(self, summary: Callable[[], LedgerSummary | None]) -> None:
        """Ask for a summary of the store at each scrape; once.

        `summary` is called in a thread of the ops server and must not raise: None means that the store cannot say,
        and its gauges are then absent from that scrape rather than wrong.
        """
        self._registry.register(_Ledger(summary))


class Metrics(Counters, Gauges):
    """Counters and gauges in a registry of their own, so that a process (or a test) can have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Counters.__init__(self, self.registry)
        Gauges.__init__(self, self.registry)


def sum_processes(registry: CollectorRegistry, folder: Path) -> None:
    """Make the registry show the sums of all `Counters` whose files are, or will be, in the folder."""
    registry.register(_Sums(folder))


class _Sums(Collector):
    """Sums over all processes, those that have ended included: a sum never goes back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        made = (path for path in self._folder.glob("*.db") if path.stat().st_size)  # one just made is empty
        files = [str(path) for path in made if not _is_of_the_dead(path)]
        return MultiProcessCollector.merge(files)  # type: ignore[no-any-return, no-untyped-call]


def _is_of_the_dead(path: Path) -> bool:
    """Return True for the gauges of a process that has ended: its counters stay in the sums, its state does not."""
    kind, _, number = path.stem.rpartition("_")
    return kind.startswith("gauge_live") and not Path("/proc", number).exists()


class _Ledger(Collector):
    """Gauges that are read from the store when somebody scrapes, so that they are never stale."""

    def __init__(self, summary: Callable[[], LedgerSummary | None]) -> None:
        self._summary = summary

    def describe(self) -> Iterable[Metric]:
        return _families(None)  # else registering would already ask the store

    def collect(self) -> Iterable[Metric]:
        return _families(self._summary())


def _families(summary: LedgerSummary | None) -> list[Metric]:
    mailings = GaugeMetricFamily("gatekeeper_mailings", "Numbered mailings by state.", labels=["state"])
    queue = GaugeMetricFamily("gatekeeper_queue", "Mails that wait to be sent, by kind.", labels=["kind"])
    waits = GaugeMetricFamily(
        "gatekeeper_queue_oldest_seconds", "Age of the mail that waits longest, by kind.", labels=["kind"]
    )
    requests = GaugeMetricFamily("gatekeeper_requests", "Requests by state.", labels=["state"])
    oldest = GaugeMetricFamily("gatekeeper_oldest_held_seconds", "Age of what has been held longest; 0 for nothing.")
    kept = GaugeMetricFamily("gatekeeper_kept_bytes", "Octets of messages that are kept.")
    most = GaugeMetricFamily("gatekeeper_keep_limit_bytes", "Octets of messages that may be kept; 0 for no limit.")
    if summary is not None:
        kept.add_metric([], summary.kept)
        most.add_metric([], summary.keep_limit)
        for state, number in sorted(summary.mailings.items()):
            mailings.add_metric([state], number)
        for kind, number in sorted(summary.queue.items()):
            queue.add_metric([kind], number)
            waits.add_metric([kind], summary.queue_ages.get(kind, 0.0))
        for state, number in sorted(summary.requests.items()):
            requests.add_metric([state], number)
        oldest.add_metric([], summary.oldest_held_seconds)
    return [mailings, queue, waits, oldest, requests, kept, most, *_source_families(summary.sources if summary else {})]


def _source_families(sources: Mapping[str, tuple[int, str]]) -> list[Metric]:
    entries = GaugeMetricFamily(
        "gatekeeper_directory_entries", "Entries of a directory source when it was good last.", labels=["source"]
    )
    states = GaugeMetricFamily(
        "gatekeeper_directory_state", "1 for the state that a directory source is in.", labels=["source", "state"]
    )
    for name, (number, now) in sorted(sources.items()):
        source = name.replace("@", "_at_")  # a list's file may be named after its address
        entries.add_metric([source], max(0, number))
        for state in DIRECTORY_STATES:
            states.add_metric([source, state], state == now)
    return [entries, states]
