"""Every clause that the ledger is for is named by a test (docs/ledger.md)."""

from __future__ import annotations

import pytest

from tests.clauses import CLAUSES, LEDGER, clauses_of_tests, listing


@pytest.fixture(scope="module")
def found():
    return clauses_of_tests()


@pytest.mark.parametrize("clause", LEDGER)
def test_a_clause_of_the_ledger_is_named_by_a_test(found, clause):
    assert found.get(clause), f"no test names {clause}"


def test_the_listing_has_every_clause_once():
    assert [line.split()[0] for line in listing()] == list(CLAUSES)


def test_ids_of_mailings_permits_and_values_are_no_clauses(tmp_path):
    (tmp_path / "test_x.py").write_text(
        'def test_a():\n    """M-1, P-9 and M17x are none, M2 and (policy T8) are."""\n'
        'def test_b():\n    assert "M1" in x  # C3\n'
        "def helper():\n    '''S1'''\n"
    )
    assert clauses_of_tests(tmp_path) == {
        "M2": ("test_x.py::test_a",),
        "C3": ("test_x.py::test_b",),
        "T8": ("test_x.py::test_a",),
    }
