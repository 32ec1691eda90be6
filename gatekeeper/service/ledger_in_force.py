"""The ledger under the rules in force, as the gate has stored them, for commands and the console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gatekeeper.ledger.service import LedgerService
from gatekeeper.notices import BUILT_IN, NoticeTemplates, TemplatesError
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import texts_of
from gatekeeper.rules import Ruleset, RulesetError, parse_ruleset
from gatekeeper.settings import Settings
from gatekeeper.store import Store, StoreSetupError, rulesets
from gatekeeper.store.rulesets import StoredRuleset


class NotInForce(StoreSetupError):
    """There are no rules in force on the database, or this program cannot read them; the text says what to do."""


def stored_rules(store: Store) -> StoredRuleset:
    """Return the rules in force as they are stored. Raises NotInForce, StoreError."""
    stored = store.writer.read(rulesets.in_force)
    if stored is None:
        raise NotInForce("no ruleset is in force on this database yet: start `gatekeeper serve` once")
    return stored


def rules_in_force(store: Store) -> Ruleset:
    """Return the rules in force. Raises NotInForce, StoreError."""
    return _read(stored_rules(store))


def _read(stored: StoredRuleset) -> Ruleset:
    try:
        return parse_ruleset(stored.text, stored.name, Path(stored.name).parent)
    except RulesetError as error:
        raise NotInForce(f"the ruleset in force cannot be read by this program: {error}") from None


def ledger_under(stored: StoredRuleset, store: Store, settings: Settings, warn: Callable[[str], None]) -> LedgerService:
    """Return the verbs under these rules, which write in the name of the gate that stored them. Raises NotInForce.

    Args: `warn` is told where the organisation's own notice templates cannot be read.
    """
    ruleset, (hostname, public_url) = _read(stored), _names_of_gate(stored, settings)
    return LedgerService(store, Letterhead(ruleset, hostname, public_url, _texts(ruleset, warn)), store.now)


def _names_of_gate(stored: StoredRuleset, settings: Settings) -> tuple[str, str]:
    """Return the host name and public URL of the gate, so that mails about one thing are one thread.

    A flag wins; where no gate has stored its names, the settings count.
    """
    hostname, public_url = settings.judging.hostname, settings.judging.public_url
    if stored.hostname and settings.origins["hostname"] != "flag":
        hostname = stored.hostname
    if stored.public_url is not None and settings.origins["public_url"] != "flag":
        public_url = stored.public_url
    return hostname, public_url


def _texts(ruleset: Ruleset, warn: Callable[[str], None]) -> NoticeTemplates:
    """Return the organisation's own notice templates; the built-in ones where they cannot be read, for a decision does
    not wait for templates.
    """
    try:
        return texts_of(ruleset)
    except TemplatesError as error:
        warn(f"notices are written by the built-in templates: {error}")
        return BUILT_IN
