// Our books of payments held against the orders and the provider, and refunds.
import { html } from "./view.js";
import { t } from "./messages.js";
import { get } from "./api.js";
import { Choice, Loaded, money, number, orderLink, Pager, Status, Table, Time, useLoad } from "./ui.js";

const STATUSES = ["CONFLICT", "UNKNOWN", "PENDING", "ACTION_REQUIRED", "CAPTURED", "DECLINED", "VOIDED", "REFUNDED"];
const REFUND_STATUSES = ["REQUESTED", "COMPLETED", "NEEDS_REVIEW", "REJECTED"];
// An address that names no status is about payments.
const ANY = "ALL";
const LIMIT = 50;

export default function Payments({ query }) {
  return query.refunds === undefined
    ? html`<${List} query=${query} /><${RefundList} query=${{}} />`
    : html`<${RefundList} query=${query} /><${List} query=${{}} />`;
}

function List({ query }) {
  const state = useLoad(() => get("admin/payments", { ...query, limit: LIMIT }), [JSON.stringify(query)]);
  return html`
    <section class="card"><h2>${t("ledger")}</h2><p class="muted">${t("ledgerHint")}</p>
      <${Choice} view="payments" name="status" label=${t("state")} options=${STATUSES} query=${query} />
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        <${Table} caption=${t("ledger")} rows=${items} columns=${[
          [t("order"), (row) => orderLink(row.orderId)],
          [t("orderState"), (row) => html`<${Status} value=${row.orderStatus} />`],
          [t("payment"), (row) => html`<${Status} value=${row.status} />`],
          [t("amount"), (row) => money(row.amount, row.currency), "number"],
          [t("captured"), (row) => money(row.captured, row.currency), "number"],
          [t("refunded"), (row) => money(row.refunded, row.currency), "number"],
          [t("attempts"), (row) => number(row.attempts), "number"],
          [t("finding"), (row) => row.finding ?? "–"],
          [t("updatedAt"), (row) => html`<${Time} value=${row.updatedAt} />`],
        ]} />
        <${Pager} view="payments" query=${query} next=${nextCursor} />`}<//>
    </section>`;
}

function RefundList({ query: { refunds = ANY, cursor } }) {
  const status = refunds === ANY ? "" : refunds;
  const state = useLoad(() => get("admin/refunds", { status, cursor, limit: LIMIT }), [refunds, cursor]);
  return html`
    <section class="card"><h2>${t("refunds")}</h2>
      <${Choice} view="payments" name="refunds" label=${t("state")} options=${REFUND_STATUSES} query=${{ refunds: status }} />
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        <${Table} caption=${t("refunds")} rows=${items} columns=${[
          [t("order"), (row) => orderLink(row.orderId)],
          [t("amount"), (row) => money(row.amount, row.currency), "number"],
          [t("state"), (row) => html`<${Status} value=${row.status} />`],
          [t("origin"), (row) => row.origin],
          [t("reason"), (row) => row.reason],
          [t("error"), (row) => row.error ?? "–"],
          [t("createdAt"), (row) => html`<${Time} value=${row.createdAt} />`],
        ]} />
        <${Pager} view="payments" query=${{ refunds, cursor }} next=${nextCursor} />`}<//>
    </section>`;
}
