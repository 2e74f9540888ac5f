"""Every route of the API, whichever construct adds it."""

from typing import Final

from infra.constructs import api, operations

EVERY_ROUTE: Final = (*api.ROUTES, *operations.ROUTES)
