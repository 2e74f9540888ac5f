"""The HTTP API: whose each route is, who may read it from another page, and what bounds its use."""

import json

import pytest
from aws_cdk import App

from infra.app import orders_stack
from infra.constructs.identity import ACCESS_TOKEN_SCOPE
from tests.infra.stacks import ROOT, SynthesizedStack, context_of

USER = "user"
ANYONE = "anyone"

ADMINISTRATION = (
    "GET /api/v1/admin/queues",
    "GET /api/v1/admin/dlqs/{queue}/messages",
    "POST /api/v1/admin/dlqs/{queue}/redrive",
    "POST /api/v1/admin/dlqs/{queue}/messages/{messageId}/discard",
    "GET /api/v1/admin/orders",
    "GET /api/v1/admin/orders/{orderId}",
    "GET /api/v1/admin/orders/{orderId}/timeline",
    "GET /api/v1/admin/orders/{orderId}/refunds",
    "POST /api/v1/admin/orders/{orderId}/refunds",
    "POST /api/v1/admin/orders/{orderId}/refunds/{refundId}/resume",
    "POST /api/v1/admin/orders/{orderId}/refunds/{refundId}/reject",
    "GET /api/v1/admin/refunds",
    "POST /api/v1/admin/orders/{orderId}/resume",
    "POST /api/v1/admin/orders/{orderId}/close",
    "GET /api/v1/admin/outbox",
    "POST /api/v1/admin/outbox/redrive",
    "POST /api/v1/admin/outbox/{eventId}/redrive",
    "POST /api/v1/admin/outbox/{eventId}/discard",
    "GET /api/v1/admin/payments",
    "GET /api/v1/admin/webhooks",
    "GET /api/v1/admin/orders/{orderId}/logs",
    "POST /api/v1/admin/orders/{orderId}/notifications",
    "POST /api/v1/admin/orders/{orderId}/deliveries/{deliveryId}/redeliver",
    "GET /api/v1/admin/sagas/{orderId}",
    "GET /api/v1/admin/stats",
    "POST /api/v1/admin/customers/{userId}/erasure",
    "GET /api/v1/admin/suppressed-addresses",
    "GET /api/v1/admin/suppressed-addresses/{address}",
    "DELETE /api/v1/admin/suppressed-addresses/{address}",
    "GET /api/v1/health/detailed",
    "GET /api/v1/metrics",
)
"""Of the users, the function lets in the administrators."""

ROUTES = {
    "POST /api/v1/orders": ("create-order", USER),
    "GET /api/v1/orders": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}/status": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}/notifications": ("read-orders", USER),
    "POST /api/v1/orders/{orderId}/cancellation": ("cancel-order", USER),
    "POST /api/v1/webhooks": ("webhooks", USER),
    "GET /api/v1/webhooks": ("webhooks", USER),
    "GET /api/v1/webhooks/{webhookId}": ("webhooks", USER),
    "PATCH /api/v1/webhooks/{webhookId}": ("webhooks", USER),
    "DELETE /api/v1/webhooks/{webhookId}": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/secret": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/enable": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/test": ("webhooks", USER),
    "GET /api/v1/webhooks/{webhookId}/deliveries": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver": ("webhooks", USER),
    "POST /api/v1/webhooks/payments/{provider}": ("payment-webhooks", ANYONE),
    "POST /api/v1/recipients": ("recipients", USER),
    "GET /api/v1/recipients": ("recipients", USER),
    "GET /api/v1/recipients/{recipientId}": ("recipients", USER),
    "DELETE /api/v1/recipients/{recipientId}": ("recipients", USER),
    "POST /api/v1/recipients/{recipientId}/confirmation": ("recipients", USER),
    "GET /api/v1/products": ("read-orders", ANYONE),
    "GET /api/v1/products/{productId}": ("read-orders", ANYONE),
    "POST /api/v1/admin/products": ("manage-catalogue", USER),
    "GET /api/v1/admin/products": ("manage-catalogue", USER),
    "GET /api/v1/admin/products/{productId}": ("manage-catalogue", USER),
    "PATCH /api/v1/admin/products/{productId}": ("manage-catalogue", USER),
    "POST /api/v1/admin/products/{productId}/stock-adjustments": ("manage-catalogue", USER),
    "GET /api/v1/admin/products/{productId}/movements": ("manage-catalogue", USER),
    "GET /api/v1/health/live": ("read-orders", ANYONE),
    "GET /api/v1/health/ready": ("read-orders", ANYONE),
    "GET /api/v1/openapi.json": ("api-docs", ANYONE),
    "GET /api/v1/docs": ("api-docs", ANYONE),
    "GET /api/v1/docs/{asset}": ("api-docs", ANYONE),
    "GET /api/v1/console": ("console", ANYONE),
    "GET /api/v1/console/{asset}": ("console", ANYONE),
    "$default": ("api-docs", ANYONE),
    **dict.fromkeys(ADMINISTRATION, ("operations", USER)),
}
HEADS = {key.replace("GET ", "HEAD "): owner for key, owner in ROUTES.items() if key.startswith("GET ")}

