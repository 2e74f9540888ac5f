"""What SES tells of mails that came back or were complained of."""

from typing import Final

from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, QueueConsumer

_BATCH_SIZE: Final = 10


class MailFeedback(Construct):
    """The configuration set that every mail is sent with. Its bounces and complaints go to a topic, to which only SES
    may publish, for this configuration set alone; from there to a queue, to which only the topic may send; and to the
    function that marks the mail and its address.

    The account's own suppression list does not count for these mails: there is one list, which operators can change.
    """

    def __init__(self, scope: Construct, id: str, *, runtime: FunctionRuntime, queue: sqs.Queue) -> None:
        super().__init__(scope, id)
        stage = runtime.stage
        self.topic = sns.Topic(
            self,
            "Topic",
            topic_name=stage.resource_name("mail-feedback"),
            display_name="Bounces and complaints",
            enforce_ssl=True,
        )
        self.topic.add_subscription(subscriptions.SqsSubscription(queue, raw_message_delivery=True))
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
        self.consumer = QueueConsumer(
            self,
            "MailFeedback",
            queue=queue,
            batch_size=_BATCH_SIZE,
            runtime=runtime,
            description="mail-feedback: an address that bounced or complained gets no mail any more",
        )
