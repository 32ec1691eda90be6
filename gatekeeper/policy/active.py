"""The ruleset and the directory in force: read together, replaced together, kept where new ones cannot be used.

Each judgment reads `current` once and uses that value to its end, so that no message is judged by halves of two
rulesets.
"""

from __future__ import annotations

import logging
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import field
from hashlib import sha256
from pathlib import Path

from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.load import unchanged as files_unchanged
from gatekeeper.directory.loaders.server_cache import FIRST_WAIT, PROCESS_COPIES
from gatekeeper.directory.loaders.sources import SourceHistory
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.directory.snapshot import Directory
from gatekeeper.lib.aio import run_long
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Source
from gatekeeper.notices import BUILT_IN, NoticeTemplates, TemplatesError, read_templates
from gatekeeper.rules import Peers, Ruleset, RulesetError, at_its_line, read_peers, read_ruleset
from gatekeeper.rules.ruleset import calendar_problem

log = logging.getLogger("gatekeeper.rules")
_SETTLED_SECONDS = 0.2  # a file must stay the same for so long before it is used
_MOST_LOGGED = 100  # problems of one directory


class PolicyError(Exception):
    """The rules or the directory cannot be used; the text has one line a problem."""


@immutable
class Policy:
    """One ruleset, one directory, the peers and the texts of notices: all that a judgment reads besides the message and
    the ledger.
    """

    ruleset: Ruleset
    directory: Directory
    texts: NoticeTemplates = BUILT_IN
    peers: Peers = Peers()
    known_sources: dict[Hashable, Source] = field(default_factory=dict, repr=False, compare=False)  # of `source_of`

    def is_inside(self, address: str) -> bool:
        """Return True for an address of the organisation, or of one of its `people`."""
        return self.directory.is_inside(address) or address in self.ruleset.people

    async def members_of(self, addresses: Iterable[str]) -> Mapping[str, str]:
        """Return the lists among addresses, each with a digest of its members: in a thread where lists are large."""
        addresses, find = tuple(addresses), self.directory.members_of
        return find(addresses) if self.directory.is_quick(addresses) else await run_long(find, addresses)


def read_policy(path: Path, sources: SourceHistory | None = None, peers: Path | None = None) -> Policy:
    """Read rules.yaml and every file that it names, and the file of peers; raise PolicyError with all problems.

    Args: `sources` know how many entries each source of the directory had at its last good load, so that a shrunk
    source is noticed; without them every source is believed. `peers` is the file of --peers.
    """
    try:
        ruleset = read_ruleset(path)
        if problem := calendar_problem(ruleset, str(path)):
            raise RulesetError([problem])
        return Policy(ruleset, _load(ruleset, path, sources), texts_of(ruleset), _peers_of(peers))
    except RulesetError as error:
        raise PolicyError("\n".join(str(problem) for problem in error.problems)) from error
    except (DirectoryError, TemplatesError) as error:
        raise PolicyError(str(error)) from error
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}; --rules names the ruleset") from error


def _peers_of(path: Path | None) -> Peers:
    if path is None:
        return Peers()
    try:
        return read_peers(path)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}; --peers names the peers") from error


def _load(ruleset: Ruleset, path: Path, sources: SourceHistory | None) -> Directory:
    """Read the directory; a file that is not there is a problem of the line that names it."""
    try:
        return load(ruleset, sources=sources)
    except DirectoryError as error:
        problems = (at_its_line(problem, ruleset, str(path)) or problem for problem in error.problems)
        raise DirectoryError([str(problem) for problem in problems]) from error


def unchanged(path: Path, policy: Policy, sources: SourceHistory | None = None, peers: Path | None = None) -> bool:
    """Return True where the rules, every file that they name and the peers still hold what `policy` was made of.
    Nothing is parsed.
    """
    try:
        same_rules = _digest_of(path) == policy.ruleset.digest
        same_rules = same_rules and (peers is None or _digest_of(peers) == policy.peers.digest)
        same_texts = same_rules and texts_of(policy.ruleset).digest == policy.texts.digest
    except (OSError, TemplatesError):
        return False
    return same_texts and files_unchanged(policy.ruleset, policy.directory, sources=sources)


