"""Mutants of what operators search for, and of an order's time line."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_SEARCH: Final = "functions/operations/orders/search.py"
_TIMELINE: Final = "functions/operations/orders/timeline.py"
_FIELDS: Final = "layers/shared/python/orders/fields.py"

_SEARCHING: Final = "tests/integration/operations/test_search.py"
_TELLING: Final = "tests/integration/operations/test_timeline.py"

SEARCHES: Final[tuple[Mutant, ...]] = (
    mutant(
        "Of several things that are searched for, one is enough",
        _SEARCH,
        "if name in _FILTERS and name != chosen]\n",
        "if name in _FILTERS and name != chosen and False]\n",
        f"{_SEARCHING}::test_all_that_is_given_must_be_true",
    ),
    mutant(
        "A search ends with the first orders that were looked at",
        "functions/operations/walk.py",
        "cursor_after(listing, rows[0].last_id) if is_cut else None",
        "None",
        f"{_SEARCHING}::test_what_is_combined_is_read_in_pieces_and_nothing_is_left_out",
    ),
    mutant(
        "A cursor goes with any search",
        _SEARCH,
        "digest(json.dumps(asdict(self), default=str))",
        "digest(self.sort)",
        f"{_SEARCHING}::test_a_cursor_belongs_to_its_search_and_does_not_say_what_it_was",
    ),
    mutant(
        "A cell of the export is a formula",
        _SEARCH,
        """return f"'{cell}" if isinstance(cell, str) and cell.startswith(_COMMANDS) else cell""",
        "return cell",
        f"{_SEARCHING}::test_no_cell_is_a_formula",
    ),
    mutant(
        "Whom an operator looks for is shown to who debugs",
        _FIELDS,
        """        return "'***'\"""",
        "        return super().__repr__()",
        f"{_SEARCHING}::test_whom_an_operator_looks_for_is_in_no_log",
    ),
    mutant(
        "Without Step Functions there is no time line",
        _TIMELINE,
        "    except ServiceUnavailable:\n",
        "    except NotImplementedError:\n",
        f"{_TELLING}::test_without_step_functions_the_rest_is_told",
    ),
)
