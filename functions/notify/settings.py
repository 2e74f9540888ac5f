from pydantic import Json

from functions.notify.limits import ChannelLimits
from orders.domain import Channel
from orders.settings import ConsumerSettings


class Settings(ConsumerSettings):
    sender_email: str
    """A verified SES identity."""
    mail_configuration_set: str
    """The SES configuration set of every mail: it says where SES tells of bounces and complaints."""
    sms_sender_id: str
    """The name that text messages come from, where networks show one; may be empty."""
    sms_origination_number: str
    """A number of ours that text messages come from, where networks require one; may be empty."""
    message_limits: Json[dict[Channel, ChannelLimits]]
    """A JSON object: by channel, how many messages may be sent in an hour."""
    user_pool_id: str
    """Where the accounts are."""
    code_key_id: str
    """ARN or name of the Secrets Manager secret that confirmation codes are derived from."""
