"""Whose yes a mailing or a request needs, who may decide about it, and who is told that it waits (DESIGN 5, 6).

Pure: the rules, the day and what is decided about are arguments. The words: a *term* is what `ask` names; a *group* is
people of whom one must agree; a *hat* is a person in whose place somebody acts, as themselves or as a delegate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from gatekeeper.directory.domains import Domains
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules import Ask, AskSome, AskTerm, Ruleset
from gatekeeper.rules.specs import APPROVER, Delegation

_NEXT_ROLES = ("approver", "admin")  # who stands in for a group in which nobody is but those whose own it is
_NOBODY = "nobody: name an approver under people in rules.yaml"


@immutable
class Matter:
    """What is to be decided: a held mailing, a request, a permit."""

    id: str  # M-17, R-4 or P-9
    own: frozenset[str]  # whose it is: identities that cannot decide it
    agency: str | None  # of who sends or asks
    lists: frozenset[str] = frozenset()  # addresses of the lists that it reaches
    rules: tuple[str, ...] = ()  # whose `ask` says who must agree; an approver where there is none
    agencies: frozenset[str] = frozenset()  # ids of the agencies that it reaches
    today: date = date.max  # the day on which it is looked at: which delegations count
    also: frozenset[str] = frozenset()  # owners asked only when needed, whom an approver has asked
    escalated: Ask = ()  # who may decide in the place of those who have not answered


@immutable
class Yes:
    """That somebody has agreed, and on which day."""

    by: str
    on: date


@immutable
class Asking:
    """Answers who, by one ruleset."""

    ruleset: Ruleset

    # -- who -----------------------------------------------------------------------------------------------------

    def refusal(self, matter: Matter, by: str) -> str | None:
        """Why somebody may not decide about it; None where they may."""
        if by in matter.own:
            return f"{matter.id}: it is {by}'s own; nobody decides their own"
        if (self._hats(by, matter.today) - matter.own) & self.deciders(matter):
            return None
        names = ", ".join(sorted(self.able(matter)))
        return f"{matter.id}: {by} may not decide it; who may: {names or _NOBODY}"

    def deciders(self, matter: Matter) -> frozenset[str]:
        """Everybody who may say yes or no: whom its rules ask, owners who are asked only when needed among them."""
        terms = (*self._terms(matter), *matter.escalated)
        return frozenset(person for term in terms for person in self._pool(matter, term))

    def able(self, matter: Matter) -> frozenset[str]:
        """Everybody who may decide on that day, delegates among them."""
        return self._present(self.deciders(matter), matter)

    def told(self, matter: Matter) -> frozenset[str]:
        """Everybody to tell that it waits: those whose yes it needs, who has escalated it, and their delegates."""
        needed = (self._needed(matter, term) for term in (*self._terms(matter), *matter.escalated))
        return self._present({person for groups in needed for group in groups for person in group}, matter)

    def missing(self, matter: Matter, agreed: Iterable[Yes]) -> tuple[str, ...]:
        """Whose yes is still missing, in the words of `ask`; () where everyone has agreed."""
        hats = {yes.by: self._hats(yes.by, yes.on) - matter.own for yes in agreed if yes.by not in matter.own}
        if any(self._satisfied(matter, term, hats) for term in matter.escalated):
            return ()
        named = {str(term): self._satisfied(matter, term, hats) for term in self._terms(matter)}
        return tuple(name for name, satisfied in named.items() if not satisfied)

    def next_role(self, matter: Matter) -> Ask:
        """Whom it is escalated to where rules.yaml does not say: approvers, or admins where approvers are asked."""
        asked = {each for term in self._ask(matter) for each in _flat(term)}
        return (AskTerm("role", "admin"),) if APPROVER[0] in asked else APPROVER

    def _ask(self, matter: Matter) -> Ask:
        """What its rules ask for, each once; an approver for a rule that says nothing or is not there any more."""
        rules = (self.ruleset.rule(each) for each in matter.rules)
        return tuple(dict.fromkeys(term for rule in rules for term in (rule.ask if rule else APPROVER))) or APPROVER

    # -- whose yes -----------------------------------------------------------------------------------------------

    def _terms(self, matter: Matter) -> tuple[AskTerm | AskSome, ...]:
        return (*self._ask(matter), *(AskTerm("person", each) for each in sorted(matter.also)))

    def _satisfied(self, matter: Matter, term: AskTerm | AskSome, hats: Mapping[str, frozenset[str]]) -> bool:
        if isinstance(term, AskSome):  # so many different people: a delegate is one, whoever they act for
            pool = self._pool(matter, term)
            return sum(bool(each & pool) for each in hats.values()) >= term.number
        worn = frozenset(hat for each in hats.values() for hat in each)
        return all(group & worn for group in self._needed(matter, term))  # nobody satisfies an empty one

    def _needed(self, matter: Matter, term: AskTerm | AskSome) -> list[frozenset[str]]:
        """The groups of a term without those of owners who are asked only when needed, unless nobody else is asked."""
        if isinstance(term, AskSome):
            return [self._pool(matter, term)]
        groups = self._groups(matter, term)
        if term.kind != "owners":
            return groups
        always = [needed for group in groups if (needed := self._always(group))]
        return always if always or len(self._ask(matter)) > 1 else groups

    def _always(self, group: frozenset[str]) -> frozenset[str]:
        people = self.ruleset.people
        return frozenset(each for each in group if each not in people or not people[each].when_needed)

    def _groups(self, matter: Matter, term: AskTerm) -> list[frozenset[str]]:
        """Groups of which one person each must agree: a role is one, owners are one an audience (policy T7)."""
        match term.kind:
            case "role":
                groups = [self._role(term.name, matter)]
            case "person":
                groups = [frozenset({term.name})]
            case "owners":
                groups = self._owners(matter) or [frozenset()]
            case _:
                groups = [self._head(term.name or matter.agency)]
        return [self._others(group, matter) for group in groups]

    def _others(self, group: frozenset[str], matter: Matter) -> frozenset[str]:
        """The group without those whose own it is; where nobody is left, who comes next."""
        candidates = (group, *(self._role(role, matter) for role in _NEXT_ROLES))
        return next((left for each in candidates if (left := each - matter.own)), frozenset())

    def _pool(self, matter: Matter, term: AskTerm | AskSome) -> frozenset[str]:
        groups = (group for each in _flat(term) for group in self._groups(matter, each))
        return frozenset(person for group in groups for person in group)

    def _role(self, role: str, matter: Matter) -> frozenset[str]:
        """Who holds a role here: one limited by `of` is for what that agency sends, or for what goes to that list."""
        about = {matter.agency, *self._audiences(matter)}
        people = self.ruleset.people
        holders = self.ruleset.people_with(role)
        return frozenset(each for each in holders if not people[each].of or about & set(people[each].of))

    def _owners(self, matter: Matter) -> list[frozenset[str]]:
        """Owners of each audience reached that has any: a list, or an agency that somebody answers for by name."""
        lists = (self._owners_of({address, self._owner_named(address)}) for address in sorted(matter.lists))
        agencies = (self._owners_of({agency}, named=True) for agency in sorted(matter.agencies))
        return [group for group in (*lists, *agencies) if group]

    def _owners_of(self, data: set[str | None], *, named: bool = False) -> frozenset[str]:
        people = self.ruleset.people
        held = ((each, set(people[each].of)) for each in self.ruleset.people_with("owner"))
        return frozenset(each for each, of in held if of & data or not (of or named))

    def _owner_named(self, address: str) -> str | None:
        spec = self.ruleset.lists.get(address)
        return spec.owner if spec else None

    def _audiences(self, matter: Matter) -> set[str | None]:
        return {*matter.lists, *(self._owner_named(address) for address in matter.lists)} - {None}

    def _head(self, agency: str | None) -> frozenset[str]:
        found = self.ruleset.agencies.get(agency or "")
        return frozenset({found.head}) if found and found.head else frozenset()

    # -- delegates -----------------------------------------------------------------------------------------------

    def _hats(self, by: str, today: date) -> frozenset[str]:
        """In whose place somebody acts on a day: their own, and of those who have delegated to them until then."""
        delegated = (each for each, person in self.ruleset.people.items() if _stands_in(person.delegate, today) == by)
        return frozenset({by, *delegated})

    def _present(self, people: Iterable[str], matter: Matter) -> frozenset[str]:
        """These and their delegates, without those whose own it is."""
        known, found = self.ruleset.people, set(people)
        delegates = {_stands_in(known[each].delegate, matter.today) for each in found if each in known}
        return frozenset(each for each in found | delegates if each) - matter.own


def agency_of(ruleset: Ruleset, mailbox: str) -> str | None:
    """The agency that a mailbox belongs to by its domain, the longest that matches; None outside all of them."""
    domains = Domains({name: agency.domains for name, agency in ruleset.agencies.items()}, ())
    return domains.place(mailbox.rpartition("@")[2])[1]


def _stands_in(delegation: Delegation | None, today: date) -> str | None:
    return delegation.to if delegation and today <= delegation.until else None


def _flat(term: AskTerm | AskSome) -> tuple[AskTerm, ...]:
    return term.of if isinstance(term, AskSome) else (term,)
