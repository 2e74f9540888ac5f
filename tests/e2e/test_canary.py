"""What a customer entrusts us with is where it is needed and nowhere else, whatever fails (docs/security.md)."""

import base64
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from payment_simulator.methods import METHODS
from tests.e2e import canaries
from tests.e2e.canaries import CLIENT_SECRET, CREDENTIAL, EMAIL, TELEPHONE, Canaries, Place
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Answer, Caller, await_end, request, tokens
from tests.e2e.test_operations import HEADPHONES, stock_that_does_not_come_back
from tests.support.webhooks import customer_server
from tools.cloud import aws, customers
from tools.cloud.stack import User, new_password
from tools.waiting import wait_until

PATIENCE_SECONDS = 60
FEEDBACK_SECONDS = 240
"""A bounce that comes before our own record of the mail is looked at again after three minutes."""
WAITS = "pm_card_requires_action"
OPERATORS_TEXTS = {"column operator_actions.note", "column refunds.reason"}


@dataclass
class Played:
    """Everything that a customer with canaries has done, and that was done for them; and what was written."""

    cloud: Cloud
    canaries: Canaries = field(default_factory=Canaries)
    begun: float = field(default_factory=time.time)
    orders: dict[str, str] = field(default_factory=dict)
    """Ids, by what became of them."""
    responses: list[tuple[str, str]] = field(default_factory=list)
    user_id: str = ""
    token: str | None = None
    found: set[Place] = field(default_factory=set)
    left: set[Place] = field(default_factory=set)
    """In the database after the customer was erased."""

    def sign_up(self) -> None:
        """A new account. Its address is a canary, and so are its tokens."""
        pool, settings = self.cloud.stack["user_pool_id"], self.cloud.settings
        cognito, email, password = aws.cognito(settings), self.canaries.email, new_password()
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",
        )
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=True)
        client = self.cloud.stack["user_pool_client_id"]
        with pytest.raises(cognito.exceptions.NotAuthorizedException):
            cognito.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=client,
                AuthParameters={"USERNAME": email, "PASSWORD": self.canaries.password},
            )
        # The cloud is shared, and its stack with it.
        users = {**self.cloud.stack["users"], "canary": User(email=email, password=password)}
        given = tokens(replace(self.cloud, stack={**self.cloud.stack, "users": users}), "canary")
        self.token = given["AccessToken"]
        self.canaries.words[CREDENTIAL] += [
            given[name].rpartition(".")[2] for name in ("AccessToken", "IdToken", "RefreshToken")
        ]
        claims = self.token.split(".")[1]
        self.user_id = json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"]

    @property
    def bouncing(self) -> str:
        return f"bounce+{self.canaries.mark}@simulator.amazonses.com"

    @property
    def customer(self) -> Caller:
        return Caller(self.cloud.stack["api_url"], self.token)

    def ask(self, method: str, path: str, body: Any = None, user: str = "canary", **headers: str) -> Answer:
        token = self.token if user == "canary" else self._token_of(user)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid4()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return request(method, f"{self.cloud.stack['api_url']}/api/v1{path}", content, sent)

    def _token_of(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = tokens(self.cloud, user)["AccessToken"]
        return self._tokens[user]

    _tokens: dict[str, str] = field(default_factory=dict)

    def order(self, name: str, method: str = "pm_card_visa", **changes: Any) -> str:
        contact = {"email": self.canaries.email, "phone": self.canaries.phone, "locale": "es"}
        placed = self.ask(
            "POST", "/orders", {**ORDER, "paymentMethod": method, "contact": contact, **changes}
        )
        assert placed.status == 202, placed.body
        self.orders[name] = placed.body["orderId"]
        return self.orders[name]

    def end(self, name: str) -> str:
        status: str = await_end(self.customer, self.orders[name])["status"]
        return status

    def await_that(self, sql: str, seconds: float = PATIENCE_SECONDS, **parameters: object) -> None:
        def holds() -> bool:
            with self.cloud.engine.connect() as connection:
                return bool(connection.scalar(text(sql), parameters))

        assert wait_until(holds, seconds, every=0.2), sql

    def refused(self) -> None:
        """Requests that are not what they should be, with canaries in every part of them."""
        all_of_it = self.canaries.everything
        email, order = quote(self.canaries.email), {**ORDER, "contact": {"email": self.canaries.email}}
        bad = {
            "unknown method": {**order, "paymentMethod": self.canaries.payment_method},
            "unknown fields": {**order, **all_of_it},
            "wrong types": {"items": all_of_it, "currency": self.canaries.email, "contact": list(all_of_it)},
            "not JSON": json.dumps(order).encode()[:-1],
            "not UTF-8": json.dumps(order).encode() + b"\xff",
        }
        for body in bad.values():
            assert self.ask("POST", "/orders", body).status in (400, 422)
        assert self.ask("POST", "/orders", order, Idempotency_Key=self.canaries.email * 20).status == 422
        traced = {"traceparent": self.canaries.email, "X_Correlation_Id": self.canaries.email}
        assert self.ask("POST", "/orders", {}, **traced, User_Agent=self.canaries.email).status == 422
        for path in (f"/orders/{email}", f"/orders/{email}/status", f"/{email}", f"/products/{self.token}"):
            assert self.ask("GET", path).status == 404
        query = f"?cursor={email}&access_token={self.token}&{email}={self.canaries.phone[1:]}"
        assert self.ask("GET", f"/orders{query}").status == 422
        for token in (self.canaries.password, f"{self.token}x", ""):
            assert self.ask("GET", f"/orders{query}", Authorization=f"Bearer {token}").status == 401
        assert self.ask("GET", f"/admin/orders?email={email}").status == 403
        for query, status in (("", 400), (f"?{email}", 422)):
            hook = f"/webhooks/payments/simulator{query}"
            assert (
                self.ask("POST", hook, all_of_it, simulator_signature=f"t=1,v1={self.token}").status == status
            )

    def poisoned(self) -> dict[str, str]:
        """Messages that are none of ours, one on each queue. Returns their queues by their ids."""
        body = json.dumps(
            {**self.canaries.everything, "id": self.canaries.email, "type": self.canaries.email}
        )
        sqs, sent = aws.queues(self.cloud.settings), {}
        for queue, urls in self.cloud.stack["queues"].items():
            message = sqs.send_message(
                QueueUrl=urls["url"],
                MessageBody=body,
                MessageAttributes={"type": {"DataType": "String", "StringValue": self.canaries.email}},
                MessageSystemAttributes={
                    "AWSTraceHeader": {"DataType": "String", "StringValue": self.canaries.email}
                },
            )
            sent[message["MessageId"]] = queue
        return sent

    def customers_acts(self) -> None:
        """The payment that waits for its customer, with a secret as a real provider gives one."""
        order_id = self.orders[WAITS]
        self.await_that(
            "SELECT task_token FROM payment_actions WHERE order_id = :id AND ended_at IS NULL", id=order_id
        )
        with self.cloud.engine.begin() as connection:
            connection.execute(
                text("UPDATE payment_actions SET client_secret = :secret WHERE order_id = :id"),
                {"secret": self.canaries.client_secret, "id": order_id},
            )
        assert self.canaries.client_secret in str(self.ask("GET", f"/orders/{order_id}/status").body)
        self.seen_in_the_database()
        engine, settings, stack = self.cloud.engine, self.cloud.settings, self.cloud.stack
        assert customers.act_on(engine, settings, stack, UUID(order_id), customers.Act.COMPLETE)

    def operators_act(self) -> None:
        """An operator looks the customer up, resumes a review, gives money back, and writes down whose it was."""
        why = {"note": f"asked by {self.canaries.email} {self.canaries.phone}"}
        for search in (f"email={quote(self.canaries.email)}", f"phone={quote(self.canaries.phone)}"):
            assert self.ask("GET", f"/admin/orders?{search}", user="admin").body["items"]
        reviewed = self.orders["review"]
        for view in ("", "/timeline"):
            assert self.ask("GET", f"/admin/orders/{reviewed}{view}", user="admin").status == 200
        resumed = f"/admin/orders/{reviewed}/resume"
        assert wait_until(
            lambda: self.ask("POST", resumed, why, user="admin").status == 202, PATIENCE_SECONDS, every=0.5
        )
        visa, flaky = self.orders["pm_card_visa"], self.orders["pm_card_flaky"]
        refund = {"amount": 1, "reason": f"{self.canaries.email} called"}
        assert self.ask("POST", f"/admin/orders/{visa}/refunds", refund, user="admin").status == 202
        assert self.ask("POST", f"/orders/{flaky}/cancellation", {}).status == 202
        done = "SELECT count(*) = 2 FROM refunds WHERE order_id = ANY (CAST(:ids AS uuid[])) AND status = 'COMPLETED'"
        self.await_that(done, ids=[visa, flaky])

    def dead_letters_are_explained(self, sent: Mapping[str, str]) -> None:
        """They are shown without what they hold, and then discarded."""
        self.found |= self.canaries.found(canaries.given_up(self.cloud.settings, self.cloud.stack))

        def explain_and_discard(message_id: str, queue: str) -> tuple[str, str]:
            path = f"/admin/dlqs/{queue}/messages"
            shown = self.ask("GET", path, user="admin").body["items"]
            (now,) = [one["messageId"] for one in shown if one["originalMessageId"] == message_id]
            assert self.ask("POST", f"{path}/{now}/discard", {"note": "read"}, user="admin").status == 200
            return f"explanation of a dead letter of {queue}", str(shown)

        # SQS lets each of them wait for more messages.
        with ThreadPoolExecutor(len(sent)) as pool:
            self.responses += pool.map(explain_and_discard, sent.keys(), sent.values())

    def bounced(self) -> None:
        """A mail came back, and an operator allows the address again. It stands in the path of that request."""
        address = self.bouncing
        suppressed = "SELECT count(*) > 0 FROM suppressed_addresses WHERE address = :address"
        self.await_that(suppressed, FEEDBACK_SECONDS, address=address)
        self.seen_in_the_database()
        path = f"/admin/suppressed-addresses/{quote(address)}"
        assert self.ask("GET", path, user="admin").status == 200
        assert self.ask("DELETE", f"{path}?note={quote(self.canaries.email)}", user="admin").status == 204
        assert self.ask("GET", path, user="admin").status == 404

    def recipients(self) -> None:
        """An address and a telephone are to be confirmed, and nobody does."""
        added = [
            self.ask("POST", "/recipients", {"channel": channel, "address": address})
            for channel, address in (("email", f"x{self.canaries.email}"), ("sms", self.canaries.phone))
        ]
        assert [one.status for one in added] == [202, 202]
        wrong = {"code": "000000", "email": self.canaries.email}
        path = f"/recipients/{added[0].body['recipientId']}/confirmation"
        assert self.ask("POST", path, wrong).status == 422
        assert (
            self.ask("POST", "/recipients", {"channel": "sms", "address": self.canaries.email}).status == 422
        )

    def seen_in_the_database(self) -> None:
        self.found |= self.canaries.found(canaries.columns(self.cloud.engine, self.canaries.words))

    def erased(self) -> None:
        self.seen_in_the_database()
        path, why = f"/admin/customers/{self.user_id}/erasure", {"note": f"asked by {self.canaries.email}"}

        def is_complete() -> bool:
            answer = self.ask("POST", path, why, user="admin")
            return answer.status == 200 and bool(answer.body["complete"])

        assert wait_until(is_complete, PATIENCE_SECONDS, every=0.5)
        # A payment method is no one customer's.
        own = {kind: self.canaries.words[kind] for kind in (EMAIL, TELEPHONE, CLIENT_SECRET, CREDENTIAL)}
        self.left = self.canaries.found(canaries.columns(self.cloud.engine, own))


@pytest.fixture(scope="module")
def played(running_cloud: Cloud) -> Played:
    """Each path once. What takes long is begun first."""
    played = Played(running_cloud)
    played.sign_up()
    with ExitStack() as until_the_end:
        server = until_the_end.enter_context(customer_server(500))
        hook = {"url": f"{server.url}&of={played.canaries.mark}", "description": played.canaries.email}
        assert played.ask("POST", "/webhooks", hook).status == 201
        for method in METHODS:
            played.order(method, method)
        played.order("bounced", "pm_card_declined", contact={"email": played.bouncing, "locale": "en"})
        sent = played.poisoned()
        with stock_that_does_not_come_back(running_cloud):
            lines = [{"productId": str(HEADPHONES.id), "quantity": 1}]
            played.order("review", "pm_card_declined", items=lines)
            played.refused()
            played.recipients()
            played.customers_acts()
            assert played.end("review") == "NEEDS_REVIEW"
        ends = {method: played.end(method) for method in METHODS if method != "pm_simulated"}
        played.operators_act()
        played.bounced()
        played.dead_letters_are_explained(sent)
        assert played.end("review") == "CANCELLED"
        assert server.wait_for(1, PATIENCE_SECONDS)
    assert ends == {
        **dict.fromkeys(ends, "CONFIRMED"),
        **dict.fromkeys(("pm_card_declined", "pm_card_fraud", "pm_card_down"), "CANCELLED"),
    }
    played.erased()
    played.responses.append(("metrics", _metrics(played)))
    return played


def _metrics(played: Played) -> str:
    url = f"{played.cloud.stack['api_url']}/api/v1/metrics"
    answer = httpx.get(
        url, headers={"Authorization": f"Bearer {played._token_of('admin')}"}, trust_env=False, timeout=30
    )
    assert answer.status_code == 200
    return answer.text


def written(played: Played) -> list[tuple[str, str]]:
    settings, since = played.cloud.settings, played.begun
    return [
        *canaries.logs(settings, since),
        *canaries.executions(settings, since),
        *canaries.waiting(settings, played.cloud.stack),
        *played.responses,
    ]


def test_canaries_are_where_they_are_needed_and_nowhere_else(played: Played) -> None:
    assert played.found | played.canaries.found(written(played)) == canaries.listed()


def test_whoever_asked_to_be_forgotten_is_left_only_in_what_operators_wrote(played: Played) -> None:
    assert played.left <= {place for place in canaries.listed() if place[0] in OPERATORS_TEXTS}


def test_the_search_finds_what_is_there(played: Played) -> None:
    ids = Canaries()
    ids.words.clear()
    ids.words.update({name: [order_id] for name, order_id in played.orders.items()})

    found = ids.found(written(played)) | ids.found(canaries.columns(played.cloud.engine, ids.words))

    for order in (*METHODS, "review", "bounced"):
        for place in ("log /aws/lambda/orders-local-create-order", "execution of orders-local-order-saga"):
            assert (place, order) in found
        assert ("column outbox.subject", order) in found
    assert ("log /aws/lambda/orders-local-operations", "review") in found
