"""The private network of the managed database and of the functions that use it."""

from typing import Final

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import DatabasePolicy, Stage

_POSTGRES: Final = ec2.Port.tcp(5432)


class Network(Construct):
    """Two zones, or those that a deploy names; functions in subnets that reach AWS's APIs through NAT, the database
    where nothing leads out.

    No interface endpoints: SQS, Secrets Manager, SES and X-Ray in two zones would cost more than the NAT gateways
    that the payment gateway and customers' webhooks need anyway.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, policy: DatabasePolicy) -> None:
        super().__init__(scope, id)
        self.function_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        self.database_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            **({"availability_zones": [*policy.zones]} if policy.zones else {"max_azs": 2}),
            nat_gateways=policy.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24),
                ec2.SubnetConfiguration(
                    name="functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20
                ),
                ec2.SubnetConfiguration(
                    name="database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                ),
            ],
        )
        # Only what was refused: that is what an operator looks for, and it costs next to nothing.
        self.vpc.add_flow_log(
            "Refused",
            traffic_type=ec2.FlowLogTrafficType.REJECT,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                logs.LogGroup(
                    self,
                    "FlowLogs",
                    retention=stage.log_retention,
                    removal_policy=stage.removal_policy,
                )
            ),
        )
        self.functions = self._security_group("Functions", "Functions that use the database")
        self.proxy = self._security_group("Proxy", "The database proxy")
        self.database = self._security_group("Database", "The database")

        self.functions.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS APIs and the payment gateway"
        )
        self.functions.connections.allow_to(self.proxy, _POSTGRES, "Functions use the database by the proxy")
        # CDK opens the way from the proxy to the database itself, where it joins the two.

    def _security_group(self, id: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, f"{id}SecurityGroup", vpc=self.vpc, description=description, allow_all_outbound=False
        )
