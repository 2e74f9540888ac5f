import pytest

from orders.db import Database
from tests.integration.mail_feedback.mails import Mails


@pytest.fixture
def mails(database: Database, monkeypatch: pytest.MonkeyPatch) -> Mails:
    return Mails.installed(database, monkeypatch)
