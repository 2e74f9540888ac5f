from orders.settings import FunctionSettings


class Settings(FunctionSettings):
    """Nothing beyond what every function has."""
