// One order: its facts, its saga, its story, its log lines, and what may be done to it.
import { html, useEffect, useState } from "./view.js";
import { t } from "./messages.js";
import { get } from "./api.js";
import { configuration } from "./sign_in.js";
import { definition, SagaGraph } from "./saga_graph.js";
import { OrderActions } from "./order_actions.js";
import { Timeline } from "./timeline.js";
import { Facts, Loaded, money, Notice, number, Status, Table, Time, useLoad } from "./ui.js";

const LIVE_MS = 2_000;
const CALM_MS = 15_000;
const UNDER_WAY = new Set(["PENDING", "PROCESSING", "REQUESTED", "QUEUED", "SENDING", "RUNNING"]);

export default function Order({ id }) {
  const path = `admin/orders/${encodeURIComponent(id)}`;
  // Only the time line is asked for again and again: the report asks the payment provider each time.
  const story = useLoad(() => get(`${path}/timeline`), [id], (known) => (isUnderWay(known) ? LIVE_MS : CALM_MS));
  const report = useLoad(() => get(path), [id, fingerprint(story.data)], (known) => (known?.review ? CALM_MS : 0));
  const machine = useLoad(definition, []);
  const again = () => { story.reload(); report.reload(); };
  return html`
    <p class="above"><a href="#/orders">‹ ${t("orders")}</a> <code class="id">${id}</code>
      ${isUnderWay(story.data) && html`<span class="badge info">${t("liveNow")}</span>`}</p>
    <${Loaded} state=${report}>${(known) => html`
      <section class="card" aria-label=${t("facts")}><${OrderFacts} report=${known} /></section>
      ${known.review && html`<${Review} review=${known.review} currency=${known.order.currency} />`}
      <section class="card"><h2>${t("actions")}</h2><${OrderActions} report=${known} story=${story.data} onDone=${again} /></section>`}<//>
    <div class="columns saga-and-story">
      <section class="card"><h2>${t("saga")}</h2>
        <${Loaded} state=${story}>${(known) => html`
          ${!known.executionsKnown && html`<p class="notice info">${t("executionsUnknown")}</p>`}
          <${Executions} story=${known} />
          <${Loaded} state=${machine}>${(asl) => html`
            <div class="drawing" role="region" aria-label=${t("saga")} tabindex="0"><${SagaGraph} machine=${asl} executions=${executionsOf(known)} steps=${stepsOf(known)} /></div>`}<//>`}<//>
      </section>
      <section class="card"><h2>${t("timeline")}</h2>
        ${story.data && html`<${Timeline} items=${story.data.items} />`}
      </section>
    </div>
    ${report.data && html`<${Books} order=${report.data.order} />`}
    <section class="card"><h2>${t("logs")}</h2><${Logs} path=${path} /></section>`;
}

const isUnderWay = (story) => Boolean(story?.items.some(({ status }) => UNDER_WAY.has(status)));
const fingerprint = (story) => JSON.stringify(story?.items.map(({ title, status }) => [title, status]));

/** Newest first, with the states that each has passed. */
function executionsOf({ items }) {
  const executions = [];
  for (const { kind, detail } of items) {
    if (kind === "execution") executions.unshift({ ...detail, states: [] });
    if (kind === "state") executions[0]?.states.push(detail);
  }
  return executions;
}

const stepsOf = ({ items }) => items.filter(({ kind }) => kind === "step").map(({ detail }) => detail);

function OrderFacts({ report: { order, execution, gateway } }) {
  return html`<${Facts} items=${[
    [t("state"), html`<${Status} value=${order.status} />`],
    order.failureReason && [t("failureReason"), order.failureReason],
    [t("amount"), money(order.totalAmount, order.currency)],
    [t("placedAt"), html`<${Time} value=${order.createdAt} />`],
    [t("updatedAt"), html`<${Time} value=${order.updatedAt} />`],
    [t("payment"), order.payment ? html`<${Status} value=${order.payment.status} /> ${money(order.payment.captured, order.currency)}` : "–"],
    [t("gatewayView"), gateway ? html`<${Status} value=${gateway.status} />` : "–"],
    [t("execution"), html`<${Status} value=${execution.status} /> <${ExecutionLink} name=${execution.name} />`],
    [t("correlationId"), html`<a class="id" href=${`#/orders?correlationId=${encodeURIComponent(order.correlationId)}`}>${order.correlationId}</a>`],
    ...order.items.map((line) => [t("line"), html`${number(line.quantity)} × <a href=${`#/stock/${line.productId}`}>${line.productName}</a>, ${money(line.unitPrice, order.currency)}`]),
  ]} />`;
}

/** To the execution in AWS's own console; only its name where there is none. */
function ExecutionLink({ name }) {
  const { stateMachineArn, region } = configuration;
  if (!stateMachineArn) return html`<code>${name}</code>`;
  const arn = `${stateMachineArn.replace(":stateMachine:", ":execution:")}:${name}`;
  const address = `https://${region}.console.aws.amazon.com/states/home?region=${region}#/v2/executions/details/${encodeURIComponent(arn)}`;
  return html`<a href=${address} target="_blank" rel="noreferrer">${name} ↗</a>`;
}

function Review({ review, currency }) {
  return html`
    <section class="card review" aria-labelledby="review">
      <h2 id="review">${t("underReview")}</h2>
      <ul>${review.reasons.map((reason) => html`
        <li><code>${reason.code}</code> ${reason.text}${reason.amount ? ` (${money(reason.amount, currency)})` : ""}
          ${reason.blocks.length > 0 && html` <span class="muted">${t("blocks", reason.blocks.join(", "))}</span>`}</li>`)}</ul>
      <p><strong>${t("suggested")}</strong> ${review.suggested}</p>
    </section>`;
}

function Executions({ story }) {
  const executions = executionsOf(story);
  if (executions.length === 0) return html`<p class="muted">${t("noExecution")}</p>`;
  return html`<ul class="plain">${executions.map((execution) => html`
    <li><${Status} value=${execution.status} /> <${ExecutionLink} name=${execution.name} />
      ${execution.error && html` <code>${execution.error}</code>`}</li>`)}</ul>`;
}

function Books({ order }) {
  const { currency } = order;
  const tables = [
    [t("stockHeld"), order.reservations, [
      [t("product"), (row) => html`<a class="id" href=${`#/stock/${row.productId}`}>${row.productId}</a>`],
      [t("quantity"), (row) => number(row.quantity), "number"],
      [t("returned"), (row) => number(row.returned), "number"],
      [t("state"), (row) => html`<${Status} value=${row.status} />`],
      [t("expiresAt"), (row) => html`<${Time} value=${row.expiresAt} />`],
    ]],
    [t("notifications"), order.notifications, [
      [t("type"), (row) => row.type],
      [t("channel"), (row) => row.channel],
      [t("state"), (row) => html`<${Status} value=${row.status} />`],
      [t("attempts"), (row) => number(row.attempts), "number"],
      [t("error"), (row) => row.error ?? "–"],
      [t("sentAt"), (row) => html`<${Time} value=${row.sentAt} />`],
    ]],
    [t("refunds"), order.refunds, [
      [t("amount"), (row) => money(row.amount, currency), "number"],
      [t("state"), (row) => html`<${Status} value=${row.status} />`],
      [t("reason"), (row) => row.reason],
      [t("error"), (row) => row.error ?? "–"],
      [t("createdAt"), (row) => html`<${Time} value=${row.createdAt} />`],
    ]],
    [t("disputes"), order.disputes, [
      [t("amount"), (row) => money(row.amount, row.currency), "number"],
      [t("state"), (row) => html`<${Status} value=${row.status} />`],
      [t("reason"), (row) => row.reason],
      [t("createdAt"), (row) => html`<${Time} value=${row.createdAt} />`],
    ]],
  ];
  return tables.filter(([, rows]) => rows.length > 0).map(([title, rows, columns]) => html`
    <section class="card"><h2>${title}</h2><${Table} caption=${title} rows=${rows} columns=${columns} /></section>`);
}

function Logs({ path }) {
  const [pages, setPages] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setPages(null), [path]);
  async function load(cursor, earlier) {
    setBusy(true);
    setError(null);
    try {
      const { items, nextCursor } = await get(`${path}/logs`, { cursor });
      setPages({ items: [...earlier, ...items], nextCursor });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return html`
    ${error && html`<${Notice} error=${error} />`}
    ${pages && html`<${Table} caption=${t("logs")} rows=${pages.items} columns=${[
      [t("time"), (line) => html`<${Time} value=${line.time} withDate=${false} />`],
      [t("level"), (line) => html`<${Status} value=${line.level} />`],
      [t("function"), (line) => line.function],
      [t("message"), (line) => html`${line.message}${Object.keys(line.fields ?? {}).length > 0 && html`
        <details><summary>${t("details")}</summary><pre tabindex="0">${JSON.stringify(line.fields, null, 2)}</pre></details>`}`],
    ]} />`}
    <div class="buttons">
      ${pages?.nextCursor && html`<button disabled=${isBusy} onClick=${() => load(pages.nextCursor, pages.items)}>${t("more")}</button>`}
      <button disabled=${isBusy} onClick=${() => load(undefined, [])}>${isBusy ? t("loading") : t(pages ? "loadAgain" : "loadLogs")}</button>
    </div>`;
}
