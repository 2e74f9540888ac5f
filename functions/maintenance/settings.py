from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    state_machine_arn: str
