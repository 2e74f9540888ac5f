"""The functions that CDK itself brings into a deploy, to run triggers and the like."""

from aws_cdk import CfnResource, CustomResourceProviderBase, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs

from infra.stages import Stage


def keep_logs_of_custom_resources(stack: Stack, stage: Stage) -> None:
    """Gives their logs a retention; Lambda would keep them for ever. Call it when the stack is complete."""
    for provider in stack.node.children:
        if not isinstance(provider, CustomResourceProviderBase):
            continue
        handler = provider.node.find_child("Handler")
        if not isinstance(handler, CfnResource):
            raise TypeError(f"{handler.node.path} is not the provider's function")
        log_group = logs.LogGroup(
            provider, "Logs", retention=stage.log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        handler.add_property_override("LoggingConfig", {"LogGroup": log_group.log_group_name})
