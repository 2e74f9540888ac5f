"""Postgres: Aurora behind a proxy on AWS, or one that was there before the stack on the local cloud."""

from typing import TypeAlias, TypedDict

from aws_cdk import Duration, RemovalPolicy, SecretValue
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.network import Network
from infra.findings import accept
from infra.stages import DatabasePolicy, Stage


class Placement(TypedDict, total=False):
    """Where a Lambda function has to run to reach the database."""

    vpc: ec2.IVpc
    vpc_subnets: ec2.SubnetSelection
    security_groups: list[ec2.ISecurityGroup]


class LocalDatabase(Construct):
    """A Postgres outside the stack; only its credentials are kept here, as they are on AWS."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, credentials: str) -> None:
        """`credentials` is the secret's JSON; it ends in the template, which is why only the local stage does it."""
        super().__init__(scope, id)
        self._secret = secretsmanager.Secret(
            self,
            "Secret",
            secret_name=stage.resource_name("database"),
            secret_string_value=SecretValue.unsafe_plain_text(credentials),
            removal_policy=stage.removal_policy,
        )

    @property
    def placement(self) -> Placement:
        """Anywhere: there is no network around it."""
        return {}

    def allow_placement(self, role: iam.Role) -> None:
        """Takes no rights."""

    def grant_connect(self, function: lambda_.Function) -> None:
        """Tells the function where the credentials are, and lets it read them."""
        function.add_environment("DATABASE_SECRET_ID", self._secret.secret_arn)
        self._secret.grant_read(function)


class ManagedDatabase(Construct):
    """Aurora Serverless v2, reached only through RDS Proxy over TLS.

    The proxy lets many short-lived functions share few connections, and keeps them across a failover.
    """

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, policy: DatabasePolicy, network: Network
    ) -> None:
        super().__init__(scope, id)
        self._network = network
        cluster_name = stage.resource_name("database")
        # Made before the cluster so that it has a retention; RDS would create it without one.
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/rds/cluster/{cluster_name}/postgresql",
            retention=stage.log_retention,
            removal_policy=stage.removal_policy,
        )
        self.cluster = cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            cluster_identifier=cluster_name,
            engine=rds.DatabaseClusterEngine.aurora_postgres(
                version=rds.AuroraPostgresEngineVersion.of(
                    policy.engine_version, policy.engine_version.partition(".")[0]
                )
            ),
            default_database_name="orders",
            credentials=rds.Credentials.from_generated_secret("orders"),
            vpc=network.vpc,
            vpc_subnets=network.database_subnets,
            security_groups=[network.database],
            writer=rds.ClusterInstance.serverless_v2("Writer"),
            readers=[
                rds.ClusterInstance.serverless_v2(f"Reader{number + 1}", scale_with_writer=True)
                for number in range(policy.readers)
            ],
            serverless_v2_min_capacity=policy.min_capacity,
            serverless_v2_max_capacity=policy.max_capacity,
            storage_encrypted=True,
            cloudwatch_logs_exports=["postgresql"],
            # The DETAIL of an error quotes rows, and rows hold contact data.
            parameters={"log_error_verbosity": "terse"},
            backup=rds.BackupProps(retention=Duration.days(policy.backup_days)),
            copy_tags_to_snapshot=True,
            deletion_protection=stage.is_protected,
            removal_policy=RemovalPolicy.SNAPSHOT if stage.keeps_data else RemovalPolicy.DESTROY,
        )
        cluster.node.add_dependency(log_group)
        if cluster.secret is None:  # typed as optional: credentials may come without a secret, ours do not
            raise ValueError("the cluster has no generated secret")
        self._secret = cluster.secret
        accept(
            cluster,
            "Functions log in to the proxy with the secret, and the proxy does to the cluster.",
            "RDS6",
        )
        accept(
            cluster,
            "Rotation takes a function in the network, and the password opens a proxy that only the functions reach.",
            "SMG4",
        )
        self.proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            proxy_target=rds.ProxyTarget.from_cluster(cluster),
            secrets=[self._secret],
            vpc=network.vpc,
            vpc_subnets=network.database_subnets,
            security_groups=[network.proxy],
            require_tls=True,
            client_password_auth_type=rds.ClientPasswordAuthType.POSTGRES_SCRAM_SHA_256,
            # A request that gets no connection in this time gets a 503 while its client still waits.
            borrow_timeout=Duration.seconds(5),
        )

    @property
    def placement(self) -> Placement:
        """Inside the network, in the one group that the proxy lets in."""
        return {
            "vpc": self._network.vpc,
            "vpc_subnets": self._network.function_subnets,
            "security_groups": [self._network.functions],
        }

    def allow_placement(self, role: iam.Role) -> None:
        """The rights that being put there takes.

        Lambda manages the network interfaces with the function's role, and nobody knows their names beforehand.
        """
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                resources=["*"],
            )
        )

    def grant_connect(self, function: lambda_.Function) -> None:
        """Tells the function where the proxy and the credentials are, and lets it read those."""
        function.add_environment("DATABASE_SECRET_ID", self._secret.secret_arn)
        function.add_environment("DATABASE_HOST", self.proxy.endpoint)
        self._secret.grant_read(function)


Database: TypeAlias = LocalDatabase | ManagedDatabase
