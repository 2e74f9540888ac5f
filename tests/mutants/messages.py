"""Mutants of what decides whether a message is sent, and of the codes that confirm a recipient."""

from typing import Final

from tests.mutants.mutant import mutant

_LIMITS: Final = "functions/notify/limits.py"
_ALLOWANCES: Final = "layers/shared/python/orders/allowances.py"
_ROWS: Final = "functions/notify/notification_rows.py"
_RECIPIENTS: Final = "functions/recipients/recipients.py"

_LIMIT_TESTS: Final = "tests/integration/notify/test_limits.py"
_RECIPIENT_TESTS: Final = "tests/integration/recipients/test_recipients.py"
_FEEDBACK: Final = "functions/mail_feedback/mail_feedback.py"
_FEEDBACK_TESTS: Final = "tests/integration/mail_feedback/test_mail_feedback.py"
_COGNITO: Final = "tests/integration/notify/test_handler.py::TestCognito"

MESSAGES: Final = (
    mutant(
        "A message goes to whoever the order names",
        _LIMITS,
        "        return cls(row.user_id, channel, address, has_agreed, row.is_account_known, suppressed)\n",
        "        return cls(row.user_id, channel, address, True, True, suppressed)\n",
        f"{_LIMIT_TESTS}::test_twenty_declined_orders_send_nothing_to_a_stranger",
        f"{_LIMIT_TESTS}::test_twenty_users_send_no_more_to_one_stranger_than_one_does",
        f"{_LIMIT_TESTS}::test_one_user_sends_to_no_stranger_however_many_there_are",
        f"{_LIMIT_TESTS}::test_an_address_that_awaits_its_code_gets_nothing",
    ),
    mutant(
        "What one user confirmed is confirmed for all",
        _LIMITS,
        "        WHERE recipients.user_id = orders.user_id AND recipients.channel = told.channel\n",
        "        WHERE recipients.channel = told.channel\n",
        f"{_LIMIT_TESTS}::test_what_one_user_confirmed_is_confirmed_for_nobody_else",
    ),
    mutant(
        "Of an account any address counts, verified or not",
        "functions/notify/accounts.py",
        'if attributes.get("email_verified") == "true" else None',
        'if attributes.get("email_verified") else None',
        f"{_COGNITO}::test_only_a_verified_address_counts",
    ),
    mutant(
        "An allowance is never used up",
        _ALLOWANCES,
        "                  <= now() + CAST(:window AS interval)\n",
        "                  <= now() + 1000 * CAST(:window AS interval)\n",
        f"{_LIMIT_TESTS}::TestLimits::test_to_one_recipient_whoever_causes_them",
        f"{_LIMIT_TESTS}::TestLimits::test_of_one_user_to_whomever",
        f"{_LIMIT_TESTS}::TestLimits::test_of_many_at_once_no_more_are_sent",
        f"{_RECIPIENT_TESTS}::TestLimits::test_of_one_address_whoever_asks",
        f"{_RECIPIENT_TESTS}::TestLimits::test_of_one_user_for_whatever_addresses",
        f"{_RECIPIENT_TESTS}::TestLimits::test_of_all_users_together",
    ),
    mutant(
        "An allowance is also spent behind one that is refused",
        _ALLOWANCES,
        '    return f"FROM spent_{place - 1}" if place else ""\n',
        '    return ""\n',
        f"{_LIMIT_TESTS}::TestAllowances::test_behind_one_that_is_refused_none_is_spent",
    ),
    mutant(
        "Each spelling of a mailbox has an allowance of its own",
        _ALLOWANCES,
        '        name = name.partition("+")[0] or name\n',
        "",
        f"{_LIMIT_TESTS}::test_another_spelling_of_a_mailbox_is_no_other_recipient",
        f"{_RECIPIENT_TESTS}::TestLimits::test_of_one_address_whoever_asks",
    ),
    mutant(
        "A suppressed notification is sent when its claim is repeated",
        _ROWS,
        "        if row.id == self.claim_id and row.status == NotificationStatus.SENDING:\n",
        "        if row.id == self.claim_id:\n",
        f"{_LIMIT_TESTS}::TestLimits::test_a_suppression_repeated_after_a_lost_commit_sends_nothing",
    ),
    mutant(
        "Each attempt at a message counts",
        _ROWS,
        "is_first=row.attempts == 1",
        "is_first=True",
        f"{_LIMIT_TESTS}::TestLimits::test_a_message_that_is_tried_again_counts_once",
    ),
    mutant(
        "A code may be guessed as often as one likes",
        _RECIPIENTS,
        "      AND code_attempts < :attempts AND code_expires_at > now()\n",
        "      AND :attempts > 0 AND code_expires_at > now()\n",
        f"{_RECIPIENT_TESTS}::test_a_wrong_code_may_be_tried_five_times",
        f"{_RECIPIENT_TESTS}::test_of_guesses_at_once_no_more_are_compared",
    ),
    mutant(
        "A code never expires",
        _RECIPIENTS,
        "      AND code_attempts < :attempts AND code_expires_at > now()\n",
        "      AND code_attempts < :attempts\n",
        f"{_RECIPIENT_TESTS}::test_after_ten_minutes_a_code_confirms_nothing",
    ),
    mutant(
        "A code is sent with each delivery of its event",
        "functions/notify/codes.py",
        "    WHERE id = :id AND code_version = :version AND code_sent < :version\n",
        "    WHERE id = :id AND code_version = :version\n",
        f"{_RECIPIENT_TESTS}::TestSending::test_an_event_delivered_again_sends_nothing",
    ),
    mutant(
        "Deliveries are sent again without end",
        "layers/shared/python/orders/webhooks/redelivery.py",
        "    if refused:\n        raise TooManyRedeliveries(refused.retry_after_seconds)\n",
        "",
        "tests/integration/webhooks/test_deliveries.py"
        "::test_a_user_has_only_so_many_sent_again_in_an_hour_of_all_their_webhooks",
    ),
    mutant(
        "A mail goes to an address that bounced",
        _LIMITS,
        "    if recipient.suppressed:\n",
        "    if recipient.suppressed and recipient.has_agreed:\n",
        f"{_FEEDBACK_TESTS}::test_an_erased_address_is_not_written_to_again",
    ),
    mutant(
        "A code goes to an address that bounced",
        "functions/notify/codes.py",
        """      AND (channel <> 'email' OR {reason_of("recipients.address")} IS NULL)\n""",
        "",
        f"{_FEEDBACK_TESTS}::test_no_code_goes_to_an_address_whose_code_came_back",
        f"{_RECIPIENT_TESTS}::test_whoever_asks_for_a_code_is_not_told_that_the_address_gets_no_mail",
    ),
    mutant(
        "Whoever knows a mail's id can have any address suppressed",
        _FEEDBACK,
        "    if mail is not None and mail.address in event.addresses:\n",
        "    if mail is not None:\n",
        f"{_FEEDBACK_TESTS}::TestUntrue::test_another_recipient_than_the_mail_s",
    ),
    mutant(
        "A bounce that is delivered again suppresses what an operator has allowed",
        _FEEDBACK,
        "WHERE id = :id AND status = ANY (CAST(:before AS text[])) RETURNING id",
        "WHERE id = :id AND cardinality(CAST(:before AS text[])) > 0 RETURNING id",
        f"{_FEEDBACK_TESTS}::TestOnce::test_an_address_that_an_operator_allowed_stays_allowed",
        f"{_FEEDBACK_TESTS}::TestOnce::test_two_deliveries_at_once_have_one_effect",
    ),
    mutant(
        "A complaint that comes before its mail is recorded is lost",
        _FEEDBACK,
        "    if told is None and is_first_look:\n",
        "    if told is None and not is_first_look:\n",
        f"{_FEEDBACK_TESTS}::TestEarly::test_a_complaint_before_its_mail_is_recorded_as_sent_waits_for_that",
    ),
    mutant(
        "An erased address may be written to again",
        "layers/shared/python/orders/erasure.py",
        '"UPDATE suppressed_addresses SET address = NULL WHERE order_id',
        '"DELETE FROM suppressed_addresses WHERE order_id',
        f"{_FEEDBACK_TESTS}::test_an_erased_address_is_not_written_to_again",
    ),
)
