"""What the state machines of `statemachines/` have in common."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.constructs.function import OrdersFunction
from infra.findings import accept
from infra.stages import Stage


class OrdersStateMachine(Construct):
    """Base of a construct with a state machine whose tasks are functions of ours: made first, then comes `_define`."""

    state_machine: stepfunctions.StateMachine

    def __init__(self, scope: Construct, id: str, *, stage: Stage, name: str) -> None:
        """`name` is that of the machine without the stage."""
        super().__init__(scope, id)
        self._stage = stage
        self._name = stage.resource_name(name)

    def _define(
        self, definition: Mapping[str, Any], comment: str, functions: Mapping[str, OrdersFunction]
    ) -> None:
        """Makes the state machine. `functions` are those of its tasks, by the names in the definition."""
        stage = self._stage
        self.state_machine = stepfunctions.StateMachine(
            self,
            "StateMachine",
            state_machine_name=self._name,
            comment=comment,
            definition_body=stepfunctions.DefinitionBody.from_string(
                json.dumps(definition, ensure_ascii=False, indent=2)
            ),
            definition_substitutions={
                f"{step}FunctionArn": function.function.function_arn for step, function in functions.items()
            },
            tracing_enabled=True,
            logs=stepfunctions.LogOptions(
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    # AWS cuts the resource policy of other names short once an account has many state machines.
                    log_group_name=f"/aws/vendedlogs/states/{self._name}",
                    retention=stage.log_retention,
                    removal_policy=stage.removal_policy,
                ),
                level=stepfunctions.LogLevel.ERROR,
                include_execution_data=True,
            ),
            # With its name free, it can be made again: what an execution did is in the journal, and maintenance resumes
            # orders whose executions ended with it.
            removal_policy=RemovalPolicy.DESTROY,
        )
        accept(
            self.state_machine,
            "Step Functions keeps every execution's history for 90 days itself; the log is for the errors.",
            "SF1",
        )
        accept(
            self.state_machine,
            "AWS has no narrower resource for log delivery and traces.",
            "IAM5[Resource::*]",
        )
        for function in functions.values():
            function.function.grant_invoke_latest_version(self.state_machine)

    def grant_executions(self, function: OrdersFunction, *actions: str) -> None:
        """Lets the function do these things, e.g. `states:DescribeExecution`, to executions of the machine."""
        executions = f"{self._name}:*"
        function.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=[*actions],
                resources=[
                    Stack.of(self).format_arn(
                        service="states",
                        resource="execution",
                        resource_name=executions,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )
        accept(
            function,
            "An execution's name has the id of its order, or of its refund.",
            "IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:"
            f"{executions}]",
        )
