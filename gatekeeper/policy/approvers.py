"""Whose approval a mailing or a request needs, who may decide about it, and who is notified of it (docs/deciding.md).

Pure: the rules, the day and the question (what is to be decided) are arguments. A *term* is one entry of `ask`. A
*group* is a set of people of whom one must approve. A person *acts for* themselves and for everybody who has delegated
to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from gatekeeper.directory.domains import Domains
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules import Ask, AskSome, AskTerm, Ruleset
from gatekeeper.rules.specs import APPROVER, Delegation

_NEXT_ROLES = ("approver", "admin")  # tried in this order for a group whose members may all not decide
_ROLE_OF = {"person": "", "owners": "owner", "head": "head"}  # of a role its name
_NOBODY = "nobody: name an approver under people in rules.yaml"


@immutable
class Question:
    """What is to be decided about: a held mailing, a request or a permit."""

    id: str  # M-17, R-4 or P-9
    own: frozenset[str]  # identities whose own mail or request it is: they may not decide about it
    agency: str | None  # of the sender or the requester
    lists: frozenset[str] = frozenset()  # addresses of the lists that it reaches
    rules: tuple[str, ...] = ()  # their `ask` names who must approve; an approver where there is no rule
    agencies: frozenset[str] = frozenset()  # ids of the agencies that it reaches
    today: date = date.max  # the day for which delegations are looked up
    also: frozenset[str] = frozenset()  # owners with `when_needed` whom an approver has asked
    escalated: Ask = ()  # terms of those who may decide instead of people who have not answered


@immutable
class Missing:
    """A term whose approval is missing, or one of its groups: so many of these people must agree."""

    term: str  # as `ask` writes it
    role: str  # "approver", "owner"; "" where the term names a person
    number: int
    people: tuple[str, ...]  # a delegate after the person whose place they take, as "a@x (for b@x)"


@immutable
class Approvers:
    """Finds, by one ruleset, the people who may or must decide about a question."""

    ruleset: Ruleset

    # -- who -----------------------------------------------------------------------------------------------------

    def refusal(self, question: Question, by: str) -> str | None:
        """Return why a person may not decide the question; None where they may."""
        if by in question.own:
            return f"{question.id}: it is {by}'s own; nobody decides their own"
        if (self._acts_for(by, question.today) - question.own) & self.deciders(question):
            return None
        names = ", ".join(sorted(self.available_deciders(question)))
        return f"{question.id}: {by} may not decide it; who may: {names or _NOBODY}"

    def deciders(self, question: Question) -> frozenset[str]:
        """Return everybody who may approve or deny: all whom the rules ask, owners with `when_needed` included."""
        terms = (*self._terms(question), *question.escalated)
        return frozenset(person for term in terms for person in self._pool(question, term))

    def available_deciders(self, question: Question) -> frozenset[str]:
        """Return everybody who may decide on that day, delegates included."""
        return self._present(self.deciders(question), question)

    def whom_to_notify(self, question: Question) -> frozenset[str]:
        """Return everybody to notify of the question: people whose approval it needs, those it was escalated to, and
        their delegates.
        """
        needed = (self._needed(question, term) for term in (*self._terms(question), *question.escalated))
        return self._present({person for groups in needed for group in groups for person in group}, question)

    def of_terms(self, question: Question, terms: Ask) -> frozenset[str]:
        """Return everybody who may decide by these terms on that day, delegates included."""
        return self._present({person for term in terms for person in self._pool(question, term)}, question)

    def missing(self, question: Question, agreed: Mapping[str, date]) -> tuple[str, ...]:
        """Return the terms, as `ask` writes them, whose approval is still missing; () where everyone has approved.

        Args: `agreed` are those who approved, and the day on which each did.
        """
        return tuple(dict.fromkeys(str(term) for term in self._missing_terms(question, self._acting(question, agreed))))

    def missing_people(self, question: Question, agreed: Mapping[str, date]) -> tuple[Missing, ...]:
        """Return the same by name: for each group of which somebody must still agree, who that may be."""
        represented = self._acting(question, agreed)
        return tuple(
            each
            for term in self._missing_terms(question, represented)
            for each in self._missing_of(question, term, represented)
        )

    def number_missing(self, question: Question, agreed: Mapping[str, date]) -> int:
        """Return how many must still agree; fewer may do where one person is asked by two terms."""
        return sum(each.number for each in self.missing_people(question, agreed))

    def _acting(self, question: Question, agreed: Mapping[str, date]) -> dict[str, frozenset[str]]:
        """Return whom each person who approved acted for."""
        return {by: self._acts_for(by, day) - question.own for by, day in agreed.items() if by not in question.own}

    def _missing_terms(
        self, question: Question, represented: Mapping[str, frozenset[str]]
    ) -> tuple[AskTerm | AskSome, ...]:
        if any(self._satisfied(question, term, represented) for term in question.escalated):
            return ()
        return tuple(term for term in self._terms(question) if not self._satisfied(question, term, represented))

    def _missing_of(
        self, question: Question, term: AskTerm | AskSome, represented: Mapping[str, frozenset[str]]
    ) -> Iterator[Missing]:
        """Yield the groups of a term of which nobody, or of n of m not enough, has approved."""
        acting = frozenset(person for each in represented.values() for person in each)
        for group in self._needed(question, term):
            if isinstance(term, AskSome):
                left = term.number - sum(bool(each & group) for each in represented.values())
                yield Missing(str(term), "", left, self._by_name(group - acting, question))
            elif not group & acting:
                yield Missing(str(term), _ROLE_OF.get(term.kind, term.name), 1, self._by_name(group, question))

    def _by_name(self, group: frozenset[str], question: Question) -> tuple[str, ...]:
        people = self.ruleset.people
        named = []
        for each in sorted(group):
            delegate = _stands_in(people[each].delegate, question.today) if each in people else None
            stands_in = delegate is not None and delegate not in question.own
            named += [each, f"{delegate} (for {each})"] if stands_in else [each]
        return tuple(named)

    def next_role(self, question: Question) -> Ask:
        """Return the term to escalate to where rules.yaml names none: approvers, or admins where approvers are asked
        already.
        """
        asked = {each for term in self._ask(question) for each in _flat(term)}
        return (AskTerm("role", "admin"),) if APPROVER[0] in asked else APPROVER

    def _ask(self, question: Question) -> Ask:
        """Return all that the rules ask for, each term once; an approver for a rule that asks nobody or no longer
        exists.
        """
        rules = (self.ruleset.rule(each) for each in question.rules)
        return tuple(dict.fromkeys(term for rule in rules for term in (rule.ask if rule else APPROVER))) or APPROVER

    # -- whose yes -----------------------------------------------------------------------------------------------

    def _terms(self, question: Question) -> tuple[AskTerm | AskSome, ...]:
        return (*self._ask(question), *(AskTerm("person", each) for each in sorted(question.also)))

    def _satisfied(
        self, question: Question, term: AskTerm | AskSome, represented: Mapping[str, frozenset[str]]
    ) -> bool:
        if isinstance(term, AskSome):  # so many different people: a delegate is one person, however many they act for
            pool = self._pool(question, term)
            return sum(bool(each & pool) for each in represented.values()) >= term.number
        acting = frozenset(person for each in represented.values() for person in each)
        return all(group & acting for group in self._needed(question, term))  # nobody can satisfy an empty group

    def _needed(self, question: Question, term: AskTerm | AskSome) -> list[frozenset[str]]:
        """Return the groups that a term needs.

        Owners with `when_needed` are left out, unless nobody else is asked at all.
        """
        if isinstance(term, AskSome):
            return [self._pool(question, term)]
        groups = self._groups(question, term)
        if term.kind != "owners":
            return groups
        always = [needed for group in groups if (needed := self._always(group))]
        return always if always or len(self._ask(question)) > 1 else groups

    def _always(self, group: frozenset[str]) -> frozenset[str]:
        people = self.ruleset.people
        return frozenset(each for each in group if each not in people or not people[each].when_needed)

    def _groups(self, question: Question, term: AskTerm) -> list[frozenset[str]]:
        """Return the groups of a term: a role is one group, owners are one group an audience (policy T7)."""
        match term.kind:
            case "role":
                groups = [self._role(term.name, question)]
            case "person":
                groups = [frozenset({term.name})]
            case "owners":
                groups = self._owners(question) or [frozenset()]
            case _:
                groups = [self._head(term.name or question.agency)]
        return [self._others(group, question) for group in groups]

    def _others(self, group: frozenset[str], question: Question) -> frozenset[str]:
        """Return the group without people whose own mail or request it is about; where nobody is left, the next role
        that has somebody.
        """
        candidates = (group, *(self._role(role, question) for role in _NEXT_ROLES))
        return next((left for each in candidates if (left := each - question.own)), frozenset())

    def _pool(self, question: Question, term: AskTerm | AskSome) -> frozenset[str]:
        groups = (group for each in _flat(term) for group in self._groups(question, each))
        return frozenset(person for group in groups for person in group)

    def _role(self, role: str, question: Question) -> frozenset[str]:
        """Return who holds a role here. A role limited by `of` counts for mail that this agency sends or that goes to
        this list.
        """
        about = {question.agency, *self._audiences(question)}
        people = self.ruleset.people
        holders = self.ruleset.people_with(role)
        return frozenset(each for each in holders if not people[each].of or about & set(people[each].of))

    def _owners(self, question: Question) -> list[frozenset[str]]:
        """Return the owners of each audience that has any: of a list, or of an agency that somebody is named for."""
        lists = (self._owners_of({address, self._owner_named(address)}) for address in sorted(question.lists))
        agencies = (self._owners_of({agency}, named=True) for agency in sorted(question.agencies))
        return [group for group in (*lists, *agencies) if group]

    def _owners_of(self, data: set[str | None], *, named: bool = False) -> frozenset[str]:
        people = self.ruleset.people
        held = ((each, set(people[each].of)) for each in self.ruleset.people_with("owner"))
        return frozenset(each for each, of in held if of & data or not (of or named))

    def _owner_named(self, address: str) -> str | None:
        spec = self.ruleset.lists.get(address)
        return spec.owner if spec else None

    def _audiences(self, question: Question) -> set[str | None]:
        return {*question.lists, *(self._owner_named(address) for address in question.lists)} - {None}

    def _head(self, agency: str | None) -> frozenset[str]:
        found = self.ruleset.agencies.get(agency or "")
        return frozenset({found.head}) if found and found.head else frozenset()

    # -- delegates -----------------------------------------------------------------------------------------------

    def _acts_for(self, by: str, today: date) -> frozenset[str]:
        """Return everybody whom a person acts for on a day: themselves, and all who have delegated to them."""
        delegated = (each for each, person in self.ruleset.people.items() if _stands_in(person.delegate, today) == by)
        return frozenset({by, *delegated})

    def _present(self, people: Iterable[str], question: Question) -> frozenset[str]:
        """Return these people and their delegates, without those whose own mail or request it is about."""
        known, found = self.ruleset.people, set(people)
        delegates = {_stands_in(known[each].delegate, question.today) for each in found if each in known}
        return frozenset(each for each in found | delegates if each) - question.own


def agency_of(ruleset: Ruleset, mailbox: str) -> str | None:
    """Return the agency of a mailbox by its domain, the longest match first; None outside all agencies."""
    return _domains_of(ruleset).place(mailbox.rpartition("@")[2])[1]


_last: tuple[Ruleset, Domains] | None = None  # the rules that were asked about last: a list asks for each of its rows


def _domains_of(ruleset: Ruleset) -> Domains:
    global _last
    if _last is None or _last[0] is not ruleset:
        _last = ruleset, Domains({name: agency.domains for name, agency in ruleset.agencies.items()}, ())
    return _last[1]


def _stands_in(delegation: Delegation | None, today: date) -> str | None:
    return delegation.to if delegation and today <= delegation.until else None


def _flat(term: AskTerm | AskSome) -> tuple[AskTerm, ...]:
    return term.of if isinstance(term, AskSome) else (term,)
