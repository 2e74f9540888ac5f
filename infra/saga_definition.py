"""The definitions of the order saga and of a refund, as they are deployed.

The files in `statemachines/` are in Amazon States Language but for one thing: a state's `Retry` names rules that stand
once, under `Retriers`. `${FinalErrors}` there are the errors that `orders.errors` says are final.
"""

import json
from pathlib import Path
from typing import Any, Final

from orders.errors import FINAL_ERRORS

_MACHINES: Final = Path(__file__).resolve().parent.parent / "statemachines"
SOURCE: Final = _MACHINES / "order_saga.asl.json"
REFUND_SOURCE: Final = _MACHINES / "order_refund.asl.json"


def saga_definition() -> dict[str, Any]:
    """The order saga with its rules of retrying filled in. The `${…FunctionArn}` are left to CloudFormation.

    Raises:
        KeyError: a state names a rule that there is not.
    """
    return _definition(SOURCE)


def refund_definition() -> dict[str, Any]:
    """The same of a refund."""
    return _definition(REFUND_SOURCE)


def _definition(source: Path) -> dict[str, Any]:
    text = source.read_text(encoding="utf-8").replace('"${FinalErrors}"', json.dumps(FINAL_ERRORS))
    definition: dict[str, Any] = json.loads(text)
    retriers = definition.pop("Retriers")
    for state in definition["States"].values():
        if "Retry" in state:
            state["Retry"] = [retriers[name] for name in state["Retry"]]
    return definition
