"""Who is who outlives the local cloud: after `down` and `up` a user finds the same orders. A new database knows nobody.

What a killed emulator keeps is looked at where it is killed: see `test_killed_cloud`.
"""

import shutil

import pytest

from tests.e2e.identities import Identities
from tools.cloud import local_cloud
from tools.cloud.local_cloud import Sandbox

pytestmark = pytest.mark.timeout(600)


def test_users_their_orders_and_all_ids_outlive_a_stopped_cloud_and_not_its_database(
    breakable_cloud: Sandbox,
) -> None:
    settings = breakable_cloud.settings
    known = Identities.of(breakable_cloud, local_cloud.up(settings, print))

    local_cloud.down(settings, print)
    known.assert_kept(local_cloud.up(settings, print))

    local_cloud.down(settings, print)
    shutil.rmtree(settings.home / "postgres")
    known.assert_forgotten(local_cloud.up(settings, print))
