"""The mutants of webhooks: who waits for whom, what a secret is good for, and what a server says."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_ATTEMPTS: Final = "functions/deliver_webhooks/attempts.py"
_SCHEDULE: Final = "functions/deliver_webhooks/schedule.py"
_SENDER: Final = "functions/deliver_webhooks/sender.py"
_ENDPOINTS: Final = "functions/webhooks/endpoints.py"
_REPEATABLE: Final = "functions/webhooks/repeatable.py"
_DESTINATION: Final = "layers/shared/python/orders/webhooks/destination.py"

_DELIVERED: Final = "tests/integration/deliver_webhooks/test_deliver.py"
_FAIR: Final = "tests/integration/deliver_webhooks/test_fairness.py"
_SENT: Final = "tests/integration/deliver_webhooks/test_sender.py"
_REPEATED: Final = "tests/integration/webhooks/test_repeated_requests.py"
_CHANGED: Final = "tests/integration/webhooks/test_changes.py"

WEBHOOKS: Final[tuple[Mutant, ...]] = (
    mutant(
        "A webhook waits for the others of its owner",
        _ATTEMPTS,
        "FILTER (WHERE theirs.id = :endpoint_id)",
        "FILTER (WHERE theirs.user_id = :user_id)",
        f"{_FAIR}::test_a_healthy_endpoint_is_told_at_once_while_its_owners_others_hang",
        f"{_DELIVERED}::TestManyToOneEndpoint::test_nor_another_endpoint_of_the_same_owner",
    ),
    mutant(
        "Claims for one webhook at the same moment do not see each other",
        _ATTEMPTS,
        " FOR NO KEY UPDATE OF endpoint",
        "",
        f"{_DELIVERED}::TestManyToOneEndpoint::test_that_are_claimed_at_the_same_moment_are_counted_all_the_same",
    ),
    mutant(
        "A second rotation ends the day of the secret in use",
        _ENDPOINTS,
        "WHERE has_room AND previous_secret_until > now()",
        "WHERE false AND previous_secret_until > now()",
        f"{_DELIVERED}::TestAReplacedSecret::test_is_good_for_its_day_however_often_it_is_replaced",
    ),
    mutant(
        "A revoked secret is still signed with",
        _ENDPOINTS,
        "(CAST(:revoke AS boolean) OR older.expires_at <= now())",
        "older.expires_at <= now()",
        f"{_DELIVERED}::TestAReplacedSecret::test_is_worth_nothing_at_once_if_its_owner_says_so",
    ),
    mutant(
        "A request about a webhook is not remembered",
        _REPEATABLE,
        "        connection.execute(_RECORD, {**request.row, **asdict(effect)})\n",
        "",
        f"{_REPEATED}::test_a_registration_is_repeated_with_its_secret",
        f"{_REPEATED}::test_a_rotation_is_repeated_with_its_secret",
    ),
    mutant(
        "A server that asks for time is not left alone",
        _SCHEDULE,
        "min(asked_for, time_left))",
        "0.0)",
        f"{_DELIVERED}::test_a_server_that_asks_for_time_is_left_alone_for_so_long",
    ),
    mutant(
        "An interim response is taken for the response",
        _SENDER,
        "    connection.response_class = _FinalResponse\n",
        "",
        f"{_SENT}::TestInterimResponses::test_are_skipped",
    ),
    mutant(
        "The time tells which names there are inside",
        _ENDPOINTS,
        "            time.sleep(max(0.0, begun + RESOLVE_SECONDS - time.monotonic()))\n",
        "",
        f"{_CHANGED}::TestOneAnswer::test_takes_the_same_time",
    ),
    mutant(
        "A host name of another script is read as an older standard did",
        _DESTINATION,
        "idna.encode(host, uts46=True)",
        "host.encode('idna')",
        "tests/unit/test_webhook_destination.py::test_a_url_is_taken_apart",
    ),
)
