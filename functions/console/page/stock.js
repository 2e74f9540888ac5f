// Products and their stock.
import { html } from "./view.js";
import { t } from "./messages.js";
import { get, postOnce } from "./api.js";
import { Action, Facts, Loaded, money, number, orderLink, Pager, Status, Table, Time, useLoad } from "./ui.js";

const LIMIT = 50;

export default function Stock({ id, query }) {
  return id ? html`<${Product} id=${id} query=${query} />` : html`<${Products} query=${query} />`;
}

const isLow = (product) => product.available <= product.lowStockThreshold;

function Products({ query }) {
  const state = useLoad(() => get("admin/products", { ...query, limit: LIMIT }), [JSON.stringify(query)]);
  return html`
    <section class="card" aria-label=${t("stock")}>
      <nav class="tabs" aria-label=${t("show")}>
        <a href="#/stock" aria-current=${query.lowStock ? undefined : "page"}>${t("all")}</a>
        <a href="#/stock?lowStock=true" aria-current=${query.lowStock ? "page" : undefined}>${t("stockAlerts")}</a>
      </nav>
      <${Loaded} state=${state}>${({ items, nextCursor }) => html`
        <${Table} caption=${t("products")} rows=${items} columns=${[
          [t("product"), (product) => html`<a href=${`#/stock/${product.productId}`}>${product.name}</a>`],
          [t("price"), (product) => money(product.unitPrice, product.currency), "number"],
          [t("onSale"), (product) => t(product.active ? "yes" : "no")],
          [t("stocked"), (product) => number(product.stocked), "number"],
          [t("available"), (product) => html`${number(product.available)} ${isLow(product) && html`<${Status} value="low" text=${t("low")} />`}`, "number"],
          [t("reserved"), (product) => number(product.reserved), "number"],
          [t("sold"), (product) => number(product.sold), "number"],
          [t("threshold"), (product) => number(product.lowStockThreshold), "number"],
        ]} />
        <${Pager} view="stock" query=${query} next=${nextCursor} />`}<//>
    </section>`;
}

function Product({ id, query }) {
  const path = `admin/products/${encodeURIComponent(id)}`;
  const product = useLoad(() => get(path), [id]);
  const moves = useLoad(() => get(`${path}/movements`, { ...query, limit: LIMIT }), [id, JSON.stringify(query)]);
  async function adjust({ delta, note }) {
    const { product: after } = await postOnce(`${path}/stock-adjustments`, { delta: Number(delta), reason: note });
    return t("done_adjust", number(after.available));
  }
  return html`
    <p class="above"><a href="#/stock">‹ ${t("stock")}</a> <code class="id">${id}</code></p>
    <${Loaded} state=${product}>${(known) => html`
      <section class="card">
        <div class="above"><h2>${known.name}</h2>
          <${Action} label=${t("adjust")} explanation=${t("asks_adjust", number(known.available))} note="required" noteLabel=${t("reason")} act=${adjust}
            onDone=${() => { product.reload(); moves.reload(); }}>
            <label>${t("delta")}<input name="delta" type="number" step="1" required /></label>
          <//>
        </div>
        <${Facts} items=${[
          [t("price"), money(known.unitPrice, known.currency)],
          [t("onSale"), t(known.active ? "yes" : "no")],
          [t("stocked"), number(known.stocked)],
          [t("available"), html`${number(known.available)} ${isLow(known) && html`<${Status} value="low" text=${t("low")} />`}`],
          [t("reserved"), number(known.reserved)],
          [t("sold"), number(known.sold)],
          [t("threshold"), number(known.lowStockThreshold)],
        ]} />
      </section>`}<//>
    <section class="card"><h2>${t("movements")}</h2>
      <${Loaded} state=${moves}>${({ items, nextCursor }) => html`
        <${Table} caption=${t("movements")} rows=${items} columns=${[
          [t("time"), (move) => html`<${Time} value=${move.createdAt} />`],
          [t("kind"), (move) => html`<${Status} value=${move.kind} />`],
          [t("quantity"), (move) => number(move.quantity), "number"],
          [t("order"), (move) => orderLink(move.orderId)],
          [t("operator"), (move) => move.actor ?? "–"],
          [t("reason"), (move) => move.reason ?? "–"],
        ]} />
        <${Pager} view=${`stock/${id}`} query=${query} next=${nextCursor} />`}<//>
    </section>`;
}
