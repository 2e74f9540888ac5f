"""Stripe as a `PaymentGateway`: one payment intent for each key, written down before it can move money.

An intent is created unconfirmed, its id is committed to our own table, and only then is it confirmed. From then on what
Stripe says of that id is the truth: a read by id is consistent, and needs no idempotency key, which Stripe forgets
after a day. An intent whose id was never committed is never confirmed by anybody, so it can never move money.

Stripe confirms an intent at most once, whoever asks and however often: a confirmation needs no key of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from orders.db import Database
from orders.errors import (
    FraudSuspected,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    StepFenced,
    business_failure,
)
from orders.observability import logger
from orders.payments.gateway import (
    Charge,
    CustomerAction,
    DisputeStatus,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayStatus,
    NothingToRefund,
    PaymentGateway,
    RefundRefused,
)
from payment_stripe.amounts import AmountNotTaken, from_stripe, to_stripe
from payment_stripe.api import Patience, Requests, StripeApi, is_replayed
from payment_stripe.records import Record, Records
from payment_stripe.settings import StripeSettings

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

AUTHENTICATE: Final = "authenticate"
"""The action of a customer whose bank wants to know them: the client hands the secret to Stripe.js."""

# docs.stripe.com/declines/codes: of these the customer must not be told which it was.
_FRAUD: Final = frozenset({"fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "stolen_card"})
_ABOUT_THE_ORDER: Final = frozenset({"amount", "currency", "payment_method"})
"""Parameters that a customer, or a price, has chosen."""
_REFUND_FAILED: Final = ("failed", "canceled")
_NOT_ENOUGH_BALANCE: Final = frozenset({"balance_insufficient", "insufficient_funds"})
# What begins with `warning_` is an inquiry of the bank: the money is still ours, and a refund would end it.
_DISPUTES: Final = {
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    # Given up by an agreement with the card's scheme: the bank has the money.
    "prevented": DisputeStatus.LOST,
}
_WITH_CHARGE: Final = ["latest_charge"]
_PAGE: Final = 100
_KEYS_AT_MOST: Final = 3


def connect(database: Database) -> PaymentGateway:
    """Stripe as the environment sets it. Nothing is asked of it, nor imported, before the first call.

    Raises:
        pydantic.ValidationError: one of its variables is missing or malformed; the message names it.
    """
    return StripeGateway(database, StripeSettings.from_environment())


class StripeGateway:
    """`PaymentGateway` over Stripe's API and the table `stripe.payments`."""

    def __init__(
        self, database: Database, settings: StripeSettings, patience: Patience | None = None
    ) -> None:
        self._records = Records(database)
        self._api = StripeApi(settings, patience or Patience())

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        requests = self._api.begin()
        record = self._records.open(key)
        if record.intent_id is None:
            if record.is_closed:
                _refuse(record)
            intent = self._create(requests, key, charge)
        else:
            intent = _retrieve(requests, record.intent_id)
        if intent.status == "requires_confirmation" and not record.is_closed:
            intent = self._confirm(requests, key, intent.id)
        payment = self._payment(requests, key, record, intent)
        match payment.status:
            case GatewayStatus.DECLINED:
                raise (business_failure(payment.error or "") or PaymentDeclined)(
                    f"Stripe declined payment {payment.payment_id}"
                )
            case GatewayStatus.VOIDED:
                raise StepFenced(f"payment {payment.payment_id} was voided")
            case GatewayStatus.OPEN | GatewayStatus.ACTION_REQUIRED if record.is_closed:
                raise StepFenced(f"payment {payment.payment_id} is being voided")
            case GatewayStatus.OPEN:
                raise PaymentGatewayTimeout("Stripe has not decided yet", gateway_at_fault=False)
        return payment

    def find(self, key: str) -> GatewayPayment | None:
        record = self._records.find(key)
        if record is None:
            return None
        if record.intent_id is None:
            # Nobody has confirmed an intent that is not written down.
            return _without_intent(key, record) if record.is_closed else None
        requests = self._api.begin()
        return self._payment(requests, key, record, _retrieve(requests, record.intent_id))

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        record = self._records.close(key)
        if record.intent_id is None:
            return _without_intent(key, record)
        requests = self._api.begin()
        payment = self._payment(requests, key, record, _cancel(requests, record.intent_id))
        if payment.status in (GatewayStatus.OPEN, GatewayStatus.ACTION_REQUIRED):
            # E.g. `processing`: it can be cancelled, or has captured, in a moment.
            raise PaymentGatewayUnavailable("Stripe is still at it", gateway_at_fault=False)
        return payment

    def refund(self, key: str) -> GatewayPayment:
        requests = self._api.begin()
        record = self._records.find(key)
        if record is None or record.intent_id is None:
            raise NothingToRefund(f"nothing was captured under {key}")
        intent = _retrieve(requests, record.intent_id)
        payment = self._payment(requests, key, record, intent)
        if not payment.captured:
            raise NothingToRefund(f"nothing was captured under {key}")
        left = intent.amount_received - _refunded(intent)
        if left:
            # Of two at once that give back all that is left, Stripe refuses one.
            self._refund(requests, key, key, intent.id, left, f"{key}-refund-{intent.amount_received - left}")
            payment = self._payment(requests, key, record, _retrieve(requests, intent.id))
        if payment.status is not GatewayStatus.REFUNDED:
            raise PaymentGatewayUnavailable("Stripe has not given back all", gateway_at_fault=False)
        return payment

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        requests = self._api.begin()
        record = self._records.find(key)
        if record is None or record.intent_id is None:
            raise RefundRefused("nothing was captured of the payment")
        intent = _retrieve(requests, record.intent_id)
        if intent.status != "succeeded":
            raise RefundRefused("nothing was captured of the payment")
        made = self._made(requests, intent.id, refund_key)
        if made is None:
            try:
                units = to_stripe(amount, intent.currency.upper())
            except AmountNotTaken as error:
                raise RefundRefused(str(error)) from None
            made = self._refund(requests, key, refund_key, intent.id, units, refund_key)
            intent = _retrieve(requests, intent.id)
        if made.status in _REFUND_FAILED:
            reason = getattr(made, "failure_reason", None) or made.status
            raise RefundRefused(f"the refund came back from the customer's bank ({reason})")
        return self._payment(requests, key, record, intent)

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        record = self._records.find(key)
        if record is None or record.intent_id is None:
            return []
        return [
            GatewayRefund(
                refund.id,
                _metadata(refund, "refund_key"),
                from_stripe(refund.amount, refund.currency.upper()),
            )
            for refund in _refunds(self._api.begin(), record.intent_id)
            if refund.status not in _REFUND_FAILED
        ]

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        record = self._records.find(key)
        if record is None or record.intent_id is None:
            return []
        intent_id = record.intent_id
        disputes = _read(
            self._api.begin(),
            lambda client: client.v1.disputes.list({"payment_intent": intent_id, "limit": _PAGE}),
        )
        return [
            GatewayDispute(
                dispute.id,
                from_stripe(dispute.amount, dispute.currency.upper()),
                dispute.currency.upper(),
                dispute.reason,
                _DISPUTES[dispute.status],
            )
            for dispute in disputes.data
            if dispute.status in _DISPUTES
        ]

    def _create(self, requests: Requests, key: str, charge: Charge) -> "stripe.PaymentIntent":
        """The key's intent, unconfirmed. Its id is written down.

        Raises:
            StepFenced: the key was closed meanwhile.
        """
        import stripe

        try:
            amount = to_stripe(charge.amount, charge.currency)
            intent = _under_key(
                f"{key}-create",
                lambda idempotency_key: requests.send(
                    lambda client: client.v1.payment_intents.create(
                        {
                            "amount": amount,
                            "currency": charge.currency.lower(),
                            "payment_method": charge.method,
                            # Others take days to decide, or lead the customer away.
                            "allowed_payment_method_types": ["card"],
                            "metadata": {"key": key},
                        },
                        {"idempotency_key": idempotency_key},
                    )
                ),
            )
        except AmountNotTaken as error:
            self._decline(key, str(error))
        except stripe.InvalidRequestError as error:
            if error.param not in _ABOUT_THE_ORDER:
                raise _defect(error) from None
            self._decline(key, f"Stripe does not take the order's {error.param} ({error.code})")
        except stripe.CardError as error:
            self._decline(key, f"Stripe does not take the card ({error.code})")
        except PaymentGatewayTimeout as error:
            # Whatever came of it: nobody knows its id, so nobody can confirm it.
            raise PaymentGatewayUnavailable(str(error), gateway_at_fault=error.gateway_at_fault) from None
        kept = self._records.keep(key, intent.id)
        if kept.intent_id == intent.id:
            return intent
        _cancel(requests, intent.id)
        if kept.intent_id is None:
            _refuse(kept)
        # Another process was quicker, and Stripe had forgotten our key between the two.
        return _retrieve(requests, kept.intent_id)

    def _decline(self, key: str, detail: str) -> NoReturn:
        self._records.close(key, PaymentDeclined.__name__)
        raise PaymentDeclined(detail) from None

    def _confirm(self, requests: Requests, key: str, intent_id: str) -> "stripe.PaymentIntent":
        import stripe

        try:
            return requests.send(
                lambda client: client.v1.payment_intents.confirm(
                    intent_id, {"use_stripe_sdk": True, "expand": _WITH_CHARGE}
                ),
                is_repeatable=False,
            )
        except stripe.CardError:
            # Why, the intent and its charge tell.
            return _retrieve(requests, intent_id)
        except PaymentGatewayTimeout as unknown:
            try:
                intent = _retrieve(requests, intent_id)
            except PaymentGatewayUnavailable:
                raise unknown from unknown.__cause__
            if intent.status == "requires_confirmation":
                raise
            return intent
        except stripe.InvalidRequestError as error:
            if error.code == "payment_intent_unexpected_state":
                # Somebody else has confirmed or cancelled it.
                return _retrieve(requests, intent_id)
            if error.param not in _ABOUT_THE_ORDER and error.code != "payment_method_unexpected_state":
                raise _defect(error) from None
            self._records.close(key, PaymentDeclined.__name__)
            return _cancel(requests, intent_id)

    def _payment(
        self, requests: Requests, key: str, record: Record, intent: "stripe.PaymentIntent"
    ) -> GatewayPayment:
        """The intent as a record of ours.

        A declined intent is cancelled: with its client secret the customer could try another card, after we have
        cancelled the order.
        """
        error = record.error
        if intent.status == "requires_payment_method":
            error = self._records.close(key, _failure(intent)).error
            intent = _cancel(requests, intent.id)
        elif intent.status == "canceled":
            found = self._records.find(key)
            error = found.error if found else error
        currency = intent.currency.upper()
        captured = from_stripe(intent.amount_received, currency)
        refunded = from_stripe(_refunded(intent), currency)
        match intent.status:
            case "succeeded":
                status = GatewayStatus.REFUNDED if refunded >= captured else GatewayStatus.CAPTURED
                return GatewayPayment(intent.id, status, captured=captured, refunded=refunded)
            case "requires_action":
                action = CustomerAction(AUTHENTICATE, intent.client_secret)
                return GatewayPayment(intent.id, GatewayStatus.ACTION_REQUIRED, action=action)
            case "canceled" if error:
                return GatewayPayment(intent.id, GatewayStatus.DECLINED, error)
            case "canceled":
                return GatewayPayment(intent.id, GatewayStatus.VOIDED)
        return GatewayPayment(intent.id, GatewayStatus.OPEN)

    def _made(self, requests: Requests, intent_id: str, refund_key: str) -> "stripe.Refund | None":
        """The refund of this key: Stripe forgets an idempotency key after a day, a refund's metadata never."""
        refunds = _refunds(requests, intent_id)
        return next((made for made in refunds if _metadata(made, "refund_key") == refund_key), None)

    def _refund(
        self, requests: Requests, key: str, refund_key: str, intent_id: str, units: int, idempotency_key: str
    ) -> "stripe.Refund":
        """Gives back so many units of Stripe's.

        Raises:
            RefundRefused: final.
        """
        import stripe

        def make(idempotency_key: str) -> "stripe.Refund":
            return requests.send(
                lambda client: client.v1.refunds.create(
                    {
                        "payment_intent": intent_id,
                        "amount": units,
                        "metadata": {"key": key, "refund_key": refund_key},
                    },
                    {"idempotency_key": idempotency_key},
                )
            )

        try:
            return _under_key(idempotency_key, make, lambda: self._made(requests, intent_id, refund_key))
        except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            if error.code in _NOT_ENOUGH_BALANCE:
                raise PaymentGatewayUnavailable(
                    "the balance at Stripe does not suffice for the refund", gateway_at_fault=False
                ) from None
            reason = error.code or getattr(error, "param", None) or "other amount under the same key"
            raise RefundRefused(f"Stripe refuses the refund ({reason})") from None


