from uuid import uuid4

from tools.audit.mailbox import Mail, Text, check_messages

ORDER, OTHER = uuid4(), uuid4()


def mail(order_id: object, subject: str = "Your order is confirmed") -> Mail:
    return Mail(("ada@example.com",), subject, f"Order {order_id}: thank you.")


def test_one_mail_of_each_type_keeps_the_promise() -> None:
    verdict = check_messages(
        [mail(ORDER), mail(ORDER, "Your order is cancelled"), mail(OTHER)], [ORDER, OTHER]
    )
    assert verdict.holds
    assert verdict.checked == 3


def test_a_second_mail_of_the_same_type_breaks_it() -> None:
    (violation,) = check_messages([mail(ORDER), mail(ORDER)], [ORDER]).violations
    assert violation.subject == str(ORDER)
    assert violation.problem == "was sent 2 times: Your order is confirmed"


def test_a_text_message_beside_the_mail_keeps_it_and_a_second_one_breaks_it() -> None:
    text = Text("+34600123456", f"Thank you! We confirm your order {ORDER} (USD 25.00)")
    assert check_messages([mail(ORDER)], [ORDER], [text]).holds
    verdict = check_messages([mail(ORDER)], [ORDER], [text, text])
    assert verdict.checked == 3
    assert [violation.subject for violation in verdict.violations] == [str(ORDER)]


def test_each_refund_of_an_order_has_a_mail_of_its_own_and_no_second_one() -> None:
    first, second = (
        Mail(("ada@example.com",), "We have refunded your order", f"Order {ORDER}, refund {uuid4()}")
        for _ in "12"
    )
    assert check_messages([first, second], [ORDER]).holds
    (violation,) = check_messages([first, second, second], [ORDER]).violations
    assert violation.problem == "was sent 2 times: We have refunded your order"


def test_mails_about_other_orders_are_not_looked_at() -> None:
    verdict = check_messages([mail(OTHER), mail(OTHER)], [ORDER])
    assert verdict.holds
    assert verdict.checked == 0


def test_what_an_operator_had_sent_again_breaks_nothing() -> None:
    twice = [mail(ORDER), mail(ORDER)]
    assert check_messages(twice, [ORDER], resent={ORDER: 1}).holds
    assert not check_messages([*twice, mail(ORDER)], [ORDER], resent={ORDER: 1}).holds
    assert not check_messages(twice, [ORDER], resent={OTHER: 1}).holds
