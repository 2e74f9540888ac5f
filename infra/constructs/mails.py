"""What SES knows of us: who sends, and where it tells of mails that came back or were complained of."""

from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stages import Stage


class Mails(Construct):
    """The configuration set that every mail is sent with. Its bounces and complaints go to a topic, to which only SES
    may publish, for this configuration set alone; from there to a queue, to which only the topic may send.

    The account's own suppression list does not count for these mails: there is one list, which operators can change.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, feedback: sqs.Queue) -> None:
        """`feedback` is the queue for bounces and complaints."""
        super().__init__(scope, id)
        self.topic = sns.Topic(
            self,
            "Topic",
            topic_name=stage.resource_name("mail-feedback"),
            display_name="Bounces and complaints",
            enforce_ssl=True,
        )
        self.topic.add_subscription(subscriptions.SqsSubscription(feedback, raw_message_delivery=True))
        self.configuration_set = ses.ConfigurationSet(
            self,
            "ConfigurationSet",
            configuration_set_name=stage.resource_name("mails"),
            reputation_metrics=True,
            disable_suppression_list=True,
        )
        self.configuration_set.add_event_destination(
            "Feedback",
            destination=ses.EventDestination.sns_topic(self.topic),
            configuration_set_event_destination_name="mail-feedback",
            events=[ses.EmailSendingEvent.BOUNCE, ses.EmailSendingEvent.COMPLAINT],
        )
        if stage.creates_sender:
            ses.EmailIdentity(
                self,
                "Sender",
                identity=ses.Identity.email(stage.sender_email),
                configuration_set=self.configuration_set,
            )
