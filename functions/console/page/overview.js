// The system in numbers, each a link to what is behind it.
import { html } from "./view.js";
import { t } from "./messages.js";
import { getIfChanged } from "./api.js";
import { duration, Loaded, number, Status, Table, Time, toneOf, useLoad } from "./ui.js";

const EVERY_MS = 5_000;
const STATUSES = [
  ["PENDING", "pending"], ["PROCESSING", "processing"], ["CONFIRMED", "confirmed"], ["CANCELLED", "cancelled"], ["NEEDS_REVIEW", "needsReview"],
];

export default function Overview() {
  const state = useLoad((known) => getIfChanged("admin/stats", known), [], EVERY_MS);
  return html`<${Loaded} state=${state}>${({ body }) => html`
    <p class="muted">${t("asOf")} <${Time} value=${state.at.toISOString()} />. ${t("live", EVERY_MS / 1000)}</p>
    <div class="tiles">
      <${Tile} label=${t("pending")} value=${body.orders.pending} href="#/orders?status=PENDING" />
      <${Tile} label=${t("sagasInFlight")} value=${body.sagasInFlight} href="#/orders?status=PROCESSING" />
      <${Tile} label=${t("needsReview")} value=${body.orders.needsReview} href="#/orders?status=NEEDS_REVIEW" tone=${body.orders.needsReview > 0 && "bad"} />
      <${Tile} label=${t("unknownPayments")} value=${body.unknownPayments} href="#/payments?status=UNKNOWN" tone=${body.unknownPayments > 0 && "bad"} />
      <${Tile} label=${t("refundsOpen")} value=${body.refunds.requested} href="#/payments?refunds=REQUESTED" />
      <${Tile} label=${t("refundsReview")} value=${body.refunds.needsReview} href="#/payments?refunds=NEEDS_REVIEW" tone=${body.refunds.needsReview > 0 && "bad"} />
      <${Tile} label=${t("stockAlerts")} value=${body.lowStockProducts} href="#/stock?lowStock=true" tone=${body.lowStockProducts > 0 && "warn"} />
      <${Tile} label=${t("deadEvents")} value=${body.relay.dead} href="#/queues" tone=${body.relay.dead > 0 && "bad"} />
    </div>
    <div class="columns">
      <section class="card">
        <h2>${t("lastHour")}</h2>
        <${LastHour} counts=${body.lastHour} />
      </section>
      <section class="card">
        <h2>${t("parts")}</h2>
        <${Table} caption=${t("parts")} rows=${partsOf(body)} columns=${[
          [t("part"), ([name, href]) => html`<a href=${href}>${name}</a>`],
          [t("state"), ([, , health]) => html`<${Status} value=${health.status} />`],
          [t("details"), ([, , health, detail]) => html`${detail}${health.reason ? html` <span class="muted">${health.reason}</span>` : ""}`],
        ]} />
      </section>
    </div>
    <section class="card">
      <h2>${t("queues")}</h2>
      <${Queues} queues=${body.queues.queues} />
    </section>`}<//>`;
}

function Tile({ label, value, href, tone = "" }) {
  return html`<a class=${`tile ${tone || ""}`} href=${href}><strong>${number(value)}</strong><span>${label}</span></a>`;
}

function LastHour({ counts }) {
  const all = STATUSES.reduce((sum, [, name]) => sum + counts[name], 0);
  // Whole minutes: the link is the same for a while.
  const from = new Date(Math.floor(Date.now() / 60_000 - 60) * 60_000).toISOString();
  return html`
    <div class="bar" aria-hidden="true">
      ${STATUSES.map(([status, name]) => counts[name] > 0 && html`<span class=${toneOf(status) + (status === "CANCELLED" ? " cancelled" : "")} style=${{ flexGrow: counts[name] }}></span>`)}
    </div>
    <${Table} caption=${t("lastHour")} rows=${STATUSES} columns=${[
      [t("state"), ([status]) => html`<${Status} value=${status} />`],
      [t("orders"), ([status, name]) => html`<a href=${`#/orders?status=${status}&from=${encodeURIComponent(from)}`}>${number(counts[name])}</a>`, "number"],
      [t("share"), ([, name]) => all ? `${Math.round((100 * counts[name]) / all)} %` : "–", "number"],
    ]} />`;
}

function partsOf({ relay, paymentGateway, queues, orders, refunds }) {
  return [
    [t("relay"), "#/queues", relay, html`${t("lag")} ${duration(relay.lagSeconds)}, ${number(relay.pending)} ${t("unpublished")}${relay.oldestEventAt ? html`, ${t("oldest")} <${Time} value=${relay.oldestEventAt} />` : ""}`],
    [t("breaker"), "#/payments", paymentGateway, html`<${Status} value=${paymentGateway.state} text=${`${t("circuit")} ${paymentGateway.state ?? "?"}`} /> ${number(paymentGateway.failures)} ${t("failures")}`],
    [t("queues"), "#/queues", queues, t("deadLetters", queues.queues.reduce((sum, { dlq }) => sum + dlq.visible + dlq.inFlight, 0))],
    [t("orders"), "#/orders?status=PROCESSING", orders, t("inProcess", number(orders.processing))],
    [t("refunds"), "#/payments?refunds=REQUESTED", refunds, t("inProcess", number(refunds.requested))],
  ];
}

/** Every queue with its dead letters; also what the view of queues begins with. */
export function Queues({ queues }) {
  return html`<${Table} caption=${t("queues")} rows=${queues} columns=${[
    [t("queue"), ({ name }) => html`<a href=${`#/queues/${name}`}>${name}</a>`],
    [t("visible"), ({ queue }) => number(queue.visible), "number"],
    [t("inFlight"), ({ queue }) => number(queue.inFlight), "number"],
    [t("delayed"), ({ queue }) => number(queue.delayed), "number"],
    [t("oldestMessage"), ({ oldestMessageAgeSeconds }) => duration(oldestMessageAgeSeconds), "number"],
    [t("dlq"), ({ name, dlq }) => {
      const count = dlq.visible + dlq.inFlight;
      return html`<a class=${count ? "badge bad" : ""} href=${`#/queues/${name}`} aria-label=${`${t("dlq")} ${name}: ${count}`}>${number(count)}</a>`;
    }, "number"],
  ]} />`;
}
