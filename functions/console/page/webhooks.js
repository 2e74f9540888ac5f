// The webhooks of all customers; those that fail come first.
import { html } from "./view.js";
import { t } from "./messages.js";
import { get } from "./api.js";
import { Choice, Loaded, number, Pager, Status, Table, Time, useLoad } from "./ui.js";

const LIMIT = 50;

export default function Webhooks({ query }) {
  const state = useLoad(() => get("admin/webhooks", { ...query, limit: LIMIT }), [JSON.stringify(query)]);
  return html`
    <section class="card" aria-label=${t("webhooks")}>
      <${Choice} view="webhooks" name="status" label=${t("state")} options=${["ENABLED", "DISABLED"]} query=${query} />
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        <${Table} caption=${t("webhooks")} rows=${items} columns=${[
          [t("address"), (row) => html`<span class="id">${row.url}</span>`],
          [t("state"), (row) => html`<${Status} value=${row.status} />`],
          [t("failuresInARow"), (row) => row.consecutiveFailures > 0 ? html`<span class="badge bad">${number(row.consecutiveFailures)}</span>` : "0", "number"],
          [t("lastResponse"), (row) => row.lastStatus ?? "–", "number"],
          [t("error"), (row) => row.lastError ?? "–"],
          [t("lastAttempt"), (row) => html`<${Time} value=${row.lastAttemptAt} />`],
          [t("eventTypes"), (row) => row.eventTypes?.join(", ") ?? t("all")],
          [t("customer"), (row) => html`<span class="id">${row.customerId}</span>`],
          [t("createdAt"), (row) => html`<${Time} value=${row.createdAt} />`],
        ]} />
        <${Pager} view="webhooks" query=${query} next=${nextCursor} />`}<//>
    </section>`;
}