def _under_key(key: str, send: Callable[[str], T], made: Callable[[], T | None] = lambda: None) -> T:
    """Sends a request under an idempotency key.

    Stripe keeps also a 5xx under its key, for a day. When it replays one, or says that the key came with other
    parameters before (those of an earlier release, perhaps), that request has ended: if `made` finds no effect of it,
    there was none and there will be none, and another key may be used.
    """
    import stripe

    for number in range(1, _KEYS_AT_MOST + 1):
        try:
            return send(key if number == 1 else f"{key}-{number}")
        except (PaymentGatewayTimeout, stripe.IdempotencyError) as error:
            if number == _KEYS_AT_MOST or not _has_ended(error):
                raise
            found = made()
            if found is not None:
                return found
    raise AssertionError("unreachable")


def _has_ended(error: Exception) -> bool:
    """Whether an earlier request under the same key has ended."""
    import stripe

    cause = error.__cause__
    return isinstance(error, stripe.IdempotencyError) or (
        isinstance(cause, stripe.StripeError) and is_replayed(cause)
    )


def _read(requests: Requests, request: "Callable[[stripe.StripeClient], T]") -> T:
    import stripe

    try:
        return requests.send(request)
    except stripe.InvalidRequestError as error:
        raise _defect(error) from None


def _retrieve(requests: Requests, intent_id: str) -> "stripe.PaymentIntent":
    return _read(
        requests, lambda client: client.v1.payment_intents.retrieve(intent_id, {"expand": _WITH_CHARGE})
    )


