"""Whether an AWS account is ready for the first deploy of a stage: quotas, sandboxes and identities, which only people
can change and no template can ask about.

Every check only reads. What one may not look at is told as that, and stops no other check.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tools.errors import Refused, Unavailable

if TYPE_CHECKING:
    import boto3

    from infra.stages import Stage

_TOOLKIT_STACK: Final = "CDKToolkit"
_BOOTSTRAP_VERSION: Final = 6
"""The oldest that CDK 2 deploys with."""
_STANDING: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
_FAILED_AT_FIRST: Final = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
_AURORA: Final = "aurora-postgresql"
_SERVERLESS: Final = "db.serverless"
_ZONES_NEEDED: Final = 2
_WITHOUT_PROXY: Final = frozenset({"use1-az3"})
"""Ids of zones that RDS Proxy is known not to be in. AWS has no list to ask for, and leaves out such a zone's subnet
without a word (hashicorp/terraform-provider-aws, issue 17781)."""
_DEFAULT_SMS_USD: Final = 1


class Status(StrEnum):
    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """Nobody looked: the caller may not, or the service did not respond."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    detail: str
    action: str | None = None
    """What to do, or to ask AWS for, before the deploy."""


@dataclass(frozen=True)
class Preflight:
    """The account as the caller sees it, and what the checks found."""

    account: str
    region: str
    findings: Sequence[Finding]

    @property
    def is_ready(self) -> bool:
        return all(finding.status is Status.OK for finding in self.findings)


