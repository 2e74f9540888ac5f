"""Findings of cdk-nag's AwsSolutions rules that stay, each beside what it is about and with its reason."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accepts the rules' findings on the construct and below it, e.g. `IAM5[Resource::*]`."""
    for rule in rules:
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
        )
