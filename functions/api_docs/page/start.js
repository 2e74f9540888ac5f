"use strict";

const SCHEME = "accessToken";
const form = document.getElementById("sign-in");

function say(text, isError = false) {
  const output = form.querySelector("output");
  output.textContent = text;
  output.classList.toggle("error", isError);
}

// Each visitor places an order of their own: the example's key would find the order of the first.
function withFreshKeys(spec) {
  for (const path of Object.values(spec.paths)) {
    for (const operation of Object.values(path)) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.name === "Idempotency-Key") parameter.example = randomUuid();
      }
    }
  }
  return spec;
}

// `crypto.randomUUID` is only there with TLS, or on this machine.
function randomUuid() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0"));
  hex[6] = `4${hex[6][1]}`;
  hex[8] = `a${hex[8][1]}`;
  return hex.join("").replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

// Swagger UI's own filter looks at the headings only.
function operationsWith(taggedOperations, phrase) {
  const wanted = phrase.toLowerCase();
  const fits = (operation) =>
    [
      operation.get("method"),
      operation.get("path"),
      operation.getIn(["operation", "summary"]),
      operation.getIn(["operation", "operationId"]),
    ].join(" ").toLowerCase().includes(wanted);
  return taggedOperations
    .map((tag, name) =>
      name.toLowerCase().includes(wanted) ? tag : tag.set("operations", tag.get("operations").filter(fits)))
    .filter((tag) => tag.get("operations").size > 0);
}

function followTheTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}

async function cognito(where, action, request) {
  const response = await fetch(where.endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
    },
    body: JSON.stringify({ ClientId: where.clientId, ...request }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message ?? `Cognito responded with ${response.status}`);
  return answer;
}

// The token stays in this page's memory: a reload forgets it.
function letSignIn(where) {
  const { email, password, code, out } = form.elements;
  let challenge = null;
  let expiry;

  function ask(forCode) {
    code.disabled = !forCode;
    code.parentElement.hidden = !forCode;
    if (forCode) code.focus();
  }

  function show(signedIn) {
    out.hidden = !signedIn;
    for (const element of [email, password]) {
      element.disabled = signedIn;
      element.parentElement.hidden = signedIn;
    }
    form.querySelector("button:not([name])").hidden = signedIn;
  }

  function forget(text) {
    clearTimeout(expiry);
    ui.authActions.logout([SCHEME]);
    show(false);
    say(text);
  }

  async function signIn() {
    const answer = challenge
      ? await cognito(where, "RespondToAuthChallenge", {
          ...challenge,
          ChallengeResponses: { USERNAME: email.value, SOFTWARE_TOKEN_MFA_CODE: code.value },
        })
      : await cognito(where, "InitiateAuth", {
          AuthFlow: "USER_PASSWORD_AUTH",
          AuthParameters: { USERNAME: email.value, PASSWORD: password.value },
        });
    if (answer.ChallengeName === "SOFTWARE_TOKEN_MFA") {
      challenge = { ChallengeName: answer.ChallengeName, Session: answer.Session };
      ask(true);
      say("Enter the code of your authenticator");
      return;
    }
    if (!answer.AuthenticationResult) throw new Error(`Cognito asks for ${answer.ChallengeName}, which this page cannot`);
    const { AccessToken, ExpiresIn } = answer.AuthenticationResult;
    ui.preauthorizeApiKey(SCHEME, AccessToken);
    challenge = null;
    password.value = code.value = "";
    ask(false);
    show(true);
    const until = new Date(Date.now() + ExpiresIn * 1000);
    say(`Signed in as ${email.value} until ${until.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
    expiry = setTimeout(() => forget("The token has expired. Sign in again"), ExpiresIn * 1000);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say("…");
    signIn().catch((error) => {
      challenge = null;
      ask(false);
      say(error.message, true);
    });
  });
  out.addEventListener("click", () => forget("Signed out"));
}

let served = null;

const ui = SwaggerUIBundle({
  dom_id: "#api",
  // Relative to the page, so that it is right at every stage's address.
  url: "openapi.json",
  responseInterceptor(response) {
    // The first response is the document; the others are to be shown as they came.
    if (served === null && response.ok) {
      served = withFreshKeys(JSON.parse(response.text));
      response.text = JSON.stringify(served);
    }
    return response;
  },
  onComplete() {
    document.querySelector(".operation-filter-input").placeholder = "Filter by path, name or heading";
    letSignIn(served.components.securitySchemes[SCHEME]["x-cognito"]);
  },
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [{ fn: { opsFilter: operationsWith } }],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  // Else Swagger UI would send the document's address to a service of its makers.
  validatorUrl: null,
});
followTheTheme();
