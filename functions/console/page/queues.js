// Queues, their dead letters, and the events that the outbox has given up.
import { html, useState } from "./view.js";
import { t } from "./messages.js";
import { get, post } from "./api.js";
import { Queues } from "./overview.js";
import { Action, duration, Facts, filled, Loaded, Notice, number, orderLink, Status, Table, Time, useLoad } from "./ui.js";

const EVERY_MS = 5_000;
const LOOK_MS = 1_000;
const PATIENCE_MS = 120_000;

export default function QueuesView({ id, query }) {
  return id ? html`<${DeadLetters} queue=${id} />` : html`<${AllQueues} /><${Outbox} query=${query} />`;
}

function AllQueues() {
  const state = useLoad(() => get("admin/queues"), [], EVERY_MS);
  return html`<section class="card"><h2>${t("queues")}</h2><${Loaded} state=${state}>${({ items }) => html`<${Queues} queues=${items} />`}<//></section>`;
}

const depthOf = async (queue) => {
  const { dlq } = (await get("admin/queues")).items.find(({ name }) => name === queue);
  return dlq.visible + dlq.inFlight + dlq.delayed;
};

function DeadLetters({ queue }) {
  const path = `admin/dlqs/${encodeURIComponent(queue)}`;
  const state = useLoad(() => get(`${path}/messages`), [queue]);
  return html`
    <p class="above"><a href="#/queues">‹ ${t("queues")}</a> <code>${queue}</code></p>
    <${Loaded} state=${state}>${({ items }) => html`
      <div class="above">
        <p>${t("deadLetters", items.length)}</p>
        <div class="buttons">
          <button onClick=${state.reload}>${t("lookAgain")}</button>
          ${items.length > 0 && html`<${RedriveAll} explanation=${t("asks_redriveAll", queue)} onDone=${state.reload}
            begin=${() => depthOf(queue)} left=${() => depthOf(queue)} step=${(note) => post(`${path}/redrive`, filled({ note }))} />`}
        </div>
      </div>
      ${items.length === 0 && html`<p class="card muted">${t("noDeadLetters")}</p>`}
      ${items.map((message) => html`<${DeadLetter} key=${message.messageId} message=${message} path=${path} onDone=${state.reload} />`)}`}<//>`;
}

function DeadLetter({ message, path, onDone }) {
  return html`
    <article class="card" aria-label=${message.eventType ?? message.messageId} data-message=${message.messageId}>
      <div class="above">
        <h2>${message.eventType ?? t("unreadable")}</h2>
        <div class="buttons">
          <${Action} label=${t("redrive")} explanation=${t("asks_redrive")} onDone=${onDone}
            act=${async ({ note }) => { await post(`${path}/redrive`, filled({ messageId: message.messageId, note })); return t("done_redrive"); }} />
          <${Action} label=${t("discard")} explanation=${t("asks_discard")} note="required" danger onDone=${onDone}
            act=${async ({ note }) => { await post(`${path}/messages/${encodeURIComponent(message.messageId)}/discard`, { note }); return t("done_discard"); }} />
        </div>
      </div>
      <p>${message.explanation}</p>
      ${message.errors.length > 0 && html`<ul>${message.errors.map((error) => html`<li><code>${error}</code></li>`)}</ul>`}
      <${Facts} items=${[
        [t("cause"), html`<code>${message.cause}</code>`],
        [t("order"), html`${orderLink(message.orderId)} ${message.orderStatus && html`<${Status} value=${message.orderStatus} />`}`],
        [t("age"), duration(message.ageSeconds)],
        [t("deliveries"), number(message.deliveries)],
        [t("sentAt"), html`<${Time} value=${message.sentAt} />`],
        [t("messageId"), html`<code class="id">${message.messageId}</code>`],
      ]} />
      <details><summary>${t("body")} (${number(message.size)} B)</summary><pre tabindex="0">${message.body}</pre></details>
    </article>`;
}

/** Redrives all, in as many steps as it takes, and shows how far it is. */
function RedriveAll({ explanation, begin, left, step, onDone }) {
  const [progress, setProgress] = useState(null);
  const [error, setError] = useState(null);
  async function act({ note }) {
    const all = await begin();
    const until = Date.now() + PATIENCE_MS;
    run(note, all, until).catch(setError).finally(() => { setProgress(null); onDone(); });
    return t("redriveBegun", all);
  }
  async function run(note, all, until) {
    setProgress({ done: 0, all });
    let isMore = true;
    while (isMore) {
      const result = await step(note);
      isMore = result.more ?? result.left > 0;
      const rest = await left();
      setProgress({ done: Math.max(0, all - rest), all });
    }
    // SQS moves them by itself from here on.
    while (Date.now() < until && await left() > 0) {
      setProgress({ done: Math.max(0, all - await left()), all });
      await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    }
  }
  return html`
    ${error && html`<${Notice} error=${error} />`}
    ${progress && html`<label class="inline">${t("redriving", progress.done, progress.all)} <progress value=${progress.done} max=${Math.max(1, progress.all)}></progress></label>`}
    <${Action} label=${t("redriveAll")} explanation=${explanation} disabled=${progress !== null} act=${act} />`;
}

function Outbox({ query }) {
  const state = useLoad(() => get("admin/outbox", query), [JSON.stringify(query)]);
  return html`
    <section class="card"><h2>${t("outbox")}</h2><p class="muted">${t("outboxHint")}</p>
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        ${items.length > 0 && html`
          <div class="buttons"><${RedriveAll} explanation=${t("asks_redriveOutbox")} onDone=${state.reload}
            begin=${async () => items.length} left=${async () => (await get("admin/outbox")).items.length} step=${(note) => post("admin/outbox/redrive", filled({ note }))} /></div>`}
        <${Table} caption=${t("outbox")} rows=${items} empty=${t("noDeadEvents")} columns=${[
          [t("type"), (event) => event.type],
          [t("order"), (event) => orderLink(event.orderId)],
          [t("attempts"), (event) => number(event.attempts), "number"],
          [t("error"), (event) => event.lastError ?? "–"],
          [t("createdAt"), (event) => html`<${Time} value=${event.createdAt} />`],
          [t("actions"), (event) => html`
            <div class="buttons">
              <${Action} label=${t("redrive")} explanation=${t("asks_redriveEvent")} onDone=${state.reload}
                act=${async ({ note }) => { await post(`admin/outbox/${event.eventId}/redrive`, filled({ note })); return t("done_redrive"); }} />
              <${Action} label=${t("discard")} explanation=${t("asks_discardEvent")} note="required" danger onDone=${state.reload}
                act=${async ({ note }) => { await post(`admin/outbox/${event.eventId}/discard`, { note }); return t("done_discard"); }} />
            </div>`],
        ]} />
        ${nextCursor && html`<nav class="pager"><a class="button" href=${`#/queues?cursor=${encodeURIComponent(nextCursor)}`}>${t("nextPage")}</a></nav>`}`}<//>
    </section>`;
}
