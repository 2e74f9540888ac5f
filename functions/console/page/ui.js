// What all views use: loading, tables, states, times, money, and the question before an action.
import { html, useEffect, useRef, useState } from "./view.js";
import { language, t } from "./messages.js";

/**
 * Loads, and loads again every so many milliseconds while somebody can see it: a number, or a function of what was
 * loaded. `load` gets what it returned last.
 */
export function useLoad(load, keys, every = 0) {
  const [state, setState] = useState({ data: null, error: null, at: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isOver = false;
    let timer;
    let known = null;
    async function run() {
      clearTimeout(timer);
      try {
        known = await load(known);
        if (!isOver) setState({ data: known, error: null, at: new Date() });
      } catch (error) {
        if (!isOver) setState((before) => ({ ...before, error }));
      }
      const pause = typeof every === "function" ? every(known) : every;
      clearTimeout(timer);
      if (!isOver && pause && !document.hidden) timer = setTimeout(run, pause);
    }
    const resume = () => { if (every && !document.hidden) run(); };
    run();
    document.addEventListener("visibilitychange", resume);
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", resume);
    };
  }, [...keys, round]);
  return { ...state, reload: () => setRound((count) => count + 1) };
}

/** What was loaded; else why not, or that it is on its way. What is known stays in sight when a later look fails. */
export function Loaded({ state, children }) {
  return html`
    ${state.error && html`<${Notice} error=${state.error} />`}
    ${state.data ? children(state.data) : !state.error && html`<p class="loading" aria-busy="true">${t("loading")}</p>`}`;
}

export function Notice({ error }) {
  const text = error.isNoRoute ? t("noRoute", error.path) : error.message;
  return html`
    <div class=${`notice ${error.isNoRoute ? "info" : "bad"}`} role="alert">
      ${!error.isNoRoute && error.title && html`<strong>${error.title}. </strong>`}${text}
      ${error.fields?.length > 0 && html`<ul>${error.fields.map((field) => html`<li>${field.pointer}: ${field.detail}</li>`)}</ul>`}
      ${error.correlationId && html`<div class="muted">${t("correlationId")} <code>${error.correlationId}</code></div>`}
    </div>`;
}

const TONES = {
  ok: "CONFIRMED SUCCEEDED PUBLISHED SENT DELIVERED CAPTURED COMPLETED PASSED CLOSED ENABLED up passed WON",
  info: "PENDING PROCESSING RUNNING QUEUED SENDING REQUESTED ACTIVE OPENED PROBING running ACTION_REQUIRED PENDING_REDRIVE",
  warn: "NEEDS_REVIEW UNKNOWN UNCERTAIN PASSED_WITH_ERRORS retried CONFLICT degraded COMPENSATED compensated REFUNDED low WARN WARNING",
  bad: "FAILED DEAD DECLINED TIMED_OUT ABORTED OPEN DISABLED BOUNCED COMPLAINED down failed LOST ERROR CRITICAL",
};
const TONE_OF = Object.fromEntries(Object.entries(TONES).flatMap(([tone, names]) => names.split(" ").map((name) => [name, tone])));
export const toneOf = (status) => TONE_OF[status] ?? "plain";

export const Status = ({ value, text = value }) => value ? html`<span class=${`badge ${toneOf(value)}`}>${text}</span>` : "–";

export function Time({ value, withDate = true }) {
  if (!value) return "–";
  const at = new Date(value);
  const shown = at.toLocaleString(language(), {
    ...(withDate ? { year: "numeric", month: "short", day: "2-digit" } : {}),
    hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit", ...(withDate ? {} : { fractionalSecondDigits: 3 }),
  });
  return html`<time datetime=${value} title=${value}>${shown}</time>`;
}

