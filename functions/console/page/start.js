// The shell: sign-in, navigation, and which view is shown. Views are loaded when they are first needed.
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./view.js";
import { language, LANGUAGES, setLanguage, t } from "./messages.js";
import {
  answerChallenge, currentUser, finishManagedLogin, signInWithPassword, signOut, startManagedLogin, usesManagedLogin,
  whenSessionEnds,
} from "./sign_in.js";
import { Announcements, Notice } from "./ui.js";

const VIEWS = {
  "": { title: "overview", load: () => import("./overview.js") },
  orders: { title: "orders", load: () => import("./orders.js") },
  order: { title: "order", load: () => import("./order.js") },
  queues: { title: "queues", load: () => import("./queues.js") },
  stock: { title: "stock", load: () => import("./stock.js") },
  payments: { title: "payments", load: () => import("./payments.js") },
  webhooks: { title: "webhooks", load: () => import("./webhooks.js") },
};
const NAVIGATION = ["", "orders", "queues", "stock", "payments", "webhooks"];

/** `#/orders?status=PENDING`, `#/order/0198…`: the view's name, what stands behind it, and its query. */
function routeOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  return { name: name in VIEWS ? name : "", id: id ? decodeURIComponent(id) : null, query: Object.fromEntries(new URLSearchParams(query)) };
}

function App({ loginError }) {
  const [user, setUser] = useState(currentUser());
  const [ended, setEnded] = useState("");
  const [, redraw] = useState(0);
  const [route, setRoute] = useState(routeOf(location.hash));
  useEffect(() => {
    whenSessionEnds((reason) => { setUser(null); setEnded(reason); });
    const follow = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const choose = (chosen) => { setLanguage(chosen); redraw((count) => count + 1); };
  return html`
    <${Header} user=${user} route=${route} onLanguage=${choose} />
    <main id="main" tabindex="-1">
      ${!user && html`<${SignIn} reason=${ended} error=${loginError} onDone=${() => { setEnded(""); setUser(currentUser()); }} />`}
      ${user && !user.isAdmin && html`
        <section class="narrow card"><h1>${t("notAdminTitle")}</h1><p>${t("notAdmin", user.name)}</p></section>`}
      ${user?.isAdmin && html`<${View} key=${`${route.name}/${route.id}`} route=${route} />`}
    </main>
    <${Announcements} />`;
}

function Header({ user, route, onLanguage }) {
  const current = { order: "orders" }[route.name] ?? route.name;
  return html`
    <header>
      <button class="skip" onClick=${() => document.getElementById("main").focus()}>${t("skip")}</button>
      <span class="brand" aria-hidden="true">◆ ${t("title")}</span>
      ${user?.isAdmin && html`
        <nav aria-label=${t("navigation")}>
          ${NAVIGATION.map((name) => html`
            <a href=${`#/${name}`} aria-current=${name === current ? "page" : undefined}>${t(VIEWS[name].title)}</a>`)}
        </nav>`}
      <div class="session">
        <select aria-label=${t("language")} value=${language()} onChange=${(event) => onLanguage(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}
        </select>
        ${user && html`<span class="user">${user.name}</span><button onClick=${() => signOut("out")}>${t("signOut")}</button>`}
      </div>
    </header>`;
}

function View({ route }) {
  const [view, setView] = useState(null);
  const [error, setError] = useState(null);
  const title = t(VIEWS[route.name].title);
  const heading = useRef();
  useEffect(() => {
    let isOver = false;
    VIEWS[route.name].load().then((module) => { if (!isOver) setView(() => module.default); }, (failure) => setError(failure));
    return () => { isOver = true; };
  }, []);
  useLayoutEffect(() => {
    document.title = `${title}${route.id ? ` ${route.id.slice(0, 13)}` : ""} · ${t("title")}`;
  });
  // Keyboards and screen readers begin at the new view's heading.
  useEffect(() => { heading.current?.focus(); }, []);
  return html`
    <h1 ref=${heading} tabindex="-1">${title}</h1>
    ${error && html`<${Notice} error=${error} />`}
    ${!error && !view && html`<p class="loading" aria-busy="true">${t("loading")}</p>`}
    ${view && html`<${view} id=${route.id} query=${route.query} />`}`;
}

function SignIn({ reason, error: earlier, onDone }) {
  const [challenge, setChallenge] = useState(null);
  const [error, setError] = useState(earlier);
  const [isBusy, setBusy] = useState(false);
  const answer = useRef();
  useEffect(() => { if (challenge) answer.current?.focus(); }, [challenge]);
  async function submit(event) {
    event.preventDefault();
    const { email, password, answer } = event.target.elements;
    setBusy(true);
    setError(null);
    try {
      const next = challenge
        ? await answerChallenge(email.value.trim(), challenge, answer.value)
        : await signInWithPassword(email.value.trim(), password.value);
      if (next) setChallenge(next);
      else onDone();
    } catch (failure) {
      setChallenge(null);
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  const isNewPassword = challenge?.ChallengeName === "NEW_PASSWORD_REQUIRED";
  return html`
    <section class="narrow card" aria-labelledby="sign-in">
      <h1 id="sign-in">${t("signIn")}</h1>
      <p class="muted">${t("signInHint")}</p>
      ${reason && html`<p class="notice info" role="status">${t(reason === "out" ? "signedOut" : "expired")}</p>`}
      ${error && html`<${Notice} error=${error} />`}
      ${usesManagedLogin ? html`<button class="primary" onClick=${startManagedLogin}>${t("signInManaged")}</button>` : html`
        <form class="stack" onSubmit=${submit}>
          <label>${t("email")}<input name="email" type="email" autocomplete="username" required readonly=${Boolean(challenge)} /></label>
          ${!challenge && html`<label>${t("password")}<input name="password" type="password" autocomplete="current-password" required /></label>`}
          ${challenge && html`
            <label>${t(isNewPassword ? "newPassword" : "code")}
              <input ref=${answer} name="answer" required type=${isNewPassword ? "password" : "text"} inputmode=${isNewPassword ? "text" : "numeric"}
                autocomplete=${isNewPassword ? "new-password" : "one-time-code"} />
            </label>`}
          <button class="primary" disabled=${isBusy}>${t("signIn")}</button>
        </form>`}
    </section>`;
}

const loginError = usesManagedLogin ? await finishManagedLogin().catch((error) => error) : null;
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} loginError=${loginError} />`, root);