def _cancel(requests: Requests, intent_id: str) -> "stripe.PaymentIntent":
    """The intent, cancelled if that was still possible."""
    import stripe

    try:
        return requests.send(
            lambda client: client.v1.payment_intents.cancel(intent_id, {"expand": _WITH_CHARGE})
        )
    except stripe.InvalidRequestError as error:
        if error.code != "payment_intent_unexpected_state":
            raise _defect(error) from None
        return _retrieve(requests, intent_id)


def _refunds(requests: Requests, intent_id: str) -> Iterator["stripe.Refund"]:
    """All refunds of an intent, page after page."""
    last: str | None = None
    while True:
        page = _read(
            requests,
            lambda client, last=last: client.v1.refunds.list(  # type: ignore[misc]
                {"payment_intent": intent_id, "limit": _PAGE, **({"starting_after": last} if last else {})}
            ),
        )
        yield from page.data
        if not page.has_more:
            return
        last = page.data[-1].id


def _metadata(refund: "stripe.Refund", name: str) -> str | None:
    return refund.metadata[name] if refund.metadata and name in refund.metadata else None


def _charge(intent: "stripe.PaymentIntent") -> "stripe.Charge | None":
    charge = intent.latest_charge
    assert not isinstance(charge, str), "it was asked for as a whole"
    return charge