/** An amount of minor units. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return "–";
  const format = new Intl.NumberFormat(language(), { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const number = (value) => value === null || value === undefined ? "–" : value.toLocaleString(language());

/** Seconds, as people say them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export const orderLink = (id) => id ? html`<a class="id" href=${`#/order/${id}`}>${id}</a>` : "–";

/** `columns`: [heading, what a row shows, "number" for numbers]. On a phone each row is a card. */
export function Table({ caption, columns, rows, empty = t("nothing") }) {
  // The roles say what the elements are: laid out as cards, browsers forget it.
  return html`
    <table role="table">
      <caption class="hidden">${caption}</caption>
      <thead role="rowgroup"><tr role="row">${columns.map(([label, , kind]) => html`<th role="columnheader" scope="col" class=${kind}>${label}</th>`)}</tr></thead>
      <tbody role="rowgroup">
        ${rows.length === 0 && html`<tr role="row"><td role="cell" class="empty" colspan=${columns.length}>${empty}</td></tr>`}
        ${rows.map((row) => html`
          <tr role="row">
            ${columns.map(([label, cell, kind = ""]) => {
              const shown = cell(row);
              return html`<td role="cell" class=${`${kind} ${shown === "–" ? "none" : ""}`} data-label=${label}><div>${shown}</div></td>`;
            })}
          </tr>`)}
      </tbody>
    </table>`;
}

export function Facts({ items }) {
  return html`
    <dl class="facts">
      ${items.filter(Boolean).map(([label, value]) => html`<div><dt>${label}</dt><dd>${value ?? "–"}</dd></div>`)}
    </dl>`;
}

/** Where a list goes on. The way back is the browser's. */
export function Pager({ view, query, next }) {
  const link = (changes) => `#/${view}?${new URLSearchParams(Object.entries({ ...query, ...changes }).filter(([, value]) => value))}`;
  if (!next && !query.cursor) return null;
  return html`
    <nav class="pager" aria-label=${t("pages")}>
      ${query.cursor && html`<a class="button" href=${link({ cursor: "" })}>${t("firstPage")}</a>`}
      ${next && html`<a class="button" href=${link({ cursor: next })}>${t("nextPage")}</a>`}
    </nav>`;
}

/** A choice that stands in the address. */
export function Choice({ view, name, label, options, query }) {
  return html`
    <label class="inline">${label}
      <select value=${query[name] ?? ""} onChange=${(event) => { location.hash = `#/${view}?${new URLSearchParams(event.target.value ? { [name]: event.target.value } : {})}`; }}>
        <option value="">${t("all")}</option>
        ${options.map((option) => html`<option value=${option}>${option}</option>`)}
      </select>
    </label>`;
}

let announceNow = () => {};
export const announce = (text) => announceNow(text);

/** Tells what an action has done, to eyes and to screen readers. */
export function Announcements() {
  const [text, setText] = useState("");
  useEffect(() => {
    let timer;
    announceNow = (said) => { setText(said); clearTimeout(timer); timer = setTimeout(() => setText(""), 10_000); };
  }, []);
  return html`<div class=${`toast ${text ? "" : "is-empty"}`} role="status">${text}</div>`;
}

/**
 * A button that asks before it acts. `act` gets the form's values and returns what to say of the effect; `note` is
 * "required", "optional", or "none" where the API takes none. Further fields are the children.
 */
export function Action({ label, explanation, act, onDone, note = "optional", noteLabel = t("note"), disabled = false, danger = false, children }) {
  const [isOpen, setOpen] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const dialog = useRef();
  useEffect(() => { if (isOpen) dialog.current.showModal(); }, [isOpen]);
  const close = () => { setOpen(false); setError(null); };
  async function submit(event) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    setBusy(true);
    setError(null);
    try {
      const said = await act(values);
      // Closed by itself, it gives the focus back to its button.
      dialog.current.close();
      announce(said);
      onDone?.();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <button class=${danger ? "danger" : ""} disabled=${disabled} onClick=${() => setOpen(true)}>${label}</button>
    ${isOpen && html`
      <dialog ref=${dialog} aria-label=${label} onClose=${close}>
        <form class="stack" onSubmit=${submit}>
          <h2>${label}</h2>
          <p>${explanation}</p>
          ${children}
          <label>${noteLabel}${note === "required" ? "" : ` (${t("optional")})`}
            <input name="note" maxlength="500" autocomplete="off" required=${note === "required"} />
          </label>
          ${error && html`<${Notice} error=${error} />`}
          <div class="buttons">
            <button type="button" onClick=${() => dialog.current.close()}>${t("back")}</button>
            <button class=${danger ? "danger" : "primary"} disabled=${isBusy}>${isBusy ? t("working") : label}</button>
          </div>
        </form>
      </dialog>`}`;
}

/** A body without what was left empty. */
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined));
