"""The HTTP API: whose each route is, and what bounds its use."""

import json

from infra.constructs.identity import ACCESS_TOKEN_SCOPE
from tests.infra.stacks import SynthesizedStack

USER = "user"
ANYONE = "anyone"

ADMINISTRATION = (
    "GET /api/v1/admin/queues",
    "GET /api/v1/admin/dlqs/{queue}/messages",
    "POST /api/v1/admin/dlqs/{queue}/redrive",
    "POST /api/v1/admin/dlqs/{queue}/messages/{messageId}/discard",
    "GET /api/v1/admin/orders",
    "GET /api/v1/admin/orders/{orderId}",
    "POST /api/v1/admin/orders/{orderId}/resume",
    "POST /api/v1/admin/orders/{orderId}/close",
    "GET /api/v1/admin/outbox",
    "POST /api/v1/admin/outbox/{eventId}/redrive",
    "GET /api/v1/admin/sagas/{orderId}",
    "GET /api/v1/health/detailed",
)
"""Of the users, the function lets in the administrators."""

ROUTES = {
    "POST /api/v1/orders": ("create-order", USER),
    "GET /api/v1/orders": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}/status": ("read-orders", USER),
    "GET /api/v1/orders/{orderId}/notifications": ("read-orders", USER),
    "POST /api/v1/webhooks": ("webhooks", USER),
    "GET /api/v1/webhooks": ("webhooks", USER),
    "GET /api/v1/webhooks/{webhookId}": ("webhooks", USER),
    "DELETE /api/v1/webhooks/{webhookId}": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/secret": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/enable": ("webhooks", USER),
    "GET /api/v1/webhooks/{webhookId}/deliveries": ("webhooks", USER),
    "POST /api/v1/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver": ("webhooks", USER),
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
    "$default": ("api-docs", ANYONE),
    **dict.fromkeys(ADMINISTRATION, ("operations", USER)),
}


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
    assert actual == ROUTES


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


def test_one_user_may_place_as_many_orders_as_the_stage_says(stack: SynthesizedStack) -> None:
    allowed = stack.environment("create-order")["ORDERS_PER_MINUTE"]
    assert allowed == {"local": "10000"}.get(stack.stage.name, "60")


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


def test_operators_are_a_group(stack: SynthesizedStack) -> None:
    assert stack.the("AWS::Cognito::UserPoolGroup")["GroupName"] == "admin"


def test_only_production_keeps_its_users_when_the_stack_goes(stack: SynthesizedStack) -> None:
    (pool,) = [r for r in stack.template["Resources"].values() if r["Type"] == "AWS::Cognito::UserPool"]
    assert pool["DeletionPolicy"] == ("Retain" if stack.stage.name == "prod" else "Delete")
