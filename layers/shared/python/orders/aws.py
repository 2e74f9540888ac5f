"""Clients of AWS's services, each with the longest time that a call of it may take.

boto3 is imported when the first client is made: it is a third of a cold start, and an import has no need of it.
"""

from typing import Any, Final, Literal

CONNECT_TIMEOUT_SECONDS: Final = 1


def connect(
    service: Literal["ses", "sns", "sqs", "stepfunctions"],
    *,
    read_timeout_seconds: float,
    attempts: int,
    **options: Any,
) -> Any:
    """A client of the service. `attempts` are the SDK's, the first included, with its waits between them; `options` are
    further ones of `botocore.config.Config`."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        **options,
    )
    return boto3.client(service, config=config)
