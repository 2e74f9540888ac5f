"""The mutants still fit the code, and the tests that are to catch them exist. `make mutants` runs them."""

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Edit, Mutant
from tests.support.named_tests import is_test


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_what_stands_there(mutant: Mutant) -> None:
    for edit in mutant.edits:
        text = (ROOT / edit.path).read_text(encoding="utf-8")
        assert edit.applied_to(text) != text


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_names_tests_that_there_are(mutant: Mutant) -> None:
    assert mutant.tests
    assert [test for test in mutant.tests if not is_test(test)] == []


def test_no_two_have_the_same_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["", "a passage, and the same passage"])
def test_a_passage_that_is_gone_or_ambiguous_is_no_mutant(text: str) -> None:
    with pytest.raises(ValueError, match="times"):
        Edit("a/file.py", "passage", "other").applied_to(text)