def _digest_of(path: Path) -> str:
    return sha256(path.read_bytes().removeprefix(BOM_UTF8)).hexdigest()


def texts_of(ruleset: Ruleset) -> NoticeTemplates:
    """Return the templates of notices that the rules name; raise TemplatesError."""
    templates = ruleset.notices.templates
    return read_templates(ruleset.folder / templates if templates else None)


def _prepare(policy: Policy) -> None:
    """Find whom every message is compared with, in the thread that has read the policy rather than at the first one."""
    for address in policy.ruleset.watched:
        policy.directory.watched(address)
    if "unlisted" in policy.ruleset.reads:
        policy.directory.unlisted(())


class ActivePolicy:
    """The policy of a running process, and how it is replaced."""

    def __init__(
        self, path: Path, on_change: Callable[[Policy], None] = lambda policy: None, peers: Path | None = None
    ) -> None:
        """Read the policy for the first time; raise PolicyError, for a gate does not start on rules that it cannot
        read.

        Args: `on_change` is called with every policy that comes into force, the first one included; `peers` is the file
        of --peers.
        """
        self.path, self.peers_path = path, peers
        self.on_change = on_change
        self.sources = SourceHistory()
        PROCESS_COPIES.patience = FIRST_WAIT
        self.current = read_policy(path, self.sources, peers)
        _prepare(self.current)
        self._log_problems(())
        on_change(self.current)

    def is_unknown(self, address: str) -> bool:
        """Return True for an inside address that does not exist.

        Nothing is known of that before the store has told how large the directory's sources were: one that came back
        empty would have everybody refused for good.
        """
        return not self.sources.unproven and self.current.directory.is_unknown(address)

    def reload(self) -> bool:
        """Read everything anew; return True where something changed. On PolicyError, which is raised, the last policy
        stays in force.
        """
        return self._put(read_policy(self.path, self.sources, self.peers_path))

    def _put(self, policy: Policy) -> bool:
        if self._same(policy):
            return False
        _prepare(policy)
        known, self.current = self.current.directory.problems, policy
        self._log_problems(known)
        self.on_change(policy)
        log.info("rules in force: %s, digest %s", policy.ruleset.title, policy.ruleset.digest[:12])
        return True

    def poll(self) -> bool:
        """Reload only where a file has changed, and where it is still the same a moment later; return True where
        something changed.

        Contents are compared, not times, because a Kubernetes ConfigMap exchanges a link to a folder. A file that is
        read while it is being written may look valid by chance, hence the second look.
        """
        if self.is_on_disk():
            return False
        try:
            policy = read_policy(self.path, self.sources, self.peers_path)
        except PolicyError:
            time.sleep(_SETTLED_SECONDS)
            return self.reload()
        time.sleep(_SETTLED_SECONDS)
        return self._is_still(policy) and self._put(policy)

    def is_on_disk(self) -> bool:
        """Return True where the files are what is in force."""
        return self._is_still(self.current)

    def _is_still(self, policy: Policy) -> bool:
        return unchanged(self.path, policy, self.sources, self.peers_path)

    def _log_problems(self, known: tuple[str, ...]) -> None:
        """Log problems of a directory that can be used all the same; each problem once, as long as it lasts."""
        problems = [problem for problem in self.current.directory.problems if problem not in set(known)]
        for problem in problems[:_MOST_LOGGED]:
            log.warning("directory: %s", problem)
        if len(problems) > _MOST_LOGGED:
            log.warning("directory: and %d more problems: gatekeeper rules check", len(problems) - _MOST_LOGGED)

    def _same(self, policy: Policy) -> bool:
        current = self.current
        same_rules = policy.ruleset.digest == current.ruleset.digest and policy.peers.digest == current.peers.digest
        same_files = policy.directory.digest == current.directory.digest and policy.texts.digest == current.texts.digest
        return same_rules and same_files
