// The saga as the state machine's own definition has it, coloured by what happened to one order.
import { html } from "./view.js";
import { t } from "./messages.js";
import { Graph, layout } from "./dagre.js";
import { toneOf } from "./ui.js";

const WIDTH = 160;
const HEIGHT = 42;

let loading = null;
/** The definition, which comes with this page. */
export function definition() {
  loading ??= fetch(document.getElementById("app").dataset.saga).then((response) => response.json());
  return loading;
}

/**
 * For each state its outcome and its retries: passed, retried, failed, compensated, running, or not reached.
 * `executions` are newest first, `steps` what the journal says.
 */
export function whatHappened({ States }, executions, steps) {
  const journal = Object.fromEntries(steps.map((step) => [step.name, step]));
  const found = {};
  const taken = new Set();
  for (const execution of [...executions].reverse()) {
    execution.states.forEach((visit, index) => {
      const before = execution.states[index - 1];
      if (before) taken.add(`${before.state}>${visit.state}`);
      const next = execution.states[index + 1]?.state;
      found[visit.state] = {
        outcome: outcomeOf(States[visit.state], visit, next, execution.status),
        retries: (found[visit.state]?.retries ?? 0) + visit.errors.length,
        error: visit.errors.at(-1) ?? found[visit.state]?.error,
      };
    });
  }
  for (const [name, { status, error, attempts }] of Object.entries(journal)) {
    // The tombstone of a compensation is no visit: the step never ran.
    if (!found[name] && status === "FENCED") continue;
    found[name] ??= { outcome: "passed", retries: attempts - 1 };
    if (found[name].outcome === "running") continue;
    if (status === "COMPENSATED") found[name].outcome = "compensated";
    if (status === "FAILED") Object.assign(found[name], { outcome: "failed", error: error ?? found[name].error });
    if (status === "SUCCEEDED" || status === "SKIPPED") found[name].outcome = "passed";
  }
  for (const visit of Object.values(found)) {
    if (visit.outcome === "failed") visit.retries = Math.max(0, visit.retries - 1);
    if (visit.outcome === "passed" && visit.retries > 0) visit.outcome = "retried";
  }
  return { states: found, taken };
}

function outcomeOf(state, visit, next, status) {
  if (visit.exitedAt === null) return status === "RUNNING" || status === "PENDING_REDRIVE" ? "running" : "failed";
  if (visit.errors.length > 0 && next && next !== state?.Next) return "failed";
  return "passed";
}

export function SagaGraph({ machine, executions, steps }) {
  const { states, taken } = whatHappened(machine, executions, steps);
  const names = Object.keys(machine.States).filter((name) => states[name] || machine.States[name].Type === "Task");
  const { graph, lines } = drawn(machine, names);
  const { width, height } = graph.graph();
  const label = (name) => {
    const { outcome = "notReached", retries = 0 } = states[name] ?? {};
    return retries > 0 ? `${t(outcome)}, ${t("retries", retries)}` : t(outcome);
  };
  return html`
    <svg class="saga" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} aria-hidden="true">
      <defs>
        ${["", "taken"].map((kind) => html`
          <marker id=${`arrow${kind}`} class=${kind} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" /></marker>`)}
      </defs>
      ${lines.map(({ from, to, kind, path }) => {
        const isTaken = taken.has(`${from}>${to}`);
        return html`<path class=${`edge ${kind} ${isTaken ? "taken" : ""}`} d=${path} marker-end=${`url(#arrow${isTaken ? "taken" : ""})`} />`;
      })}
      ${names.map((name) => {
        const { x, y } = graph.node(name);
        const outcome = states[name]?.outcome ?? "notReached";
        return html`
          <g class=${`state ${toneOf(outcome)} ${outcome}`} transform=${`translate(${x - WIDTH / 2} ${y - HEIGHT / 2})`} data-state=${name} data-outcome=${outcome}>
            <title>${states[name]?.error ?? label(name)}</title>
            <rect width=${WIDTH} height=${HEIGHT} rx="6" />
            <text x="12" y="18" class="name">${name}</text>
            <text x="12" y="33" class="outcome">${label(name)}</text>
          </g>`;
      })}
    </svg>
    <ol class="hidden">
      ${names.map((name) => html`<li>${name}: ${label(name)}${states[name]?.error ? `, ${states[name].error}` : ""}</li>`)}
    </ol>`;
}

/**
 * Laid out along the states that follow each other: the steps and their compensations become a column each, in which
 * steps and what undoes them are near. What leads from a failure to its compensation is drawn across.
 */
function drawn({ States }, names) {
  const graph = new Graph().setGraph({ rankdir: "TB", nodesep: 30, ranksep: 28, marginx: 6, marginy: 6 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const name of names) graph.setNode(name, { width: WIDTH, height: HEIGHT });
  for (const name of names) {
    if (names.includes(States[name].Next)) graph.setEdge(name, States[name].Next);
  }
  layout(graph);
  const lines = graph.edges().map((edge) => ({ from: edge.v, to: edge.w, kind: "next", path: curve(graph.edge(edge).points) }));
  for (const name of names) {
    for (const to of new Set((States[name].Catch ?? []).map(({ Next }) => Next))) {
      if (names.includes(to) && to !== States[name].Next) lines.push({ from: name, to, kind: "caught", path: across(graph.node(name), graph.node(to)) });
    }
  }
  return { graph, lines };
}

/** From one state's side to the other's. */
function across(from, to) {
  const side = to.x > from.x ? 1 : -1;
  const [x1, x2] = [from.x + (side * WIDTH) / 2, to.x - (side * WIDTH) / 2];
  const bend = Math.max(24, Math.abs(x2 - x1) / 2) * side;
  return `M${x1} ${from.y} C${x1 + bend} ${from.y} ${x2 - bend} ${to.y} ${x2} ${to.y}`;
}

/** A smooth line through the points. */
function curve(points) {
  const [first, ...rest] = points;
  const middle = (a, b) => `${(a.x + b.x) / 2} ${(a.y + b.y) / 2}`;
  const parts = rest.slice(0, -1).map((point, index) => `Q${point.x} ${point.y} ${middle(point, rest[index + 1])}`);
  return `M${first.x} ${first.y} ${parts.join(" ")} L${rest.at(-1).x} ${rest.at(-1).y}`;
}
