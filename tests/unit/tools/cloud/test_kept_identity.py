"""What an emulator gives the next one, with MiniStack's own modules: each run of `emulator` is a process of its own."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

EMULATOR = """
import asyncio, json, sys
from pathlib import Path
from ministack.services import apigateway, cognito
from ministack.services.cloudformation import provisioners
from tools.cloud.kept_identity import KeptIdentity

if sys.argv[1] != "without":
    KeptIdentity(Path(sys.argv[1])).install(cognito, apigateway, provisioners)

def call(action, **data):
    status, _, body = asyncio.run(cognito._dispatch_idp(action, data))
    assert status == 200, body
    return json.loads(body)

pool, _ = provisioners._cognito_user_pool_create("Pool", {"UserPoolName": "users"}, "stack")
flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
client, _ = provisioners._cognito_user_pool_client_create(
    "Client", {"UserPoolId": pool, "ClientName": "app", "ExplicitAuthFlows": flows}, "stack"
)
provisioners._cognito_user_pool_group_create("Group", {"UserPoolId": pool, "GroupName": "admin"}, "stack")
api, _ = provisioners._apigw_v2_api_create("Api", {"Name": "api"}, "stack")
generated = {"GenerateSecretString": {"PasswordLength": 64}}
known_by = ({"Name": "key"}, {"Description": "A key"}, {"Name": "other", "Description": "A key"})
secrets = [provisioners._sm_secret_string(known | generated) for known in known_by]
names = {user["Username"] for user in call("ListUsers", UserPoolId=pool)["Users"]}
if not names:
    call("AdminCreateUser", UserPoolId=pool, Username="ada", MessageAction="SUPPRESS")
    call("AdminSetUserPassword", UserPoolId=pool, Username="ada", Password="Correct-horse-1", Permanent=True)
    call("AdminAddUserToGroup", UserPoolId=pool, Username="ada", GroupName="admin")
    call("SignUp", ClientId=client, Username="grace", Password="Correct-horse-2")
credentials = {"USERNAME": "ada", "PASSWORD": "Correct-horse-1"}
signed_in = call("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", ClientId=client, AuthParameters=credentials)
refreshed = None
if len(sys.argv) > 2:
    parameters = {"REFRESH_TOKEN": sys.argv[2]}
    refreshed = call("InitiateAuth", AuthFlow="REFRESH_TOKEN_AUTH", ClientId=client, AuthParameters=parameters)
users = call("ListUsers", UserPoolId=pool)["Users"]
print(json.dumps({
    "refresh": signed_in["AuthenticationResult"]["RefreshToken"],
    "is_refreshed": bool(refreshed and refreshed["AuthenticationResult"]["AccessToken"]),
    "kept": {
        "pool": pool, "client": client, "api": api, "secrets": secrets,
        "subs": {u["Username"]: a["Value"] for u in users for a in u["Attributes"] if a["Name"] == "sub"},
        "admins": [u["Username"] for u in call("ListUsersInGroup", UserPoolId=pool, GroupName="admin")["Users"]],
    },
}), flush=True)
import os; os._exit(9)  # It is killed: nothing is said goodbye to.
"""


def emulator(file: Path | str, *arguments: str, state: Path) -> dict[str, Any]:
    environment = {"STATE_DIR": str(state), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", EMULATOR, str(file), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_ids_subs_members_passwords_sessions_and_secrets_outlive_a_killed_emulator(tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    first = emulator(file, state=tmp_path)
    second = emulator(file, first["refresh"], state=tmp_path)

    assert second["kept"] == first["kept"]
    assert set(first["kept"]["subs"]) == {"ada", "grace"}
    assert first["kept"]["admins"] == ["ada"]
    assert second["is_refreshed"], "who was signed in still is"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_the_file_everybody_is_somebody_else(tmp_path: Path) -> None:
    first, second = (emulator(tmp_path / f"{number}.json", state=tmp_path)["kept"] for number in range(2))
    assert [
        name for name in ("pool", "client", "api", "secrets", "subs") if first[name] == second[name]
    ] == []
