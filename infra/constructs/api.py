"""The HTTP API: which route is whose, and how much of it one stage takes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import jsii
from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.identity import ACCESS_TOKEN_SCOPE, ConsoleClient, Identity
from infra.findings import accept
from orders.contract import API_PREFIX, NEXT_CURSOR_HEADER

# API Gateway gives up after 30 s; a client that got no answer in 10 s has long repeated its request.
_TIMEOUT: Final = Duration.seconds(10)

# The customer waits for these: twice the memory is twice the CPU, and half the cold start.
_MEMORY_MB: Final = 512

_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Correlation-Id",
    "traceparent",
)
_RESPONSE_HEADERS: Final = (
    "Accept-Encoding",
    "Allow",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    NEXT_CURSOR_HEADER,
    "RateLimit",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Correlation-Id",
)
"""What a page of another origin may send and read."""
# The longest that Chromium heeds.
_PREFLIGHT_AGE: Final = Duration.hours(2)

_FUNCTIONS: Final = {
    "CreateOrder": "POST /orders: order, items and outbox row in one transaction",
    "ReadOrders": "The read side of the API, and its health",
    "CancelOrder": "POST /orders/{orderId}/cancellation: turns the saga back, or refunds",
    "Webhooks": "Customers register webhooks, and look at what was delivered",
    "PaymentWebhooks": "Takes in what the payment provider's webhooks say, and queues it",
    "Recipients": "Customers say where messages may go, and confirm it with a code",
    "ApiDocs": "The API's document and its page; the answer where there is no route",
    "Console": "The page of operators: its files",
    "ManageCatalogue": "Products and their stock, for administrators",
}
WITHOUT_DATABASE: Final = frozenset({"ApiDocs", "Console", "PaymentWebhooks"})
_KNOW_PAYMENT_PROVIDER: Final = frozenset({"CreateOrder", "PaymentWebhooks", "ReadOrders"})
"""They have the code of the payment provider, and do not call it: its payment methods, its name, its signatures."""


@dataclass(frozen=True)
class Route:
    """One route, and the function behind it. Every route needs an access token unless it is open."""

    method: apigatewayv2.HttpMethod
    path: str
    function: str
    is_open: bool = False
    is_documented: bool = True
    """Whether it stands in the API's document, which is for customers and operators."""

    @property
    def methods(self) -> list[apigatewayv2.HttpMethod]:
        """Its own; HEAD is asked wherever GET is (RFC 9110, section 9.3.2)."""
        is_get = self.method is apigatewayv2.HttpMethod.GET
        return [self.method, *([apigatewayv2.HttpMethod.HEAD] if is_get else [])]


