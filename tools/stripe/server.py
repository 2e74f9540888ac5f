"""Stripe on this machine for those who need it: a process of its own, and its controls."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import httpx

API_KEY: Final = "sk_test_local"
"""The secret key that it takes, unless it is started with another one."""

Fault = Literal[
    "misunderstood",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "locked",
    "broken",
    "broken_after",
    "hung_up",
    "lost",
    "held",
    "slow",
]
"""See `tools.stripe.front.Fault`."""


@dataclass(frozen=True)
class StripeServer:
    """A running one. `url` is Stripe's API base, without `/v1`."""

    url: str

    @classmethod
    @contextlib.contextmanager
    def running(cls, api_key: str = API_KEY) -> Iterator[Self]:
        """Starts one on a port that is free, without anything in it; it ends with the block."""
        command = [sys.executable, "-m", "tools.stripe", "--api-key", api_key]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield cls(process.stdout.readline().strip())
            finally:
                process.terminate()

    def fail(
        self,
        fault: Fault,
        on: str,
        *,
        times: int = 1,
        seconds: float = 0,
        payment_method: str | None = None,
        lasts: float | None = None,
    ) -> None:
        """The next requests fail so whose method and path fit the regular expression, e.g. `POST .*/confirm`; with
        `payment_method` only those about payments with that test method, with `lasts` only for so many seconds."""
        order = {
            "fault": fault,
            "pattern": on,
            "times": times,
            "seconds": seconds,
            "payment_method": payment_method,
            "lasts": lasts,
        }
        self._control("POST", "faults", order)

    def release(self) -> None:
        """Lets go on what is `held`."""
        self._control("POST", "release")

    def heal(self) -> None:
        """Takes back the faults that nothing has met yet."""
        self._control("DELETE", "faults")

    def forget_keys(self) -> None:
        """Forgets the idempotency keys, as Stripe does after a day."""
        self._control("DELETE", "idempotency_keys")

    def requests(self) -> list[dict[str, Any]]:
        """All that was asked of it: method, path, key, params, version."""
        requests: list[dict[str, Any]] = self._control("GET", "requests")
        return requests

    def dispute(self, payment_intent: str, amount: int | None = None, reason: str = "fraudulent") -> str:
        """The customer disputes a payment with their bank. Returns the dispute's id."""
        dispute: str = self._control(
            "POST", "disputes", {"payment_intent": payment_intent, "amount": amount, "reason": reason}
        )["id"]
        return dispute

    def close_dispute(
        self, dispute_id: str, status: Literal["won", "lost", "warning_needs_response"]
    ) -> None:
        self._control("POST", f"disputes/{dispute_id}/close", {"status": status})

    def fail_refund(self, refund_id: str) -> None:
        """The customer's bank sends a refund back."""
        self._control("POST", f"refunds/{refund_id}/fail")

    def client_secret(self, key: str, api_key: str = API_KEY) -> str | None:
        """That of the payment with this key, if it waits for its customer."""
        page: dict[str, Any] = {"has_more": True, "data": []}
        while page["has_more"]:
            after = {"starting_after": page["data"][-1]["id"]} if page["data"] else {}
            response = httpx.get(
                f"{self.url}/v1/payment_intents",
                params={"limit": 100, **after},
                headers={"Authorization": f"Bearer {api_key}"},
            )
            page = response.raise_for_status().json()
            for intent in page["data"]:
                if intent["metadata"].get("key") == key and intent["status"] == "requires_action":
                    return str(intent["client_secret"])
        return None

    def authenticate(self, client_secret: str, *, success: bool = True) -> None:
        """The customer passes, or fails, what their bank asks of them. Stripe.js does this in their browser."""
        intent = client_secret.partition("_secret_")[0]
        httpx.post(
            f"{self.url}/v1/payment_intents/{intent}/_authenticate",
            data={"key": "pk_test_local", "client_secret": client_secret, "success": str(success).lower()},
        )

    def send_webhooks_to(self, url: str, secret: str) -> None:
        """Sends events there, signed with the secret."""
        httpx.post(
            f"{self.url}/_config/webhooks/orders", json={"url": url, "secret": secret}
        ).raise_for_status()

    def _control(self, method: str, path: str, content: Any = None) -> Any:
        response = httpx.request(method, f"{self.url}/_config/test/{path}", json=content)
        response.raise_for_status()
        return response.json()
