"""Mutants of what a request may hold, and of how others' text is shown."""

from typing import Final

from tests.mutants.mutant import mutant

_FIELDS: Final = "layers/shared/python/orders/fields.py"
_ADDRESSES: Final = "layers/shared/python/orders/addresses.py"
_QUERY: Final = "layers/shared/python/orders/query.py"
_PLACE_ORDER: Final = "functions/create_order/place_order.py"
_ORDER_LINES: Final = "layers/shared/python/orders/order_lines.py"
_CONSOLE: Final = "tools/console.py"

_FIELDS_TESTS: Final = "tests/unit/test_fields.py"
_HTTP_TESTS: Final = "tests/unit/test_http.py"
_EXPECTED_TESTS: Final = "tests/integration/create_order/test_expected_total.py"
_CONSOLE_TESTS: Final = "tests/unit/tools/test_console.py"

REQUESTS: Final = (
    mutant(
        "Parameters that no route knows are ignored",
        _QUERY,
        "sorted(given.keys() - parameters.keys())",
        "()",
        f"{_HTTP_TESTS}::test_a_parameter_that_no_route_knows_is_refused_by_its_name",
    ),
    mutant(
        "Of a parameter that is given twice one is taken",
        _QUERY,
        "        case [_, _, *_]:\n",
        "        case [_, _, _, *_]:\n",
        f"{_HTTP_TESTS}::test_a_parameter_has_one_form_and_is_given_once",
    ),
    mutant(
        "The customer pays what it costs, whatever they expect",
        _PLACE_ORDER,
        "    if expected is not None and expected != total_amount:\n",
        "    if expected is not None and expected < 0:\n",
        f"{_EXPECTED_TESTS}::test_another_total_is_told_and_nothing_is_placed",
    ),
    mutant(
        "An accepted order is refused to who expects another total by now",
        _PLACE_ORDER,
        '        order.model_copy(update={"expected_total_amount": None}),',
        "        order,",
        f"{_EXPECTED_TESTS}::test_an_order_that_was_accepted_is_replayed_whatever_it_costs_now_and_whatever_is_expected",
    ),
    mutant(
        "An order is called what the catalogue calls it now",
        _ORDER_LINES,
        "coalesce(item.product_name, (SELECT name FROM products WHERE products.id = item.product_id))",
        "(SELECT name FROM products WHERE products.id = item.product_id)",
        "tests/integration/saga/test_as_sold.py::test_its_owner_reads_names_and_prices_as_they_were",
        "tests/integration/saga/test_as_sold.py::test_a_mail_that_is_sent_later_has_them_too",
        "tests/integration/saga/test_as_sold.py::test_an_operator_sees_what_was_sold",
        "tests/integration/saga/test_as_sold.py::test_what_a_review_names_is_what_was_sold",
    ),
    mutant(
        "Any code is a currency",
        _FIELDS,
        "    if code not in CURRENCIES:\n",
        "    if len(code) != 3:\n",
        f"{_FIELDS_TESTS}::test_what_nobody_pays_with_is_no_currency",
    ),
    mutant(
        "An address may hold what SES does not take",
        _ADDRESSES,
        "allow_smtputf8=False",
        "allow_smtputf8=True",
        f"{_FIELDS_TESTS}::test_an_address_that_takes_no_mail_is_refused_with_the_reason",
    ),
    mutant(
        "Text may show something else than it holds",
        _FIELDS,
        r"\u202a-\u202e",
        "",
        f"{_FIELDS_TESTS}::test_text_that_is_not_what_it_shows_is_refused_with_the_reason",
    ),
    mutant(
        "Others' text is markup",
        _CONSOLE,
        '"markup": False',
        '"markup": True',
        f"{_CONSOLE_TESTS}::test_whatever_shows_it_others_text_is_no_markup",
    ),
    mutant(
        "The terminal obeys others' text",
        _CONSOLE,
        "        return super().render_str(visible(text), **options)\n",
        "        return super().render_str(text, **options)\n",
        f"{_CONSOLE_TESTS}::test_a_webhook_s_secret_is_shown_whatever_its_url_holds",
    ),
)
