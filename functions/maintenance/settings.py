from orders.payments.settings import GatewaySettings


class Settings(GatewaySettings):
    state_machine_arn: str