MOST_ROUTES = 300
"""The default quota of API Gateway for one HTTP API."""


def test_every_route_has_its_function_and_its_audience(stack: SynthesizedStack) -> None:
    functions = {
        logical_id: stack.name_of(integration["IntegrationUri"]).removeprefix("function ")
        for logical_id, integration in stack.of_type("AWS::ApiGatewayV2::Integration").items()
    }
    actual = {}
    for route in stack.of_type("AWS::ApiGatewayV2::Route").values():
        integration = route["Target"]["Fn::Join"][1][1]["Ref"]
        audience = {"JWT": USER, "NONE": ANYONE}[route["AuthorizationType"]]
        actual[route["RouteKey"]] = (functions[integration], audience)
    assert actual == ROUTES | HEADS
    assert len(actual) < MOST_ROUTES


def test_a_user_s_route_takes_access_tokens_and_no_id_tokens(stack: SynthesizedStack) -> None:
    (authorizer_id,) = stack.of_type("AWS::ApiGatewayV2::Authorizer")
    protected = [
        route
        for route in stack.of_type("AWS::ApiGatewayV2::Route").values()
        if route["AuthorizationType"] == "JWT"
    ]
    assert protected
    for route in protected:
        assert route["AuthorizerId"] == {"Ref": authorizer_id}
        assert route["AuthorizationScopes"] == [ACCESS_TOKEN_SCOPE] == ["aws.cognito.signin.user.admin"]


def test_tokens_count_only_from_our_user_pool_and_its_client(stack: SynthesizedStack) -> None:
    authorizer = stack.the("AWS::ApiGatewayV2::Authorizer")
    (pool_id,) = stack.of_type("AWS::Cognito::UserPool")
    (client_id,) = stack.of_type("AWS::Cognito::UserPoolClient")
    assert authorizer["AuthorizerType"] == "JWT"
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["JwtConfiguration"]["Audience"] == [{"Ref": client_id}]
    assert {"Ref": pool_id} in authorizer["JwtConfiguration"]["Issuer"]["Fn::Join"][1]


def test_requests_are_throttled_as_the_stage_says(stack: SynthesizedStack) -> None:
    settings = stack.the("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"]
    assert settings["ThrottlingRateLimit"] == stack.stage.requests_per_second
    assert settings["ThrottlingBurstLimit"] == stack.stage.request_burst


def limits(stack: SynthesizedStack) -> dict[str, tuple[float, int]]:
    """What each route with a limit of its own may take: requests per second, and at once."""
    settings = stack.the("AWS::ApiGatewayV2::Stage")["RouteSettings"]
    return {
        key: (limit["ThrottlingRateLimit"], limit["ThrottlingBurstLimit"]) for key, limit in settings.items()
    }


def open_routes(stack: SynthesizedStack) -> set[str]:
    routes = stack.of_type("AWS::ApiGatewayV2::Route").values()
    return {route["RouteKey"] for route in routes if route["AuthorizationType"] == "NONE"}


def test_each_anonymous_route_has_a_limit_far_below_the_stages(stack: SynthesizedStack) -> None:
    limited = limits(stack)
    for key in open_routes(stack):
        rate, burst = limited[key]
        assert 0 < rate <= stack.stage.requests_per_second / 4, key
        assert 1 <= burst <= stack.stage.request_burst / 4, key