class _Missing(Exception):
    """Something has to be done first."""

    def __init__(self, detail: str, action: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.action = action


@dataclass(frozen=True)
class _Look:
    """What a check works with."""

    session: "boto3.Session"
    stage: "Stage"
    account: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = _client(self.session, service)
        return self._clients[service]

    @cached_property
    def zone_ids(self) -> dict[str, str]:
        """The region's zones: names, which each account has its own of, and ids."""
        zones = self.client("ec2").describe_availability_zones(
            Filters=[
                {"Name": "state", "Values": ["available"]},
                {"Name": "zone-type", "Values": ["availability-zone"]},
            ]
        )["AvailabilityZones"]
        return {zone["ZoneName"]: zone["ZoneId"] for zone in zones}

    @property
    def is_real(self) -> bool:
        """The stage takes real orders: its customers' addresses are nobody's that we have verified."""
        return not self.stage.allows_test_payments


Check = Callable[[_Look], str]
"""Returns what is well; raises `_Missing`, or an error of the SDK."""


def preflight(session: "boto3.Session", stage: "Stage") -> Preflight:
    """Looks at the session's account and region.

    Raises:
        Refused: there are no credentials, or AWS does not take them.
        Unavailable: AWS does not respond.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        account = _client(session, "sts").get_caller_identity()["Account"]
    except NoCredentialsError:
        raise Refused("There are no AWS credentials here. Sign in, or set AWS_PROFILE.") from None
    except ClientError as error:
        raise Refused(f"AWS does not take these credentials: {_said(error)}") from None
    except BotoCoreError as error:
        raise Unavailable(f"AWS does not respond: {error}") from None
    return Preflight(account, session.region_name, tuple(_findings(_Look(session, stage, account))))


def _client(session: "boto3.Session", service: str) -> Any:
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
    return session.client(service, config=config)  # type: ignore[call-overload]  # any service


def _findings(look: _Look) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    for name, check in CHECKS.items():
        try:
            yield Finding(name, Status.OK, check(look))
        except _Missing as missing:
            yield Finding(name, Status.MISSING, missing.detail, missing.action)
        except ClientError as error:
            action = f"Allow {error.operation_name} to whoever runs this, and run it again."
            yield Finding(name, Status.UNKNOWN, f"Could not look: {_said(error)}", action)
        except BotoCoreError as error:
            yield Finding(
                name,
                Status.UNKNOWN,
                f"Could not look: {error}",
                "Run it again; if it stays, the region may not have the service.",
            )


def _said(error: Any) -> str:
    said = error.response["Error"]
    return f"{said['Code']}: {said.get('Message', '')}".rstrip(": ")


def _lambda_quota(look: _Look) -> str:
    from infra.stages import UNRESERVED_CONCURRENCY

    limits = look.client("lambda").get_account_settings()["AccountLimit"]
    quota, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    told = look.stage.lambda_quota
    if told is not None and told > quota:
        raise _Missing(
            f"The quota is {quota} concurrent executions, and not {told}.",
            f"Deploy with -c lambda_quota={quota}, or ask for more first.",
        )
    # Of a stage that is there, its own are among them.
    others = 0 if _stack(look, f"orders-{look.stage.name}") else quota - unreserved
    needed = look.stage.reserved_concurrency + UNRESERVED_CONCURRENCY + others
    if quota < needed:
        elsewhere = f", and other functions of the account reserve {others}" if others else ""
        raise _Missing(
            f"The quota is {quota} concurrent executions. The stage's steps reserve "
            f"{look.stage.reserved_concurrency}, Lambda keeps {UNRESERVED_CONCURRENCY}{elsewhere}.",
            f"Ask for {needed} or more: aws service-quotas request-service-quota-increase --service-code lambda "
            f"--quota-code L-B99A9384 --desired-value {max(needed, 1_000)}",
        )
    return f"The quota is {quota} concurrent executions: deploy with -c lambda_quota={quota}."


def _ses_account(look: _Look) -> str:
    account = look.client("sesv2").get_account()
    if not account["SendingEnabled"]:
        raise _Missing(
            f"SES sends nothing for this account (its status is {account.get('EnforcementStatus', 'unknown')}).",
            "Open a case with AWS Support: SES says there why it paused the account.",
        )
    if account["ProductionAccessEnabled"]:
        quota = account.get("SendQuota", {}).get("Max24HourSend", 0)
        return f"SES sends to anybody, up to {quota:.0f} mails a day."
    if look.is_real:
        raise _Missing(
            "SES is in its sandbox: it sends to verified recipients only.",
            "Ask for production access: aws sesv2 put-account-details --production-access-enabled "
            "--mail-type TRANSACTIONAL --website-url https://your-shop.example",
        )
    return "SES is in its sandbox: it sends to verified recipients only, which is enough for this stage."


def _sender(look: _Look) -> str:
    ses = look.client("sesv2")
    address = look.stage.sender_email
    domain = address.partition("@")[2]
    for identity in (address, domain):
        try:
            found = ses.get_email_identity(EmailIdentity=identity)
        except ses.exceptions.NotFoundException:
            continue
        if look.stage.creates_sender and identity == address:
            raise _Missing(
                f"SES has an identity {address} already, and the stack would make it.",
                "Deploy without -c create_sender=true.",
            )
        if found["VerifiedForSendingStatus"]:
            return f"SES has verified {identity}."
    if look.stage.creates_sender:
        return f"The stack makes the identity {address}; SES then sends it a mail to confirm."
    raise _Missing(
        f"SES has verified neither {address} nor {domain} in this region.",
        f"Verify the domain: aws sesv2 create-email-identity --email-identity {domain}, and add the DKIM records that "
        "it returns to your DNS. Or name another sender: -c sender_email=…",
    )


def _text_messages(look: _Look) -> str:
    wanted = look.stage.sms_monthly_usd
    sns = look.client("sns")
    is_in_sandbox = sns.get_sms_sandbox_account_status()["IsInSandbox"]
    limits = sns.get_sms_attributes(attributes=["MonthlySpendLimit"])["attributes"]
    limit = float(limits.get("MonthlySpendLimit") or _DEFAULT_SMS_USD)
    if is_in_sandbox and look.is_real:
        raise _Missing(
            "SNS is in its sandbox for text messages: it sends to verified numbers only.",
            "Leave it in the SNS console: Text messaging, Exit SMS sandbox.",
        )
    if wanted is not None and limit < wanted:
        raise _Missing(
            f"Text messages may cost {limit:g} USD a month. The stack sets {wanted}, which AWS refuses beyond the "
            "account's quota.",
            f"Ask AWS Support for a spend limit of {wanted} USD (SNS, text messaging), then see that this works: "
            f"aws sns set-sms-attributes --attributes MonthlySpendLimit={wanted}",
        )
    sandbox = " SNS is in its sandbox: verified numbers only." if is_in_sandbox else ""
    return f"Text messages may cost {limit:g} USD a month.{sandbox}"


def _cognito_mail(look: _Look) -> str:
    name = look.stage.resource_name("users")
    cognito = look.client("cognito-idp")
    pages = cognito.get_paginator("list_user_pools").paginate(PaginationConfig={"PageSize": 60})
    ids = [pool["Id"] for page in pages for pool in page["UserPools"] if pool["Name"] == name]
    kind = "COGNITO_DEFAULT"
    for pool_id in ids:
        pool = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
        kind = pool.get("EmailConfiguration", {}).get("EmailSendingAccount", kind)
    if kind == "DEVELOPER":
        return f"The user pool {name} sends its mails by SES."
    if ids and look.is_real:
        raise _Missing(
            f"The user pool {name} sends its codes by Cognito's own mail: 50 a day in the account.",
            "Set SES as its sender in the Cognito console: Authentication methods, Email.",
        )
    after = " Set SES as the sender of the user pool after the deploy." if look.is_real else ""
    return f"Cognito sends sign-up codes itself: 50 a day in the account.{after}"


def _bootstrap(look: _Look) -> str:
    region = look.session.region_name
    action = f"Bootstrap it: node_modules/.bin/cdk bootstrap aws://{look.account}/{region}"
    stack = _stack(look, _TOOLKIT_STACK)
    if stack is None:
        raise _Missing(f"{region} has no stack {_TOOLKIT_STACK}, which every CDK deploy needs.", action)
    if stack["StackStatus"] not in _STANDING:
        raise _Missing(f"The stack {_TOOLKIT_STACK} is {stack['StackStatus']}.", action)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    version = outputs.get("BootstrapVersion", "0")
    if int(version) < _BOOTSTRAP_VERSION:
        raise _Missing(
            f"The bootstrap is of version {version}; {_BOOTSTRAP_VERSION} or later is needed.", action
        )
    return f"{region} is bootstrapped, version {version}."


def _data_stack(look: _Look) -> str:
    name = look.stage.resource_name("data")
    if not look.stage.keeps_data:
        return f"The stage keeps no data: {name} is not protected from deletion."
    stack = _stack(look, name)
    if stack is None:
        return (
            f"There is no {name} yet: make the first deploy with -c first_deploy=true, then one without it."
        )
    is_protected = stack.get("EnableTerminationProtection", False)
    if stack["StackStatus"] in _FAILED_AT_FIRST:
        if is_protected:
            raise _Missing(
                f"The first deploy of {name} failed, and what is left of it is protected from deletion.",
                "Switch that off: aws cloudformation update-termination-protection --no-enable-termination-protection "
                f"--stack-name {name}, and deploy with -c first_deploy=true.",
            )
        return f"The first deploy of {name} failed; the next one removes what is left of it."
    if not (is_protected or look.stage.is_first_deploy):
        raise _Missing(
            f"{name} stands, and is not protected from deletion: neither are the database and the users in it.",
            "Deploy again, without -c first_deploy=true.",
        )
    return f"{name} is protected from deletion." if is_protected else f"{name} stands."


def _aurora(look: _Look) -> str:
    policy = look.stage.database
    if policy is None:
        return "The stage brings its own database."
    pages = (
        look.client("rds")
        .get_paginator("describe_orderable_db_instance_options")
        .paginate(Engine=_AURORA, EngineVersion=policy.engine_version, DBInstanceClass=_SERVERLESS)
    )
    offered = {
        zone["Name"]
        for page in pages
        for option in page["OrderableDBInstanceOptions"]
        for zone in option["AvailabilityZones"]
    }
    if not offered:
        raise _Missing(
            f"Aurora PostgreSQL {policy.engine_version} is not offered as Serverless v2 in this region.",
            "Choose a version that is: aws rds describe-orderable-db-instance-options --engine aurora-postgresql "
            "--db-instance-class db.serverless, then -c database_engine_version=…",
        )
    _require_zones("Aurora Serverless v2", _zones(look), offered)
    return f"Aurora PostgreSQL {policy.engine_version} is offered in {_listed(offered)}."


def _proxy(look: _Look) -> str:
    if look.stage.database is None:
        return "The stage brings its own database."
    # Fails where the region has no RDS Proxy. Which zones have it, no call of AWS says.
    look.client("rds").describe_db_proxies(MaxRecords=20)
    zones = _zones(look)
    offered = {name for name, zone_id in look.zone_ids.items() if zone_id not in _WITHOUT_PROXY}
    _require_zones("RDS Proxy", zones, offered)
    return f"RDS Proxy is not known to be missing in {_listed(zones)}; AWS has no list of its zones."


CHECKS: Final[dict[str, Check]] = {
    "Lambda quota": _lambda_quota,
    "SES account": _ses_account,
    "Sender of mails": _sender,
    "Text messages": _text_messages,
    "Cognito mail": _cognito_mail,
    "CDK bootstrap": _bootstrap,
    "Stack of the data": _data_stack,
    "Aurora": _aurora,
    "RDS Proxy": _proxy,
}


def _stack(look: _Look, name: str) -> Any:
    """CloudFormation's description of the stack; None if there is none."""
    from botocore.exceptions import ClientError

    try:
        (stack,) = look.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        # It has no error of its own for this.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return stack


def _zones(look: _Look) -> Sequence[str]:
    """Where the stack's network will be: the zones that were named, else the first two."""
    policy = look.stage.database
    assert policy is not None, "only a managed database has zones"
    return policy.zones or sorted(look.zone_ids)[:_ZONES_NEEDED]


def _require_zones(what: str, zones: Sequence[str], offered: Iterable[str]) -> None:
    offered = sorted(offered)
    missing = [zone for zone in zones if zone not in offered]
    if len(zones) < _ZONES_NEEDED or missing:
        choice = ",".join(offered[:_ZONES_NEEDED])
        raise _Missing(
            f"{what} is not in {_listed(missing or zones)}.",
            f"Name zones that have it: -c availability_zones={choice}"
            if len(offered) >= _ZONES_NEEDED
            else "Choose another region.",
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
