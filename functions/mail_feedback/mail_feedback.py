"""A bounce or a complaint marks the mail that it is of, once, and its address gets no mail any more.

A message is a claim (promise I14). It has an effect only if we have sent the mail that it names, to the address that it
names. The mail's own record says whether that has happened before: a notification becomes BOUNCED or COMPLAINED once,
and a recipient forgets the mail of its code. So nothing is repeated by a message that is delivered again, also after an
operator has allowed the address.
"""

from typing import Final

from sqlalchemy import Connection, text

from orders import suppressed_addresses
from orders.contract import Metric
from orders.db import Database
from orders.domain import MailFeedback, NotificationStatus
from orders.errors import TransientFailure
from orders.mail_feedback import MailEvent
from orders.observability import count, logger

# A notification is of an order or of a refund, which is of one. The order is locked, so that its contact data cannot be
# erased between here and the end.
_FIND_NOTIFICATION: Final = text("""
    SELECT told.id, orders.id AS order_id, lower(orders.contact_email) AS address
    FROM notifications AS told
    LEFT JOIN refunds ON refunds.id = told.refund_id
    JOIN orders ON orders.id = coalesce(told.order_id, refunds.order_id)
    WHERE told.provider_id = :message_id AND told.channel = 'email'
    FOR SHARE OF orders
""")
_MARK: Final = text("""
    UPDATE notifications SET status = :status WHERE id = :id AND status = ANY (CAST(:before AS text[])) RETURNING id
""")
_FIND_CODE: Final = text("""
    SELECT id, address FROM recipients WHERE code_provider_id = :message_id AND channel = 'email' FOR UPDATE
""")
_FORGET: Final = text("UPDATE recipients SET code_provider_id = NULL WHERE id = :id")

_BEFORE: Final = {
    MailFeedback.BOUNCED: [NotificationStatus.SENT],
    MailFeedback.COMPLAINED: [NotificationStatus.SENT, NotificationStatus.BOUNCED],
}
"""The statuses that it may follow."""
_METRICS: Final = {
    MailFeedback.BOUNCED: Metric.MAILS_BOUNCED,
    MailFeedback.COMPLAINED: Metric.MAILS_COMPLAINED,
}


class MailNotKnownYet(TransientFailure):
    """SES may tell of a mail before its sender has recorded that SES took it."""


def take(database: Database, event: MailEvent, *, is_first_look: bool) -> None:
    """Lets the event take effect, unless it has before. One of no mail of ours has none, and is counted.

    Raises:
        MailNotKnownYet: no such mail is known at the first look. The second one comes when its sender, if there is one,
            has ended: a queue hides a message for longer than a sender's lease.
        DatabaseUnavailable: deliver the event again later.
    """
    logger.append_keys(provider_id=event.mail.message_id)
    feedback = event.feedback
    if feedback is None:
        count(Metric.MAILS_BOUNCED_FOR_NOW)
        logger.info("Mail came back for now")
        return
    told = database.transact(lambda connection: _told(connection, event, feedback))
    if told is None and is_first_look:
        raise MailNotKnownYet("no such mail is known yet")
    if told is None:
        count(Metric.MAIL_FEEDBACK_UNKNOWN)
        logger.warning("Feedback on a mail that is not known, or not to this recipient", feedback=feedback)
    elif told:
        count(_METRICS[feedback])
        logger.warning("Address gets no mail any more", feedback=feedback)
    else:
        logger.info("Feedback took effect before", feedback=feedback)


def _told(connection: Connection, event: MailEvent, feedback: MailFeedback) -> bool | None:
    """Whether the feedback is new; None if we have sent no such mail to such an address."""
    asked = {"message_id": event.mail.message_id}
    mail = connection.execute(_FIND_NOTIFICATION, asked).first()
    if mail is not None and mail.address in event.addresses:
        mark = {"id": mail.id, "status": feedback, "before": _BEFORE[feedback]}
        if connection.execute(_MARK, mark).first() is None:
            return False
        suppressed_addresses.suppress(connection, mail.address, feedback, mail.order_id)
        return True
    code = connection.execute(_FIND_CODE, asked).first()
    if code is not None and code.address in event.addresses:
        connection.execute(_FORGET, {"id": code.id})
        suppressed_addresses.suppress(connection, code.address, feedback, None)
        return True
    return None
