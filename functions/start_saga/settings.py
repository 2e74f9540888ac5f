from orders.settings import FunctionSettings


class Settings(FunctionSettings):
    state_machine_arn: str
