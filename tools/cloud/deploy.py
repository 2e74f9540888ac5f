"""The deploy: the CDK command line, the same that deploys to AWS, pointed at the local cloud."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra import assets
from tools.cloud import aws
from tools.cloud.processes import log_tail
from tools.cloud.settings import ACCOUNT, DATA_STACK_NAME, REGION, ROOT, STACK_NAME, STAGE, Settings
from tools.errors import LocalCloudError

_CDK: Final = ROOT / "node_modules" / ".bin" / "cdk"
_TOOLKIT_STACK_NAME: Final = "CDKToolkit"
_DEPLOYED_STATUSES: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_DEPLOY_OPTIONS: Final = ("--require-approval", "never", "--progress", "events", "--method", "direct")
_INPUTS: Final = (
    "infra",
    "functions",
    "layers",
    "statemachines",
    "requirements",
    "cdk.json",
    "package-lock.json",
)
# Node 20 serves the pinned versions, banner or not; and nothing of this goes to a network.
_CDK_ENVIRONMENT: Final = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    # Whether CloudFormation would take the template takes longer to check than to synthesize, and it never goes there.
    "CDK_VALIDATION": "false",
}


def context(
    database: Mapping[str, str | int], payment_provider: str, stripe_url: str | None
) -> dict[str, str]:
    """What the CDK app is told of a local cloud: its database (the secret's content), and who takes its payments."""
    return {
        "stage": STAGE,
        "database": json.dumps(database, sort_keys=True),
        "payment_provider": payment_provider,
        **({"stripe_api_base": stripe_url} if stripe_url else {}),
    }


def synthesize(settings: Settings, context: Mapping[str, str]) -> Path:
    """Synthesizes the local stage; returns the assembly's directory.

    Nothing to do if the last assembly was made from the same inputs. Needs no emulator.
    Raises LocalCloudError with the end of the log if the app fails.
    """
    assembly = assembly_directory(settings)
    made_from = assembly / ".inputs"
    inputs = inputs_digest(context)
    if not made_from.exists() or made_from.read_text() != inputs:
        options = [part for name, value in context.items() for part in ("-c", f"{name}={value}")]
        made_from.unlink(missing_ok=True)
        _cdk(settings, ["synth", STACK_NAME, "--quiet", "--output", str(assembly), *options], ROOT)
        made_from.write_text(inputs)
    return assembly


def assembly_directory(settings: Settings) -> Path:
    return settings.home / "cdk.out"


def bootstrap(settings: Settings) -> None:
    """Makes what every CDK deploy needs (a bucket for assets, and roles), unless it is there.

    Raises LocalCloudError with the end of the log if that fails.
    """
    if _deployed(settings, _TOOLKIT_STACK_NAME) is None:
        # Not in the project's directory: the app found there would be synthesized for nothing.
        _cdk(settings, ["bootstrap", f"aws://{ACCOUNT}/{REGION}"], settings.temporary)


def deploy(settings: Settings, assembly: Path) -> dict[str, str]:
    """Deploys the assembly, data first; returns the outputs of the application's stack by id.

    Raises LocalCloudError with the end of the log if that fails.
    """
    if _deployed(settings, STACK_NAME) and not _deployed(settings, DATA_STACK_NAME):
        # The application's update would delete, by their names, the resources that the other stack has just made.
        raise LocalCloudError(f"{STACK_NAME} stands without {DATA_STACK_NAME}: start the emulator anew.")
    outputs = settings.temporary / "outputs.json"
    outputs.unlink(missing_ok=True)
    options = ["--app", str(assembly), "--outputs-file", str(outputs)]
    _cdk(settings, ["deploy", STACK_NAME, *options, *_DEPLOY_OPTIONS], ROOT)
    found: dict[str, str] = json.loads(outputs.read_text())[STACK_NAME]
    return found


def apply_reserved_concurrency(settings: Settings, assembly: Path) -> None:
    """Sets what the template reserves for each function: MiniStack reads it from API calls only."""
    client = aws.functions(settings)
    for properties in resources(assembly, "AWS::Lambda::Function"):
        reserved = properties.get("ReservedConcurrentExecutions")
        if reserved is not None:
            client.put_function_concurrency(
                FunctionName=properties["FunctionName"], ReservedConcurrentExecutions=reserved
            )


def tell_of_mails(settings: Settings, assembly: Path, topic_arn: str) -> None:
    """Has the emulator tell the topic of bounces and complaints: MiniStack knows those of a sender, and none of a
    configuration set. As on AWS, a mail to `bounce@simulator.amazonses.com` comes back, and one to `complaint@…` is
    complained of."""
    client = aws.mails(settings)
    for properties in resources(assembly, "AWS::SES::EmailIdentity"):
        for kind in ("Bounce", "Complaint"):
            client.set_identity_notification_topic(
                Identity=properties["EmailIdentity"], NotificationType=kind, SnsTopic=topic_arn
            )


def resources(assembly: Path, resource_type: str) -> Iterator[dict[str, Any]]:
    """The properties of each resource of a type, in either stack's template."""
    for name in (DATA_STACK_NAME, STACK_NAME):
        template = json.loads((assembly / f"{name}.template.json").read_text())
        for resource in template["Resources"].values():
            if resource["Type"] == resource_type:
                yield resource.get("Properties", {})


def stack_id(settings: Settings) -> str | None:
    """The unique id of the application's deployed stack; None if there is none or its last deploy did not succeed."""
    return _deployed(settings, STACK_NAME)


def inputs_digest(context: Mapping[str, str]) -> str:
    """Changes with anything that a deploy is made from.

    Raises LocalCloudError if the functions' dependencies cannot be installed.
    """
    digest = hashlib.sha256(json.dumps(context, sort_keys=True).encode())
    try:
        # Functions run from these directories, which are not in the assembly: they must be there, too.
        directories = (
            assets.layer_directory("local"),
            *(assets.provider_layer_directory(name, "local") for name in assets.payment_providers()),
            assets.runtime_interpreter(),
        )
        digest.update(" ".join(map(str, directories)).encode())
    except assets.AssetError as error:
        raise LocalCloudError(str(error)) from None
    for name in _INPUTS:
        for file in sorted((ROOT / name).rglob("*")) or [ROOT / name]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
                digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def _deployed(settings: Settings, name: str) -> str | None:
    from botocore.exceptions import ClientError

    try:
        (stack,) = aws.stacks(settings).describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return None
    return str(stack["StackId"]) if stack["StackStatus"] in _DEPLOYED_STATUSES else None


def _cdk(settings: Settings, arguments: Sequence[str], directory: Path) -> None:
    command = arguments[0]
    log = settings.logs / f"cdk-{command}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    settings.temporary.mkdir(parents=True, exist_ok=True)
    environment = (
        settings.aws_environment() | _CDK_ENVIRONMENT | {"CDK_HOME": str(settings.temporary / "cdk")}
    )
    with log.open("wb") as output:
        done = subprocess.run(
            [str(_CDK), *arguments, "--no-notices", "--no-color"],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # It inherits the lock of `cloud.exclusive`: if we are killed, the next one waits until it has ended.
            close_fds=False,
            check=False,
        )
    if done.returncode != 0:
        raise LocalCloudError(f"cdk {command} failed.\n{log_tail(log)}")
