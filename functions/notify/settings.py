from orders.settings import ConsumerSettings


class Settings(ConsumerSettings):
    sender_email: str
    """A verified SES identity."""
    sms_sender_id: str
    """The name that text messages come from, where networks show one; may be empty."""
    sms_origination_number: str
    """A number of ours that text messages come from, where networks require one; may be empty."""
