"""What AWS keeps and an emulator forgets when it ends: the ids of the API, the user pool and its client, the users with
their subs, who is signed in, and the secrets that the deploy generated.

It is written to a file at each change, not at the end: an emulator that is killed keeps as much as one that is stopped.
"""

import copy
import json
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ministack.core import persistence

_OWNER_ONLY: Final = 0o600
# Each sign-in leaves one. Older ones are those of terminals that nobody looks at any more.
_MOST_REFRESH_TOKENS: Final = 500
_READING: Final = ("Get", "List", "Describe", "AdminGet", "AdminList")


class KeptIdentity:
    """The content of the file, and the emulator's functions that are changed to honour it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._kept: dict[str, Any] = {
            "apis": {},
            "pools": {},
            "secrets": {},
            "refresh_tokens": {},
            "revoked": [],
        }
        if file.exists():
            self._kept |= json.loads(file.read_text(), object_hook=persistence._json_object_hook)

    def install(self, cognito: ModuleType, apigateway: ModuleType, provisioners: ModuleType) -> None:
        """Changes MiniStack's modules, before it serves."""
        self._keep_apis(apigateway, provisioners)
        self._keep_secrets(provisioners)
        self._keep_pools(cognito)

    def _keep_apis(self, apigateway: ModuleType, provisioners: ModuleType) -> None:
        choose_id = apigateway._resolve_custom_api_id

        def choose_kept_id(tags: dict[str, Any], existing: Any) -> Any:
            chosen = choose_id(tags, existing)
            if chosen is None and existing is apigateway._apis:
                # A template has one API of its own; a replacement gets a new id as long as the old one is there.
                kept = self._kept["apis"].get("id") or provisioners.new_uuid()[:8]
                chosen = kept if kept not in existing else provisioners.new_uuid()[:8]
                self._remember("apis", "id", chosen)
            return chosen

        apigateway._resolve_custom_api_id = choose_kept_id  # type: ignore[attr-defined]

    def _keep_secrets(self, provisioners: ModuleType) -> None:
        generate = provisioners._sm_secret_string

        def generate_once(properties: dict[str, Any]) -> str:
            # One whose name is generated is known by its description.
            name = properties.get("Name") or properties.get("Description")
            if name is None or "GenerateSecretString" not in properties:
                return str(generate(properties))
            if name not in self._kept["secrets"]:
                self._remember("secrets", name, generate(properties))
            return str(self._kept["secrets"][name])

        provisioners._sm_secret_string = generate_once  # type: ignore[attr-defined]

    def _keep_pools(self, cognito: ModuleType) -> None:
        create_pool, create_client = cognito._create_user_pool, cognito._create_user_pool_client
        pool_id, client_id, dispatch = cognito._pool_id, cognito._client_id, cognito._dispatch_idp
        wanted: dict[str, str] = {}
        cognito._refresh_tokens.update(self._kept["refresh_tokens"])
        cognito._revoked_tokens.update(self._kept["revoked"])

        def create_kept_pool(data: dict[str, Any]) -> Any:
            kept = self._kept["pools"].get(data.get("PoolName"))
            if kept is None or kept["id"] in cognito._user_pools:
                return create_pool(data)
            with self._lock:
                wanted["pool"] = kept["id"]
                created = create_pool(data)
                wanted.clear()
            pool = cognito._user_pools.get(kept["id"])
            if pool is not None:
                pool["_users"].update(copy.deepcopy(kept["users"]))
            return created

        def create_kept_client(data: dict[str, Any]) -> Any:
            pool = cognito._user_pools.get(data.get("UserPoolId"), {})
            kept = self._kept["pools"].get(pool.get("Name"), {"clients": {}})
            known = kept["clients"].get(data.get("ClientName", ""))
            with self._lock:
                if known is not None and known not in pool["_clients"]:
                    wanted["client"] = known
                created = create_client(data)
                wanted.clear()
            self._save(cognito)
            return created

        async def dispatch_and_keep(action: str, data: dict[str, Any]) -> Any:
            _restore_members(cognito)
            done = await dispatch(action, data)
            if not action.startswith(_READING):
                self._save(cognito)
            return done

        cognito._pool_id = lambda: wanted.get("pool") or pool_id()  # type: ignore[attr-defined]
        cognito._client_id = lambda: wanted.get("client") or client_id()  # type: ignore[attr-defined]
        cognito._create_user_pool = create_kept_pool  # type: ignore[attr-defined]
        cognito._create_user_pool_client = create_kept_client  # type: ignore[attr-defined]
        cognito._dispatch_idp = dispatch_and_keep  # type: ignore[attr-defined]

    def _save(self, cognito: ModuleType) -> None:
        """Pools that are not there now are kept: a deploy that is rolled back, or is only beginning, has none."""
        with self._lock:
            for pool in list(cognito._user_pools.all_values()):
                self._kept["pools"][pool["Name"]] = {
                    "id": pool["Id"],
                    "clients": {client["ClientName"]: id_ for id_, client in pool["_clients"].items()},
                    "users": copy.deepcopy(pool["_users"]),
                }
            tokens = list(cognito._refresh_tokens.items())[-_MOST_REFRESH_TOKENS:]
            self._kept["refresh_tokens"] = dict(tokens)
            self._kept["revoked"] = sorted(cognito._revoked_tokens)
            self._write()

    def _remember(self, kind: str, name: str, value: str) -> None:
        with self._lock:
            self._kept[kind][name] = value
            self._write()

    def _write(self) -> None:
        """Whole or not at all, for its owner's eyes only."""
        unfinished = self._file.with_suffix(".unfinished")
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "w"
        ) as output:
            json.dump(self._kept, output, default=persistence._json_default)
        unfinished.replace(self._file)


def _restore_members(cognito: ModuleType) -> None:
    """A group is created after the pool and its users, who know that they are its members."""
    for pool in cognito._user_pools.all_values():
        for name, group in pool["_groups"].items():
            if not group["_members"]:
                members = (user for user in pool["_users"].values() if name in user["_groups"])
                group["_members"] = [user["Username"] for user in members]
