"""Brings the database to the newest migration; a failure fails the deploy."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.migrate.migrate import upgrade
from functions.migrate.settings import Settings
from orders.db import read_secret
from orders.observability import instrumented, logger

settings = Settings.from_environment()


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    revision = upgrade(read_secret(settings), provider=settings.payment_provider)
    logger.info("Database is up to date", revision=revision)
    return {"revision": revision}
