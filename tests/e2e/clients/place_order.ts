// Places an order with the client that openapi-typescript makes of the document, and follows it to its end.
import createClient from "openapi-fetch";
import type { components, paths, webhooks } from "./schema.js";

declare const process: { env: { API_URL: string; TOKEN: string } };

type Status = components["schemas"]["OrderProgress"]["status"];
type Confirmed = webhooks["orderConfirmed"]["post"]["requestBody"]["content"]["application/json"];

const ENDS: readonly Status[] = ["CONFIRMED", "CANCELLED", "NEEDS_REVIEW"];
// What a server that receives webhooks relies on: the compiler knows the type and the fields.
export const total = (event: Confirmed): number => event.data.totalAmount;
export const kind: Confirmed["type"] = "com.orders.order.confirmed.v1";

const { API_URL, TOKEN } = process.env;
const client = createClient<paths>({ baseUrl: API_URL, headers: { Authorization: `Bearer ${TOKEN}` } });

const products = await client.GET("/api/v1/products", { params: { query: { limit: 1 } } });
if (!products.data) throw new Error(JSON.stringify(products.error));
const [product] = products.data.items;
if (!product) throw new Error("There is nothing to order");

const placed = await client.POST("/api/v1/orders", {
  params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  body: {
    items: [{ productId: product.productId, quantity: 1 }],
    currency: product.currency,
    paymentMethod: "pm_card_visa",
    contact: { email: "ada@example.com", locale: "en" },
    priority: "normal",
  },
});
if (!placed.data) throw new Error(JSON.stringify(placed.error));
const { orderId } = placed.data;

for (;;) {
  const progress = await client.GET("/api/v1/orders/{orderId}/status", { params: { path: { orderId } } });
  if (!progress.data) throw new Error(JSON.stringify(progress.error));
  if (ENDS.includes(progress.data.status)) {
    console.log(JSON.stringify({ orderId, status: progress.data.status }));
    break;
  }
  const seconds = Number(progress.response.headers.get("Retry-After") ?? 1);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
