"""Mutants of the lists, and of the catalogue and its administration."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_QUERIES: Final = "functions/read_orders/queries.py"
_PAGES: Final = "layers/shared/python/orders/pages.py"
_HTTP: Final = "layers/shared/python/orders/http.py"
_PRODUCTS: Final = "functions/manage_catalogue/products.py"
_IDEMPOTENCY: Final = "layers/shared/python/orders/idempotency.py"
_STOCK: Final = "functions/manage_catalogue/stock.py"
_VERSIONS: Final = "functions/manage_catalogue/versions.py"
_MIGRATION: Final = "functions/migrate/versions/0005_reads_and_catalogue.py"

_ORDER_KEYS: Final = "tests/integration/create_order/test_idempotency.py::TestOneAfterTheOther"
_HEADERS: Final = "tests/unit/test_http_headers.py"
_LIST: Final = "tests/integration/read_orders/test_order_list.py"
_READ_PLANS: Final = "tests/integration/read_orders/test_plans_at_volume.py"
_MAKING: Final = "tests/integration/manage_catalogue/test_making.py"
_CHANGING: Final = "tests/integration/manage_catalogue/test_changing.py"
_ADJUSTING: Final = "tests/integration/manage_catalogue/test_stock.py"
_CATALOGUE_PLANS: Final = "tests/integration/manage_catalogue/test_plans_at_volume.py"
_PLANNED: Final = "test_a_read_goes_by_an_index_and_takes_milliseconds"

READS: Final[tuple[Mutant, ...]] = (
    mutant(
        "A list has everybody's orders",
        _QUERIES,
        "    WHERE orders.user_id = ANY (ARRAY[CAST(:user_id AS text)]) AND",
        "    WHERE (orders.user_id = ANY (ARRAY[CAST(:user_id AS text)]) OR true) AND",
        f"{_LIST}::test_the_pages_together_are_the_callers_orders_newest_first",
    ),
    mutant(
        "A list takes the cursor of another one",
        _PAGES,
        "    if last is None or cursor_after(listing, last) != cursor:\n",
        "    if last is None:\n",
        f"{_LIST}::TestCursors::test_one_of_another_filter_is_refused",
        f"{_LIST}::TestCursors::test_one_of_another_list_is_refused",
    ),
    mutant(
        "A list ends with an empty page",
        _PAGES,
        "if len(rows) > limit else None",
        "if len(rows) >= limit else None",
        f"{_LIST}::test_the_pages_together_are_the_callers_orders_newest_first",
    ),
    mutant(
        "A page of a customer's orders may be looked for among everybody's",
        _QUERIES,
        "orders.user_id = ANY (ARRAY[CAST(:user_id AS text)])",
        "orders.user_id = CAST(:user_id AS text)",
        f"{_READ_PLANS}::{_PLANNED}",
    ),
    mutant(
        "No index of a customer's orders in one status",
        _MIGRATION,
        '    "orders_by_user_and_status": "orders (user_id, status, id DESC)",\n',
        "",
        f"{_READ_PLANS}::{_PLANNED}",
    ),
    mutant(
        "No index of what is on sale",
        _MIGRATION,
        '    "products_on_sale": "products (id) WHERE active",\n',
        "",
        f"{_READ_PLANS}::{_PLANNED}",
    ),
    mutant(
        "No index of a product's movements",
        _MIGRATION,
        '    "stock_movements_by_product": "stock_movements (product_id, id DESC)",\n',
        "",
        f"{_CATALOGUE_PLANS}::{_PLANNED}",
    ),
    mutant(
        "A change is answered with 304",
        _HTTP,
        '        if method in {"GET", "HEAD"}:\n',
        "        if method:\n",
        f"{_CHANGING}::test_what_has_not_changed_is_not_sent_again_but_a_change_is_always_answered",
    ),
    mutant(
        "What is private may be kept",
        _HTTP,
        '    "Cache-Control": "no-store",\n',
        "",
        f"{_HEADERS}::test_every_response_is_protected_and_kept_by_nobody_unless_it_says_so",
    ),
    mutant(
        "HEAD has content",
        _HTTP,
        'head.without_content(response) if method == "HEAD" else response',
        "response",
        f"{_HEADERS}::test_head_returns_what_get_does_without_its_content",
    ),
    mutant(
        "A compressed body is unpacked whole",
        "layers/shared/python/orders/request_body.py",
        "decoder.decompress(raw, MAX_BODY_BYTES + 1)",
        "decoder.decompress(raw)",
        "tests/unit/test_http_request_body.py::"
        "test_the_limit_is_that_of_the_decoded_body_and_a_bomb_is_never_unpacked",
    ),
    mutant(
        "A change of an old version is made",
        _PRODUCTS,
        "        if not versions.matches(if_match, product):\n",
        "        if not if_match:\n",
        f"{_CHANGING}::test_a_change_of_what_somebody_else_has_changed_is_refused",
        f"{_CHANGING}::test_a_threshold_that_somebody_else_has_changed_counts_too",
    ),
    mutant(
        "Changes of one version do not wait for each other",
        _PRODUCTS,
        '        connection.execute(_LOCK, {"product_id": uuid})\n',
        "",
        f"{_CHANGING}::test_of_changes_racing_from_one_version_one_is_made",
    ),
    mutant(
        "Each order makes a product's version an old one",
        _VERSIONS,
        '_CHANGEABLE: Final = {"product_id", *ProductChange.model_fields}',
        '_CHANGEABLE: Final = {"product_id", *ProductChange.model_fields, "available"}',
        f"{_CHANGING}::test_an_order_in_between_outdates_nothing",
    ),
    mutant(
        "A key is everybody's",
        _IDEMPOTENCY,
        '"(earlier.user_id, earlier.key) = (:user_id, :key)"',
        '"(:user_id, earlier.key) = (:user_id, :key)"',
        f"{_ORDER_KEYS}::test_another_user_has_keys_of_their_own",
        f"{_MAKING}::test_a_key_is_its_owners",
        f"{_ADJUSTING}::test_a_key_is_its_owners",
    ),
    mutant(
        "A key returns the result of any request",
        _IDEMPOTENCY,
        "        if earlier_fingerprint != self.fingerprint:\n",
        "        if not earlier_fingerprint:\n",
        f"{_ORDER_KEYS}::test_the_same_key_with_another_body_is_refused",
        f"{_MAKING}::test_the_same_key_with_another_body_is_refused",
        f"{_ADJUSTING}::test_the_same_key_with_another_body_is_refused",
        f"{_ADJUSTING}::test_the_same_key_for_another_product_is_refused",
    ),
    mutant(
        "Of requests racing under one key the losers fail",
        _IDEMPOTENCY,
        "        if sqlstate(error) != _UNIQUE_VIOLATION:\n",
        "        if sqlstate(error):\n",
        f"{_MAKING}::test_of_requests_racing_under_one_key_one_makes_the_product",
    ),
    mutant(
        "An adjustment forgets its key",
        _STOCK,
        'movement_id="id", source="FROM moved")',
        'movement_id="id", source="FROM moved WHERE false")',
        f"{_ADJUSTING}::test_a_repeated_request_moves_nothing_again",
        f"{_ADJUSTING}::test_stock_is_exact_however_many_buy_and_adjust_at_once",
    ),
    mutant(
        "An adjustment asks for less than it takes",
        _STOCK,
        "AND stock.available + CAST(:delta AS bigint) >= 0",
        "AND stock.available >= 0",
        f"{_ADJUSTING}::test_what_is_reserved_or_sold_cannot_be_taken_away",
        f"{_ADJUSTING}::test_stock_is_exact_however_many_buy_and_adjust_at_once",
    ),
    mutant(
        "An adjustment is made and not recorded",
        _STOCK,
        "        SELECT product_id, '{MovementKind.ADJUSTED}', :delta, :user_id, :reason FROM adjusted\n",
        "        SELECT product_id, '{MovementKind.ADJUSTED}', :delta, :user_id, :reason FROM adjusted WHERE false\n",
        f"{_ADJUSTING}::test_an_adjustment_is_recorded_with_who_and_why",
    ),
)
