"""What every working process of a gate has: rules, database, next hop, mode, audit."""

from __future__ import annotations

from gatekeeper.archive.passing import ContentKeeper
from gatekeeper.audit.recorder import Auditor
from gatekeeper.delivery import NextHop
from gatekeeper.delivery.errors import KINDS
from gatekeeper.model import Action
from gatekeeper.ops.metrics import OBSERVED, Counters, Vocabulary
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.policy.mode import Mode
from gatekeeper.settings import Settings, Storing
from gatekeeper.smtp.refusals import REASONS, STAGES
from gatekeeper.store import Database, KeepLimits, Store

_VOCABULARY = Vocabulary(tuple(map(str, Action)), KINDS, STAGES, REASONS)


def make_store(storing: Storing, connections: int) -> Store:
    """Return the store of these settings, not open yet; raises StoreSetupError.

    Args: `connections` to the database at once, at most.
    """
    database = Database(storing.database, storing.database_timeout, connections)
    return Store(database, KeepLimits(storing.keep_limit.of(database.space.size), storing.keep_limit_each or None))


class ProcessContext:
    """The parts that all roles of a process share, made of the settings; nothing is opened yet."""

    def __init__(self, settings: Settings, counts: Counters, connections: int, name: str = "gate") -> None:
        """Read the rules; raises PolicyError, StoreSetupError, SettingsError.

        Args: `connections` to the database at once, at most; `name` is the process's.
        """
        self.settings, self.counts = settings, counts
        self.active_policy = ActivePolicy(settings.judging.rules, peers=settings.judging.peers)
        counts.begin(_VOCABULARY)
        self.expect_counts()
        self.store = make_store(settings.storing, connections)
        self.mode = Mode(settings.judging.mode, self.store.now)
        self.auditor = Auditor(self.store, name, counts.audited)
        self.contents = ContentKeeper(self.store, counts.contents)
        self.next_hop = NextHop(settings.next_hop, counts.next_hop_error)

    def expect_counts(self) -> None:
        """Begin the counters of what the rules in force name."""
        ruleset = self.active_policy.current.ruleset
        rules = [(rule.id, OBSERVED if rule.observe else rule.action.value) for rule in ruleset.rules]
        self.counts.expect(rules, ruleset.agencies, _VOCABULARY.verdicts)

    def letterhead(self) -> Letterhead:
        """Return in whose name the gate writes, by the rules in force."""
        judging, policy = self.settings.judging, self.active_policy.current
        return Letterhead(policy.ruleset, judging.hostname, judging.public_url, policy.texts)