def _refunded(intent: "stripe.PaymentIntent") -> int:
    """In Stripe's units."""
    charge = _charge(intent)
    return charge.amount_refunded if charge and intent.status == "succeeded" else 0


def _failure(intent: "stripe.PaymentIntent") -> str:
    """The class name of the business failure that a decline is."""
    error, charge = intent.last_payment_error, _charge(intent)
    is_blocked = charge is not None and charge.outcome is not None and charge.outcome.type == "blocked"
    # Stripe leaves it out where there is none.
    is_fraud = is_blocked or getattr(error, "decline_code", None) in _FRAUD
    return (FraudSuspected if is_fraud else PaymentDeclined).__name__


def _without_intent(key: str, record: Record) -> GatewayPayment:
    """Of a key that was closed before Stripe had heard of it. It has no id there: it is told under its key."""
    if record.error:
        return GatewayPayment(key, GatewayStatus.DECLINED, record.error)
    return GatewayPayment(key, GatewayStatus.VOIDED)


def _refuse(record: Record) -> NoReturn:
    if record.error:
        raise (business_failure(record.error) or PaymentDeclined)("Stripe has declined the payment")
    raise StepFenced("the payment was voided")


def _defect(error: "stripe.InvalidRequestError") -> PaymentGatewayUnavailable:
    """Stripe refuses what we ask of it for every order alike: they wait until somebody has mended it.

    An intent that it does not know is that of another account: the order's own affair.
    """
    logger.error(
        "Stripe does not understand a request of ours",
        extra={"code": error.code, "param": error.param, "request_id": error.request_id},
    )
    return PaymentGatewayUnavailable(
        f"Stripe does not take our request ({error.code or error.param})",
        gateway_at_fault=error.http_status != 404,
    )
