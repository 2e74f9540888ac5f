"""The definition of the order saga, as it is deployed.

`statemachines/order_saga.asl.json` is in Amazon States Language but for one thing: a state's `Retry` names rules that
stand once, under `Retriers`. `${FinalErrors}` there are the errors that `orders.errors` says are final.
"""

import json
from pathlib import Path
from typing import Any, Final

from orders.errors import FINAL_ERRORS

SOURCE: Final = Path(__file__).resolve().parent.parent / "statemachines" / "order_saga.asl.json"


def saga_definition() -> dict[str, Any]:
    """The definition with its rules of retrying filled in. The `${…FunctionArn}` are left to CloudFormation.

    Raises:
        KeyError: a state names a rule that there is not.
    """
    text = SOURCE.read_text(encoding="utf-8").replace('"${FinalErrors}"', json.dumps(FINAL_ERRORS))
    definition: dict[str, Any] = json.loads(text)
    retriers = definition.pop("Retriers")
    for state in definition["States"].values():
        if "Retry" in state:
            state["Retry"] = [retriers[name] for name in state["Retry"]]
    return definition
