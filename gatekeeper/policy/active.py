"""The ruleset and the directory in force: read together, swapped whole, kept where the new ones cannot be used.

A judgment reads `current` once and goes by it to its end, so that no message is judged by half of two rulesets.
"""

from __future__ import annotations

import logging
import time
from codecs import BOM_UTF8
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.load import unchanged as files_unchanged
from gatekeeper.directory.loaders.sources import Sources
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.directory.snapshot import Directory
from gatekeeper.lib.immutable import immutable
from gatekeeper.notices import BUILT_IN, Texts, TextsError, read_texts
from gatekeeper.rules import Ruleset, RulesetError, read_ruleset
from gatekeeper.rules.ruleset import calendar_problem

log = logging.getLogger("gatekeeper.rules")
_SETTLED_SECONDS = 0.2
_LOGGED = 100  # problems of a directory


class InForceError(Exception):
    """The rules or the directory cannot be used; the text has a line a problem."""


@immutable
class Policy:
    """What a judgment goes by."""

    ruleset: Ruleset
    directory: Directory
    texts: Texts = BUILT_IN

    def is_inside(self, address: str) -> bool:
        """True for an address of the organisation, or of one of its `people`."""
        return self.directory.is_inside(address) or address in self.ruleset.people


def read_policy(path: Path, sources: Sources | None = None) -> Policy:
    """Read rules.yaml and every file that it names; raises InForceError with all problems.

    Args: `sources` say how large each source of the directory was when it was good last; without, all are believed.
    """
    try:
        ruleset = read_ruleset(path)
        if problem := calendar_problem(ruleset, str(path)):
            raise RulesetError([problem])
        return Policy(ruleset, load(ruleset, sources=sources), texts_of(ruleset))
    except RulesetError as error:
        raise InForceError("\n".join(str(problem) for problem in error.problems)) from error
    except (DirectoryError, TextsError) as error:
        raise InForceError(str(error)) from error
    except OSError as error:
        raise InForceError(f"{path}: {error.strerror}; --rules names the ruleset") from error


def unchanged(path: Path, policy: Policy, sources: Sources | None = None) -> bool:
    """True where the rules and every file that they name hold what the policy was made of; nothing is parsed."""
    try:
        same_rules = sha256(path.read_bytes().removeprefix(BOM_UTF8)).hexdigest() == policy.ruleset.digest
        same_texts = same_rules and texts_of(policy.ruleset).digest == policy.texts.digest
    except (OSError, TextsError):
        return False
    return same_texts and files_unchanged(policy.ruleset, policy.directory, sources=sources)


def texts_of(ruleset: Ruleset) -> Texts:
    """The templates of notices that the rules name; raises TextsError."""
    templates = ruleset.notices.templates
    return read_texts(ruleset.folder / templates if templates else None)


class InForce:
    """Holds the policy of a running gate."""

    def __init__(self, path: Path, on_change: Callable[[Policy], None] = lambda policy: None) -> None:
        """Read it for the first time; raises InForceError: a gate does not start on rules it cannot read.

        Args: `on_change` is called with every policy that comes into force, the first one included.
        """
        self.path = path
        self.on_change = on_change
        self.sources = Sources()
        self.current = read_policy(path, self.sources)
        self._log_problems(())
        on_change(self.current)

    def reload(self) -> bool:
        """Read everything anew; True where something changed. Raises InForceError, and keeps what is in force then."""
        return self._put(read_policy(self.path, self.sources))

    def _put(self, policy: Policy) -> bool:
        if self._same(policy):
            return False
        known, self.current = self.current.directory.problems, policy
        self._log_problems(known)
        self.on_change(policy)
        log.info("rules in force: %s, digest %s", policy.ruleset.title, policy.ruleset.digest[:12])
        return True

    def poll(self) -> bool:
        """As `reload`, but only where a file holds something else, and holds it still a moment later.

        Contents are compared, not times: a ConfigMap exchanges a link to a folder. Who looks at the right moment sees
        half a file, which may well be a valid one.
        """
        if unchanged(self.path, self.current, self.sources):
            return False
        try:
            policy = read_policy(self.path, self.sources)
        except InForceError:
            time.sleep(_SETTLED_SECONDS)
            return self.reload()
        time.sleep(_SETTLED_SECONDS)
        return unchanged(self.path, policy, self.sources) and self._put(policy)

    def _log_problems(self, known: tuple[str, ...]) -> None:
        """Log what is wrong with the directory, though it can be used; each problem once, as long as it is there."""
        problems = [problem for problem in self.current.directory.problems if problem not in set(known)]
        for problem in problems[:_LOGGED]:
            log.warning("directory: %s", problem)
        if len(problems) > _LOGGED:
            log.warning("directory: and %d more problems: gatekeeper rules check", len(problems) - _LOGGED)

    def _same(self, policy: Policy) -> bool:
        current = self.current
        same_rules = policy.ruleset.digest == current.ruleset.digest
        same_files = policy.directory.digest == current.directory.digest and policy.texts.digest == current.texts.digest
        return same_rules and same_files