ROUTES: Final = (
    Route(apigatewayv2.HttpMethod.POST, "/orders", "CreateOrder"),
    Route(apigatewayv2.HttpMethod.GET, "/orders", "ReadOrders"),
    Route(apigatewayv2.HttpMethod.GET, "/orders/{orderId}", "ReadOrders"),
    Route(apigatewayv2.HttpMethod.GET, "/orders/{orderId}/status", "ReadOrders"),
    Route(apigatewayv2.HttpMethod.GET, "/orders/{orderId}/notifications", "ReadOrders"),
    Route(apigatewayv2.HttpMethod.POST, "/orders/{orderId}/cancellation", "CancelOrder"),
    Route(apigatewayv2.HttpMethod.POST, "/webhooks", "Webhooks"),
    Route(apigatewayv2.HttpMethod.GET, "/webhooks", "Webhooks"),
    Route(apigatewayv2.HttpMethod.GET, "/webhooks/{webhookId}", "Webhooks"),
    Route(apigatewayv2.HttpMethod.PATCH, "/webhooks/{webhookId}", "Webhooks"),
    Route(apigatewayv2.HttpMethod.DELETE, "/webhooks/{webhookId}", "Webhooks"),
    Route(apigatewayv2.HttpMethod.POST, "/webhooks/{webhookId}/secret", "Webhooks"),
    Route(apigatewayv2.HttpMethod.POST, "/webhooks/{webhookId}/enable", "Webhooks"),
    Route(apigatewayv2.HttpMethod.POST, "/webhooks/{webhookId}/test", "Webhooks"),
    Route(apigatewayv2.HttpMethod.GET, "/webhooks/{webhookId}/deliveries", "Webhooks"),
    Route(
        apigatewayv2.HttpMethod.POST, "/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver", "Webhooks"
    ),
    # The provider has no token of ours: it signs what it sends.
    Route(
        apigatewayv2.HttpMethod.POST,
        "/webhooks/payments/{provider}",
        "PaymentWebhooks",
        is_open=True,
        is_documented=False,
    ),
    Route(apigatewayv2.HttpMethod.POST, "/recipients", "Recipients"),
    Route(apigatewayv2.HttpMethod.GET, "/recipients", "Recipients"),
    Route(apigatewayv2.HttpMethod.GET, "/recipients/{recipientId}", "Recipients"),
    Route(apigatewayv2.HttpMethod.DELETE, "/recipients/{recipientId}", "Recipients"),
    Route(apigatewayv2.HttpMethod.POST, "/recipients/{recipientId}/confirmation", "Recipients"),
    Route(apigatewayv2.HttpMethod.GET, "/products", "ReadOrders", is_open=True),
    Route(apigatewayv2.HttpMethod.GET, "/products/{productId}", "ReadOrders", is_open=True),
    Route(apigatewayv2.HttpMethod.POST, "/admin/products", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/products", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/products/{productId}", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.PATCH, "/admin/products/{productId}", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/products/{productId}/stock-adjustments", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/products/{productId}/movements", "ManageCatalogue"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/queues", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/dlqs/{queue}/messages", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/dlqs/{queue}/redrive", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/dlqs/{queue}/messages/{messageId}/discard", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/orders", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/orders/{orderId}", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/orders/{orderId}/timeline", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/orders/{orderId}/logs", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/notifications", "Operations"),
    Route(
        apigatewayv2.HttpMethod.POST,
        "/admin/orders/{orderId}/deliveries/{deliveryId}/redeliver",
        "Operations",
    ),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/resume", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/close", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/orders/{orderId}/refunds", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/refunds", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/refunds/{refundId}/resume", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/orders/{orderId}/refunds/{refundId}/reject", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/refunds", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/outbox", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/outbox/redrive", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/outbox/{eventId}/redrive", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/outbox/{eventId}/discard", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/payments", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/webhooks", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/sagas/{orderId}", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/stats", "Operations"),
    Route(apigatewayv2.HttpMethod.POST, "/admin/customers/{userId}/erasure", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/suppressed-addresses", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/admin/suppressed-addresses/{address}", "Operations"),
    Route(apigatewayv2.HttpMethod.DELETE, "/admin/suppressed-addresses/{address}", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/health/detailed", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/metrics", "Operations"),
    Route(apigatewayv2.HttpMethod.GET, "/health/live", "ReadOrders", is_open=True),
    Route(apigatewayv2.HttpMethod.GET, "/health/ready", "ReadOrders", is_open=True),
    Route(apigatewayv2.HttpMethod.GET, "/openapi.json", "ApiDocs", is_open=True),
    Route(apigatewayv2.HttpMethod.GET, "/docs", "ApiDocs", is_open=True),
    Route(apigatewayv2.HttpMethod.GET, "/docs/{asset}", "ApiDocs", is_open=True),
    # Anybody may load the page. What it shows comes from `/admin`, with the operator's own token.
    Route(apigatewayv2.HttpMethod.GET, "/console", "Console", is_open=True, is_documented=False),
    Route(apigatewayv2.HttpMethod.GET, "/console/{asset}", "Console", is_open=True, is_documented=False),
)

DOCUMENTED: Final = tuple(route for route in ROUTES if route.is_documented)

# What the routes may take of a stage's requests. Each route has a bucket of its own at API Gateway. Those that need no
# token have half of the stage's limit between all of them, and `POST /orders` has the other half to itself: whatever
# anonymous callers do, it is there.
ANONYMOUS_SHARE: Final = 0.5
ORDERS_SHARE: Final = 1 - ANONYMOUS_SHARE
_ORDERS: Final = f"POST {API_PREFIX}/orders"
_METRICS: Final = f"GET {API_PREFIX}/metrics"
_WEIGHTS: Final = {
    f"GET {API_PREFIX}/products": 4,
    f"GET {API_PREFIX}/products/{{productId}}": 4,
    f"GET {API_PREFIX}/docs/{{asset}}": 5,
    f"GET {API_PREFIX}/console/{{asset}}": 10,
    f"POST {API_PREFIX}/webhooks/payments/{{provider}}": 10,
}
"""Of open routes that are asked more often than the others: a shop window, what one page loads (the console ten modules
at once), and the payment provider, which sends some events for each order. Others have 1."""
ADMIN_SHARE: Final = 0.5
"""Of each route under `/admin`: few people call them."""
METRICS_SHARE: Final = 0.05
"""Prometheus servers ask once a minute."""
HEAD_SHARE: Final = 0.05
"""Of each HEAD route that needs a token. All routes together must fit into what AWS allows an account."""


class OrdersApi(Construct):
    """The routes under `/api/v1`, throttled and logged per stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        identity: Identity,
    ) -> None:
        super().__init__(scope, id)
        stage = self._policy = runtime.stage
        cancellation = {"CANCELLATION_WINDOW_MINUTES": str(stage.cancellation_window_minutes)}
        sign_in = {
            "USER_POOL_ID": identity.user_pool.user_pool_id,
            "USER_POOL_CLIENT_ID": identity.client.user_pool_client_id,
        }
        environments = {
            "CreateOrder": {
                "ORDERS_PER_MINUTE": str(stage.orders_per_minute),
                **({"ALLOW_TEST_PAYMENTS": "true"} if stage.allows_test_payments else {}),
            },
            "ReadOrders": cancellation,
            "CancelOrder": cancellation,
            "ApiDocs": sign_in,
            "Console": sign_in,
            "Webhooks": {"REDELIVERIES_PER_HOUR": str(stage.redeliveries_per_hour)},
            "Recipients": {"CODE_LIMITS": json.dumps(asdict(stage.codes))},
        }
        clients = [identity.client]
        console_client = None
        if stage.login_domain:
            console_client = ConsoleClient(self, "ConsoleClient", identity=identity)
            clients.append(console_client.client)
            environments["Console"] = {
                **sign_in,
                "USER_POOL_CLIENT_ID": console_client.client.user_pool_client_id,
                "LOGIN_DOMAIN": stage.login_domain,
            }
        self.functions = {
            name: OrdersFunction(
                self,
                name,
                runtime=runtime,
                with_database=name not in WITHOUT_DATABASE,
                with_payment_provider=name in _KNOW_PAYMENT_PROVIDER,
                timeout=_TIMEOUT,
                memory_mb=_MEMORY_MB,
                description=description,
                environment=environments.get(name),
            )
            for name, description in _FUNCTIONS.items()
        }
        self.http_api = apigatewayv2.HttpApi(
            self,
            "HttpApi",
            api_name=stage.resource_name("api"),
            description="The order pipeline",
            create_default_stage=False,
            cors_preflight=_cors(stage.allowed_origins),
            # A route is protected unless it says otherwise.
            default_authorizer=authorizers.HttpUserPoolAuthorizer(
                "AccessToken", identity.user_pool, user_pool_clients=clients
            ),
            default_authorization_scopes=[ACCESS_TOKEN_SCOPE],
        )
        if console_client:
            console_client.return_to(f"{self.http_api.api_endpoint}{API_PREFIX}/console")
        self._open_routes: list[str] = []
        self._head_routes: list[str] = []
        self._admin_routes: list[str] = []
        self._stage = apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.http_api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(
                rate_limit=stage.requests_per_second, burst_limit=stage.request_burst
            ),
            access_log_settings=_AccessLog(
                logs.LogGroup(
                    self,
                    "AccessLogs",
                    log_group_name=f"/aws/vendedlogs/{stage.resource_name('api')}",
                    retention=stage.log_retention,
                    removal_policy=stage.removal_policy,
                )
            ),
        )
        by_function = {name: self.add_routes_of(function) for name, function in self.functions.items()}
        # What has no route gets a problem, as any other error does, and 405 if only the method is wrong.
        no_route = apigatewayv2.HttpRoute(
            self,
            "NoRoute",
            http_api=self.http_api,
            route_key=apigatewayv2.HttpRouteKey.DEFAULT,
            integration=by_function["ApiDocs"],
            authorizer=apigatewayv2.HttpNoneAuthorizer(),
        )
        accept(no_route, "It tells everyone the same: that there is nothing.", "APIG4")
        self._throttle([no_route], is_open=True)

    def add_routes_of(self, function: OrdersFunction) -> integrations.HttpLambdaIntegration:
        """Adds the routes of a function; one that needs more than the others is made elsewhere."""
        # One permission for the whole API: with one for each route the stack would have too many resources (500).
        integration = integrations.HttpLambdaIntegration(
            function.node.id, function.function, scope_permission_to_route=False
        )
        for route in ROUTES:
            if route.function != function.node.id:
                continue
            added = self.http_api.add_routes(
                path=f"{API_PREFIX}{route.path}",
                methods=route.methods,
                integration=integration,
                authorizer=apigatewayv2.HttpNoneAuthorizer() if route.is_open else None,
                authorization_scopes=[] if route.is_open else None,
            )
            self._throttle(added, is_open=route.is_open)
            if route.is_open:
                for http_route in added:
                    accept(
                        http_route,
                        "The catalogue, the health, the document and the pages' files are for everyone; the payment "
                        "provider signs.",
                        "APIG4",
                    )
        return integration

    def _throttle(self, routes: Sequence[apigatewayv2.HttpRoute], *, is_open: bool) -> None:
        """Gives open routes, `POST /orders`, `GET /metrics`, `/admin` and HEAD their shares of the stage's limit; the
        others have its default."""
        keys = [_key(route) for route in routes]
        if is_open:
            self._open_routes += keys
        else:
            self._head_routes += [key for key in keys if key.startswith("HEAD ")]
            self._admin_routes += [key for key in keys if f" {API_PREFIX}/admin/" in key]
        # A setting for a route that does not exist yet fails the deploy.
        self._stage.node.add_dependency(*routes)
        shares = {
            _ORDERS: ORDERS_SHARE,
            _METRICS: METRICS_SHARE,
            **_shares(self._open_routes),
            **dict.fromkeys(self._admin_routes, ADMIN_SHARE),
            **dict.fromkeys(self._head_routes, HEAD_SHARE),
        }
        stage = self._stage.node.default_child
        assert isinstance(stage, apigatewayv2.CfnStage)
        stage.route_settings = {
            key: {
                "ThrottlingRateLimit": round(share * self._policy.requests_per_second, 1),
                "ThrottlingBurstLimit": int(share * self._policy.request_burst),
            }
            for key, share in shares.items()
        }


def _key(route: apigatewayv2.HttpRoute) -> str:
    resource = route.node.default_child
    assert isinstance(resource, apigatewayv2.CfnRoute)
    return str(resource.route_key)


def _shares(keys: Sequence[str]) -> dict[str, float]:
    """Of the stage's limit, by open route: they share by weight."""
    weights = {key: _WEIGHTS.get(key, 1) for key in keys}
    unit = ANONYMOUS_SHARE / sum(weights.values()) if weights else 0
    return {key: weight * unit for key, weight in weights.items()}


def _cors(origins: Sequence[str]) -> apigatewayv2.CorsPreflightOptions | None:
    """The gateway answers every preflight itself, and adds its headers to its own refusals too (ADR 0032)."""
    if not origins:
        return None
    methods = sorted({method.value for route in ROUTES for method in route.methods})
    return apigatewayv2.CorsPreflightOptions(
        allow_origins=[*origins],
        allow_methods=[apigatewayv2.CorsHttpMethod(method) for method in methods],
        allow_headers=[*_REQUEST_HEADERS],
        expose_headers=[*_RESPONSE_HEADERS],
        max_age=_PREFLIGHT_AGE,
    )


@jsii.implements(apigatewayv2.IAccessLogSettings)
class _AccessLog:
    """One JSON object a request: enough to find a request's logs and to see who was refused and why."""

    def __init__(self, log_group: logs.ILogGroup) -> None:
        self._destination = apigatewayv2.LogGroupLogDestination(log_group)

    # CDK takes these two from an interface, so they are properties.

    @property
    def destination(self) -> apigatewayv2.IAccessLogDestination:
        return self._destination

    @property
    def format(self) -> apigateway.AccessLogFormat:
        return apigateway.AccessLogFormat.custom(
            json.dumps(
                {
                    "requestId": "$context.requestId",
                    "time": "$context.requestTime",
                    "ip": "$context.identity.sourceIp",
                    "routeKey": "$context.routeKey",
                    "status": "$context.status",
                    "responseLength": "$context.responseLength",
                    "latencyMs": "$context.responseLatency",
                    "integrationLatencyMs": "$context.integrationLatency",
                    "authorizerError": "$context.authorizer.error",
                    "integrationError": "$context.integrationErrorMessage",
                }
            )
        )
