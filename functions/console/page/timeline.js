// An order's story, oldest first.
import { html, useState } from "./view.js";
import { t } from "./messages.js";
import { duration, Status, Time } from "./ui.js";

const GROUPS = {
  saga: ["order", "execution", "state", "step", "cancellation", "repair"],
  money: ["payment", "payment_action", "refund", "dispute"],
  stock: ["stock"],
  messages: ["event", "notification", "webhook"],
  operators: ["operator_action"],
};
const GROUP_OF = Object.fromEntries(Object.entries(GROUPS).flatMap(([group, kinds]) => kinds.map((kind) => [kind, group])));

export function Timeline({ items }) {
  const [group, setGroup] = useState("");
  const shown = items.filter(({ kind }) => !group || GROUP_OF[kind] === group);
  return html`
    <label class="inline">${t("show")}
      <select value=${group} onChange=${(event) => setGroup(event.target.value)}>
        <option value="">${t("all")} (${items.length})</option>
        ${Object.keys(GROUPS).map((name) => html`<option value=${name}>${t(`group_${name}`)} (${items.filter(({ kind }) => GROUP_OF[kind] === name).length})</option>`)}
      </select>
    </label>
    <ol class="timeline">
      ${shown.map((item, index) => html`
        <li class=${GROUP_OF[item.kind]} key=${`${item.kind}/${item.title}/${item.time}/${index}`}>
          <span class="when"><${Time} value=${item.time} withDate=${false} /></span>
          <div>
            <span class="kind">${t(`group_${GROUP_OF[item.kind] ?? "saga"}`)}</span>
            <strong>${item.title}</strong> <${Status} value=${item.status} />
            ${noteOf(item) && html`<span class="muted"> ${noteOf(item)}</span>`}
            <details><summary>${t("details")}</summary><${Fields} value=${item.detail} /></details>
          </div>
        </li>`)}
    </ol>`;
}

/** What matters most of an item. */
function noteOf({ kind, detail }) {
  const span = (from, to) => from && to ? duration((new Date(to) - new Date(from)) / 1000) : null;
  const attempts = detail.attempts > 1 ? t("attemptsMade", detail.attempts) : null;
  const parts = {
    execution: [span(detail.startedAt, detail.stoppedAt), detail.error],
    state: [span(detail.enteredAt, detail.exitedAt), ...(detail.errors ?? [])],
    step: [attempts, detail.error],
    event: [detail.publishedAt && t("publishedAfter", span(detail.createdAt, detail.publishedAt)), attempts, detail.lastError],
    notification: [attempts, detail.error],
    webhook: [attempts, detail.lastStatus, detail.lastError],
    refund: [detail.reason, detail.error],
    operator_action: [detail.operator, detail.note],
    repair: [detail.detail],
  }[kind] ?? [attempts];
  return parts.filter(Boolean).join(" · ");
}

function Fields({ value }) {
  return html`
    <dl class="fields-of">
      ${Object.entries(value).filter(([, held]) => held !== null && held !== "").map(([name, held]) => html`
        <div><dt>${name}</dt><dd>${typeof held === "object" ? JSON.stringify(held) : String(held)}</dd></div>`)}
    </dl>`;
}