def test_what_orders_have_and_what_anonymous_callers_have_fit_into_the_stages_limit(
    stack: SynthesizedStack,
) -> None:
    """All anonymous routes together leave to `POST /orders` what it has."""
    limited = limits(stack)
    rate, burst = limited["POST /api/v1/orders"]
    limited = {key: limited[key] for key in open_routes(stack)}
    assert rate == stack.stage.requests_per_second / 2
    assert burst == stack.stage.request_burst / 2
    # Limits are rounded to a tenth.
    rounding = 0.05 * len(limited)
    assert rate + sum(rate for rate, _ in limited.values()) <= stack.stage.requests_per_second + rounding
    assert burst + sum(burst for _, burst in limited.values()) <= stack.stage.request_burst


@pytest.mark.parametrize(("page", "files"), [("docs", 5), ("console", 10)])
def test_a_page_loads_within_its_limit(stack: SynthesizedStack, page: str, files: int) -> None:
    _, burst = limits(stack)[f"GET /api/v1/{page}/{{asset}}"]
    assert burst >= files


def test_no_route_can_use_up_the_accounts_limit(stack: SynthesizedStack) -> None:
    """Of 10,000 requests per second and region, which all routes of all APIs share."""
    own = {key: rate for key, (rate, _) in limits(stack).items()}
    routes = [route["RouteKey"] for route in stack.of_type("AWS::ApiGatewayV2::Route").values()]
    if stack.stage.target == "aws":
        assert sum(own.get(route, stack.stage.requests_per_second) for route in routes) <= 10_000


def test_limits_are_set_when_their_routes_exist(stack: SynthesizedStack) -> None:
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage")
    made = {
        stack.template["Resources"][name]["Properties"].get("RouteKey") for name in stack.dependencies(stage)
    }
    assert limits(stack).keys() <= made


def test_one_user_may_place_as_many_orders_as_the_stage_says(stack: SynthesizedStack) -> None:
    allowed = stack.environment("create-order")["ORDERS_PER_MINUTE"]
    assert allowed == {"local": "60000"}.get(stack.stage.name, "60")


