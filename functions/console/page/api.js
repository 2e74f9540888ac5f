// The API's client: one function for each kind of request. Errors are ApiError, with the API's problem (RFC 9457).
import { accessToken, randomText, signOut } from "./sign_in.js";

const BASE = new URL("./", location.href.split(/[?#]/)[0]);

export class ApiError extends Error {
  constructor(status, problem, path) {
    super(problem?.detail ?? problem?.message ?? `The API responded with ${status}`);
    this.status = status;
    this.title = problem?.title ?? String(status);
    this.fields = problem?.errors ?? [];
    this.correlationId = problem?.correlationId;
    this.path = path;
    // A route that there is not has a problem of its own, unlike an order that there is not.
    this.isNoRoute = status === 404 && String(problem?.type ?? "/not-found").endsWith("/not-found");
  }
}

async function send(method, path, { query = {}, body, headers = {} } = {}) {
  const token = await accessToken();
  if (token === null) throw new ApiError(401, { detail: "Nobody is signed in" }, path);
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const response = await fetch(url, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok || response.status === 304) return response;
  if (response.status === 401) signOut("expired");
  throw new ApiError(response.status, await response.json().catch(() => null), path);
}

export async function get(path, query) {
  return (await send("GET", path, { query })).json();
}

/** Asks with what is known already; returns it again while it is still true. */
export async function getIfChanged(path, known) {
  const response = await send("GET", path, { headers: known ? { "If-None-Match": known.etag } : {} });
  return response.status === 304 ? known : { etag: response.headers.get("ETag"), body: await response.json() };
}

export async function post(path, body) {
  return (await send("POST", path, { body })).json();
}

/** A post that takes effect once, however often it is sent with this key. */
export async function postOnce(path, body, key = randomText()) {
  return (await send("POST", path, { body, headers: { "Idempotency-Key": key } })).json();
}

/** A whole list as one CSV document: the API gives it in parts. */
export async function getCsv(path, query, onPart) {
  let [text, cursor] = ["", undefined];
  do {
    const response = await send("GET", path, { query: { ...query, cursor }, headers: { Accept: "text/csv" } });
    const part = await response.text();
    text += text ? part.slice(part.indexOf("\n") + 1) : part;
    cursor = response.headers.get("Next-Cursor");
    onPart(text.split("\n").length - 2);
  } while (cursor);
  return text;
}
