// What an operator may do to an order, and why not. Each action asks first, and says what it has done.
import { html, useState } from "./view.js";
import { t } from "./messages.js";
import { post, postOnce } from "./api.js";
import { randomText } from "./sign_in.js";
import { Action, filled, money, Status } from "./ui.js";

const ALL = ["resume", "close as CONFIRMED", "close as CANCELLED", "cancel", "refund", "resend a notification", "redeliver a webhook"];

export function OrderActions({ report, story, onDone }) {
  const { order } = report;
  const path = `admin/orders/${order.orderId}`;
  // An API from before it said why not tells only what is possible.
  const told = report.operatorActions ?? ALL.map((action) => ({ action, isPossible: report.actions.includes(action), reason: t("notTold") }));
  const context = { order, path, onDone, deliveries: (story?.items ?? []).filter(({ kind }) => kind === "webhook").map(({ detail }) => detail) };
  return html`
    <ul class="actions">
      ${told.map(({ action, isPossible, reason }) => html`
        <li key=${action}>
          <div><strong>${labelOf(action)}</strong><span class="muted">${isPossible ? t(`does_${keyOf(action)}`) : reason}</span></div>
          ${isPossible && FORMS[action] ? html`<${FORMS[action]} ...${context} action=${action} />` : html`<span class="badge plain">${t("notNow")}</span>`}
        </li>`)}
    </ul>`;
}

const keyOf = (action) => action.split(" ")[0];
const labelOf = (action) => t(`action_${action.replaceAll(" ", "_")}`);

function Resume({ path, onDone, action }) {
  return html`<${Action} label=${labelOf(action)} explanation=${t("asks_resume")} onDone=${onDone}
    act=${async (values) => { const done = await post(`${path}/resume`, filled(values)); return t("done_resume", done.execution); }} />`;
}

function Close({ path, onDone, action }) {
  const status = action.split(" ").at(-1);
  return html`<${Action} label=${labelOf(action)} explanation=${t("asks_close", status)} note="required" danger onDone=${onDone}
    act=${async ({ note }) => { const done = await post(`${path}/close`, { status, note }); return t("done_close", done.status); }} />`;
}

function Cancel({ order, onDone, action }) {
  return html`<${Action} label=${labelOf(action)} explanation=${t("asks_cancel")} danger onDone=${onDone}
    act=${async (values) => { const done = await post(`orders/${order.orderId}/cancellation`, filled(values)); return t("done_cancel", done.outcome); }} />`;
}

function Refund({ order, path, onDone, action }) {
  const [what, setWhat] = useState("all");
  const [key, setKey] = useState(randomText);
  const digits = new Intl.NumberFormat("en", { style: "currency", currency: order.currency }).resolvedOptions().maximumFractionDigits;
  async function act({ note, amount, restock, ...units }) {
    const lines = Object.entries(units).filter(([name, value]) => name.startsWith("units ") && Number(value) > 0)
      .map(([name, value]) => ({ productId: name.slice("units ".length), quantity: Number(value) }));
    const made = await postOnce(`${path}/refunds`, {
      reason: note,
      ...(what === "amount" ? { amount: Math.round(Number(amount) * 10 ** digits) } : { restock: restock === "on" }),
      ...(what === "units" ? { lines } : {}),
    }, key);
    setKey(randomText());
    return t("done_refund", money(made.amount, made.currency), made.status);
  }
  return html`
    <${Action} label=${labelOf(action)} explanation=${t("asks_refund", money(order.totalAmount, order.currency))} note="required" noteLabel=${t("reason")} danger onDone=${onDone} act=${act}>
      <label>${t("whatIsRefunded")}
        <select name="what" value=${what} onChange=${(event) => setWhat(event.target.value)}>
          ${["all", "units", "amount"].map((choice) => html`<option value=${choice}>${t(`refund_${choice}`)}</option>`)}
        </select>
      </label>
      ${what === "amount" && html`<label>${t("amount")} (${order.currency})<input name="amount" type="number" required min=${10 ** -digits} step=${10 ** -digits} /></label>`}
      ${what === "units" && order.items.map((line) => html`
        <label>${line.productName} (${t("of", line.quantity)})<input name=${`units ${line.productId}`} type="number" min="0" max=${line.quantity} defaultValue="0" /></label>`)}
      ${what !== "amount" && html`<label class="check"><input name="restock" type="checkbox" /> ${t("restock")}</label>`}
    <//>`;
}

function Resend({ order, path, onDone, action }) {
  async function act({ which, note }) {
    const { type, channel, refundId } = order.notifications[Number(which)];
    const done = await post(`${path}/notifications`, filled({ type, channel, refundId: refundId ?? "", note }));
    return t("done_resend", type, channel, done.status);
  }
  return html`
    <${Action} label=${labelOf(action)} explanation=${t("asks_resend")} note="required" onDone=${onDone} act=${act}>
      <fieldset><legend>${t("notification")}</legend>
        ${order.notifications.map((message, index) => html`
          <label class="check"><input type="radio" name="which" value=${index} required /> ${message.type}, ${message.channel} <${Status} value=${message.status} /></label>`)}
      </fieldset>
    <//>`;
}

function Redeliver({ path, deliveries, onDone, action }) {
  async function act({ which, note }) {
    const done = await post(`${path}/deliveries/${which}/redeliver`, filled({ note }));
    return t("done_redeliver", done.status);
  }
  return html`
    <${Action} label=${labelOf(action)} explanation=${t("asks_redeliver")} onDone=${onDone} act=${act}>
      <fieldset><legend>${t("delivery")}</legend>
        ${deliveries.map((delivery) => html`
          <label class="check"><input type="radio" name="which" value=${delivery.deliveryId} required /> ${delivery.eventType} <${Status} value=${delivery.status} /></label>`)}
      </fieldset>
    <//>`;
}

const FORMS = {
  resume: Resume,
  "close as CONFIRMED": Close,
  "close as CANCELLED": Close,
  cancel: Cancel,
  refund: Refund,
  "resend a notification": Resend,
  "redeliver a webhook": Redeliver,
};
