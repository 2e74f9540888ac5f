from orders.settings import ConsumerSettings


class Settings(ConsumerSettings):
    state_machine_arn: str
    refund_state_machine_arn: str
