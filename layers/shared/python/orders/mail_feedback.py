"""What SES tells of mails that it took: its events of bounces and complaints, as SNS passes them on to the queue.

Their form is in the SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS". A message
only says where to look (promise I14): `functions/mail_feedback` compares it with what we have sent.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orders.domain import MailFeedback

GREETING: Final = "Successfully validated SNS topic for Amazon SES event publishing."
"""What SES publishes when it is told of the topic."""


class _Part(BaseModel):
    # A malformed message may hold anything, and an error's text ends in a log.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)


class _Mail(_Part):
    message_id: Annotated[str, Field(validation_alias="messageId", pattern=r"^[\x21-\x7e]{1,200}$")]


class _Recipient(_Part):
    address: str = Field(validation_alias="emailAddress", repr=False)


class _Bounce(_Part):
    type: Literal["Permanent", "Transient", "Undetermined"] = Field(validation_alias="bounceType")
    recipients: tuple[_Recipient, ...] = Field(validation_alias="bouncedRecipients")


class _Complaint(_Part):
    recipients: tuple[_Recipient, ...] = Field(validation_alias="complainedRecipients")


class MailEvent(_Part):
    """A bounce or a complaint, as a message claims it."""

    mail: _Mail
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if (self.bounce is None) == (self.complaint is None):
            raise ValueError("it is a bounce or a complaint")
        return self

    @property
    def feedback(self) -> MailFeedback | None:
        """What became of the mail for good; None if it came back for a reason that may pass."""
        if self.bounce is None:
            return MailFeedback.COMPLAINED
        return MailFeedback.BOUNCED if self.bounce.type == "Permanent" else None

    @property
    def addresses(self) -> frozenset[str]:
        """Those it is about, in small letters."""
        told = self.bounce or self.complaint
        return frozenset(each.address.strip().lower() for each in told.recipients) if told else frozenset()