def test_every_request_is_logged_without_its_token_or_body(stack: SynthesizedStack) -> None:
    settings = stack.the("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    assert stack.name_of(settings["DestinationArn"]) == "logs of api"
    logged = json.loads(settings["Format"])
    assert logged["requestId"] == "$context.requestId"
    assert {"status", "routeKey", "authorizerError"} <= set(logged)
    assert all(value.startswith("$context.") for value in logged.values())


def test_passwords_are_strong(stack: SynthesizedStack) -> None:
    policy = stack.the("AWS::Cognito::UserPool")["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] >= 12
    assert all(policy[f"Require{kind}"] for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols"))


def test_signing_out_revokes_and_access_tokens_end_soon(stack: SynthesizedStack) -> None:
    client = stack.the("AWS::Cognito::UserPoolClient")
    assert client["EnableTokenRevocation"] is True
    assert client["TokenValidityUnits"]["AccessToken"] == "minutes"
    assert client["AccessTokenValidity"] <= 15


def test_users_sign_in_by_password_and_the_answer_never_tells_who_exists(stack: SynthesizedStack) -> None:
    client = stack.the("AWS::Cognito::UserPoolClient")
    assert "ALLOW_USER_PASSWORD_AUTH" in client["ExplicitAuthFlows"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["AllowedOAuthFlowsUserPoolClient"] is False


def test_operators_and_those_who_may_place_urgent_orders_are_groups(stack: SynthesizedStack) -> None:
    groups = stack.of_type("AWS::Cognito::UserPoolGroup").values()
    assert {group["GroupName"] for group in groups} == {"admin", "priority"}


def test_only_production_keeps_its_users_when_the_stack_goes(stack: SynthesizedStack) -> None:
    (pool,) = [r for r in stack.template["Resources"].values() if r["Type"] == "AWS::Cognito::UserPool"]
    assert pool["DeletionPolicy"] == ("RetainExceptOnCreate" if stack.stage.name == "prod" else "Delete")


LOOPBACK = {
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1", "[::1]")
}


def test_pages_of_the_stage_s_origins_may_call_the_api_and_no_other_page(stack: SynthesizedStack) -> None:
    cors = stack.the("AWS::ApiGatewayV2::Api").get("CorsConfiguration")
    expected = {"local": LOOPBACK, "dev": {"http://localhost:3000", "http://localhost:5173"}, "prod": set()}

    assert set(cors["AllowOrigins"] if cors else ()) == expected[stack.stage.name]


def test_a_page_of_another_origin_may_send_and_read_all_that_the_document_names(
    local: SynthesizedStack,
) -> None:
    cors = local.the("AWS::ApiGatewayV2::Api")["CorsConfiguration"]
    document = json.loads((ROOT / "functions" / "api_docs" / "openapi.json").read_text())
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    parameters = [*document["components"]["parameters"].values()]
    parameters += [parameter for operation in operations for parameter in operation["parameters"]]
    sent = {parameter["name"].lower() for parameter in parameters if parameter.get("in") == "header"}
    returned = {
        name.lower()
        for operation in operations
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }

    assert sent | {"authorization", "content-type", "content-encoding"} <= lower(cors["AllowHeaders"])
    # A browser shows Cache-Control to every page (Fetch, "CORS-safelisted response-header name").
    assert returned - {"cache-control"} <= lower(cors["ExposeHeaders"])
    assert {"ratelimit", "ratelimit-policy", "allow"} <= lower(cors["ExposeHeaders"])
    assert set(cors["AllowMethods"]) == {"GET", "HEAD", "POST", "PATCH", "DELETE"}
    assert not cors.get("AllowCredentials"), "a token is sent by the page's own code, never by the browser"
    assert cors["MaxAge"] > 0


def lower(names: list[str]) -> set[str]:
    return {name.lower() for name in names}


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "https://*",
        "shop.example.com",
        "https://shop.example.com/",
        "https://shop.example.com/path",
        "http://shop.example.com",
        "https://shop.example.com:port",
        "https://Shop.example.com",
        "null",
        "https://a.example.com,*",
    ],
)
def test_an_origin_that_no_browser_sends_or_that_stands_for_all_is_refused(origins: str) -> None:
    with pytest.raises(ValueError, match="allowed_origins"):
        orders_stack(App(context={**context_of("prod"), "allowed_origins": origins}))


def test_a_deploy_s_origins_take_the_place_of_the_stage_s(chosen: SynthesizedStack) -> None:
    cors = chosen.the("AWS::ApiGatewayV2::Api")["CorsConfiguration"]

    assert cors["AllowOrigins"] == chosen.context["allowed_origins"].split(",")
    assert len(cors["AllowOrigins"]) == 3


def test_operators_sign_in_on_the_page_unless_a_login_domain_is_named(stack: SynthesizedStack) -> None:
    assert "LOGIN_DOMAIN" not in stack.environment("console")
    assert stack.the("AWS::Cognito::UserPoolClient")["AllowedOAuthFlowsUserPoolClient"] is False
    assert not stack.of_type("AWS::Cognito::UserPoolDomain")


def test_a_login_domain_signs_operators_in_for_the_console_alone_by_code_and_for_the_apis_scope(
    chosen: SynthesizedStack,
) -> None:
    (client,) = (
        client
        for client in chosen.of_type("AWS::Cognito::UserPoolClient").values()
        if client["AllowedOAuthFlowsUserPoolClient"]
    )
    assert client["AllowedOAuthFlows"] == ["code"]
    assert "aws.cognito.signin.user.admin" in client["AllowedOAuthScopes"]
    (page,) = client["CallbackURLs"]
    assert page["Fn::Join"][1][-1].endswith("/api/v1/console")
    assert chosen.environment("console")["LOGIN_DOMAIN"] == chosen.context["login_domain"]


@pytest.mark.parametrize("domain", ["login.example.com", "https://login.example.com/login", "*"])
def test_a_login_domain_that_is_no_origin_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="login_domain"):
        orders_stack(App(context={**context_of("prod"), "login_domain": domain}))
