// The search over all orders. What is searched for stands in the address, so that the browser's back button works.
import { html, useState } from "./view.js";
import { t } from "./messages.js";
import { get, getCsv } from "./api.js";
import { announce, filled, Loaded, money, Notice, orderLink, Pager, Status, Table, Time, useLoad } from "./ui.js";

export const STATUSES = ["PENDING", "PROCESSING", "CONFIRMED", "CANCELLED", "NEEDS_REVIEW"];
const REASONS = [
  "INSUFFICIENT_STOCK", "PAYMENT_DECLINED", "FRAUD_SUSPECTED", "PAYMENT_UNAVAILABLE", "PAYMENT_NOT_COMPLETED",
  "CANCELLATION_REQUESTED", "RESERVATION_EXPIRED", "PROCESSING_FAILED",
];
const RARE = ["phone", "idempotencyKey", "correlationId", "productId", "failureReason", "sort"];
const LIMIT = 50;
const EVERY_MS = 5_000;

export default function Orders({ query }) {
  const state = useLoad(() => get("admin/orders", { ...query, limit: LIMIT }), [JSON.stringify(query)], query.cursor ? 0 : EVERY_MS);
  return html`
    <${Search} key=${JSON.stringify(query)} query=${query} />
    <section class="card" aria-label=${t("results")}>
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        <div class="above"><p class="muted">${t("shown", items.length)}</p><${Download} query=${query} /></div>
        <${Table} caption=${t("orders")} rows=${items} columns=${[
          [t("order"), (order) => orderLink(order.orderId)],
          [t("state"), (order) => html`<${Status} value=${order.status} />`],
          [t("failureReason"), (order) => order.failureReason ?? "–"],
          [t("amount"), (order) => money(order.totalAmount, order.currency), "number"],
          [t("placedAt"), (order) => html`<${Time} value=${order.createdAt} />`],
          [t("updatedAt"), (order) => html`<${Time} value=${order.updatedAt} />`],
        ]} />
        ${items.length === 0 && nextCursor && html`<p class="muted">${t("searchGoesOn")}</p>`}
        <${Pager} view="orders" query=${query} next=${nextCursor} />`}<//>
    </section>`;
}

function Search({ query }) {
  function submit(event) {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(event.target)].map(([name, value]) => [name, value.trim()]));
    for (const name of ["from", "to"]) if (values[name]) values[name] = new Date(values[name]).toISOString();
    location.hash = `#/orders?${new URLSearchParams(filled(values))}`;
  }
  const field = (name, type = "text") => html`
    <label>${t(name)}<input name=${name} type=${type} defaultValue=${query[name]} spellcheck="false" autocomplete="off" /></label>`;
  const moment = (name) => html`
    <label>${t(name)}<input name=${name} type="datetime-local" step="1" defaultValue=${query[name] ? localTime(query[name]) : ""} /></label>`;
  const choice = (name, options) => html`
    <label>${t(name)}<select name=${name}>
      <option value="">${t("any")}</option>
      ${options.map((option) => html`<option value=${option} selected=${query[name] === option}>${option}</option>`)}
    </select></label>`;
  return html`
    <form class="card search" role="search" aria-label=${t("searchOrders")} onSubmit=${submit}>
      <div class="fields">
        ${field("orderId")} ${field("email", "email")} ${choice("status", STATUSES)} ${moment("from")} ${moment("to")}
      </div>
      <details open=${RARE.some((name) => query[name])}>
        <summary>${t("moreFields")}</summary>
        <div class="fields">
          ${field("phone", "tel")} ${field("idempotencyKey")} ${field("correlationId")} ${field("productId")}
          ${choice("failureReason", REASONS)} ${choice("sort", ["newest", "oldest"])}
        </div>
      </details>
      <div class="buttons"><a class="button" href="#/orders">${t("clear")}</a><button class="primary">${t("search")}</button></div>
    </form>`;
}

/** For an input of local times. */
function localTime(moment) {
  const at = new Date(moment);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function Download({ query }) {
  const [busy, setBusy] = useState(null);
  const [error, setError] = useState(null);
  async function download() {
    setError(null);
    setBusy(0);
    try {
      const { cursor, ...wanted } = query;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([await getCsv("admin/orders", wanted, setBusy)], { type: "text/csv" }));
      link.download = "orders.csv";
      link.click();
      URL.revokeObjectURL(link.href);
      announce(t("downloaded"));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(null);
    }
  }
  return html`
    ${error && html`<${Notice} error=${error} />`}
    <button onClick=${download} disabled=${busy !== null}>${busy === null ? t("downloadCsv") : t("downloading", busy)}</button>`;
}
