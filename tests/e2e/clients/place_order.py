"""Places an order with the client that openapi-python-generator makes of the document, and follows it to its end."""

import json
import os
import time
import uuid

from orders_client.api_config import APIConfig
from orders_client.models import Contact, Locale, OrderItem, PlaceOrder, Priority
from orders_client.services.Catalogue_service import getProducts
from orders_client.services.Orders_service import getProgress, postOrder

ENDS = {"CONFIRMED", "CANCELLED", "NEEDS_REVIEW"}

api = APIConfig(base_path=os.environ["API_URL"], access_token=os.environ["TOKEN"])
product = getProducts(api, limit=1).items[0]
placed = postOrder(
    api,
    Idempotency_Key=str(uuid.uuid4()),
    data=PlaceOrder(
        items=[OrderItem(productId=product.productId, quantity=1)],
        currency=product.currency,
        paymentMethod="pm_card_visa",
        # This generator sends null for what is left out.
        contact=Contact(email="ada@example.com", locale=Locale.EN),
        priority=Priority.NORMAL,
    ),
)
while (progress := getProgress(api, orderId=placed.orderId)).status not in ENDS:
    time.sleep(0.5)
print(json.dumps({"orderId": placed.orderId, "status": progress.status}))
