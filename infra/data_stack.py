"""What cannot be made again from this repository, in a stack of its own."""

from aws_cdk import Stack
from constructs import Construct

from infra.constructs.alarm_topic import AlarmTopic
from infra.constructs.custom_resources import keep_logs_of_custom_resources
from infra.constructs.database import Database, LocalDatabase, ManagedDatabase
from infra.constructs.identity import Identity
from infra.constructs.keys import Keys
from infra.constructs.mails import Mails
from infra.constructs.network import Network
from infra.constructs.queues import Queues
from infra.stages import Stage
from orders.events import Queue


class DataStack(Stack):
    """Database, users, keys, messages, and whom others have confirmed to us: SES a sender, people their subscription to
    alarms. None of our code runs here (ADR 0046)."""

    def __init__(self, scope: Construct, *, stage: Stage, local_database: str | None = None) -> None:
        """`local_database` is the secret's JSON for a stage that brings its own database."""
        super().__init__(
            scope,
            stage.resource_name("data"),
            description=f"Data of the order pipeline, stage {stage.name}",
            termination_protection=stage.is_protected,
            analytics_reporting=False,
        )
        self.database = self._database(stage, local_database)
        self.identity = Identity(self, "Identity", stage=stage)
        self.queues = Queues(self, "Queues", stage=stage)
        self.mails = Mails(self, "Mails", stage=stage, feedback=self.queues[Queue.MAIL_FEEDBACK])
        self.keys = Keys(self, "Keys", stage=stage)
        self.alarms = AlarmTopic(self, "Alarms", stage=stage).topic
        keep_logs_of_custom_resources(self, stage)

    def _database(self, stage: Stage, local_database: str | None) -> Database:
        if stage.database:
            network = Network(self, "Network", stage=stage, policy=stage.database)
            return ManagedDatabase(self, "Database", stage=stage, policy=stage.database, network=network)
        if local_database is None:
            raise ValueError(
                f"stage {stage.name!r} makes no database of its own: give its credentials as "
                """-c database='{"username":…,"password":…,"host":…,"port":…,"dbname":…}'"""
            )
        return LocalDatabase(self, "Database", stage=stage, credentials=local_database)
