// Who is signed in. Tokens stay in this module's memory: a reload forgets them.

export const configuration = JSON.parse(document.querySelector("meta[name=configuration]").content);
export const ADMIN_GROUP = "admin";
const SCOPES = "openid email aws.cognito.signin.user.admin";
const PENDING = "orders-console-login";
const REFRESH_SECONDS = 60;

let session = null;
let refreshing = null;
let onEnd = () => {};

export const currentUser = () => session && { name: session.name, isAdmin: session.groups.includes(ADMIN_GROUP) };
export const usesManagedLogin = Boolean(configuration.loginDomain);
export const whenSessionEnds = (listener) => { onEnd = listener; };

export function signOut(reason = "") {
  const { refreshToken } = session ?? {};
  session = null;
  onEnd(reason);
  // Nobody else is to renew a session that was ended here.
  if (refreshToken && reason === "out") revoke(refreshToken).catch(() => {});
}

function revoke(token) {
  return usesManagedLogin
    ? fetch(`${configuration.loginDomain}/oauth2/revoke`, { method: "POST", body: new URLSearchParams({ token, client_id: configuration.clientId }) })
    : cognito("RevokeToken", { Token: token });
}

/** A token that is good for another minute; null if nobody is signed in any more. */
export async function accessToken() {
  if (session && session.expiresAt - Date.now() < REFRESH_SECONDS * 1000 && session.refreshToken) {
    refreshing ??= refresh().catch(() => signOut("expired")).finally(() => { refreshing = null; });
    await refreshing;
  }
  return session?.token ?? null;
}

/** Signs in, or returns the challenge that has to be answered first. */
export async function signInWithPassword(name, password) {
  return accept(name, await cognito("InitiateAuth", {
    AuthFlow: "USER_PASSWORD_AUTH",
    AuthParameters: { USERNAME: name, PASSWORD: password },
  }));
}

export async function answerChallenge(name, challenge, answer) {
  const key = { SOFTWARE_TOKEN_MFA: "SOFTWARE_TOKEN_MFA_CODE", NEW_PASSWORD_REQUIRED: "NEW_PASSWORD" }[challenge.ChallengeName];
  return accept(name, await cognito("RespondToAuthChallenge", {
    ...challenge,
    ChallengeResponses: { USERNAME: name, [key]: answer },
  }));
}

function accept(name, { AuthenticationResult: result, ChallengeName, Session }) {
  if (ChallengeName === "SOFTWARE_TOKEN_MFA" || ChallengeName === "NEW_PASSWORD_REQUIRED") return { ChallengeName, Session };
  if (!result) throw new Error(`Cognito asks for ${ChallengeName}, which this page cannot`);
  begin(name, result.AccessToken, result.RefreshToken, result.ExpiresIn);
  return null;
}

function begin(name, token, refreshToken, seconds) {
  const claims = JSON.parse(new TextDecoder().decode(bytesOf(token.split(".")[1])));
  session = { name, token, refreshToken, expiresAt: Date.now() + seconds * 1000, groups: claims["cognito:groups"] ?? [] };
}

async function refresh() {
  const { name, refreshToken } = session;
  if (usesManagedLogin) {
    const tokens = await exchange({ grant_type: "refresh_token", refresh_token: refreshToken });
    begin(name, tokens.access_token, tokens.refresh_token ?? refreshToken, tokens.expires_in);
  } else {
    const { AuthenticationResult: result } = await cognito("InitiateAuth", {
      AuthFlow: "REFRESH_TOKEN_AUTH",
      AuthParameters: { REFRESH_TOKEN: refreshToken },
    });
    begin(name, result.AccessToken, result.RefreshToken ?? refreshToken, result.ExpiresIn);
  }
}

async function cognito(action, request) {
  const response = await fetch(configuration.endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
    },
    body: JSON.stringify({ ClientId: configuration.clientId, ...request }),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message ?? `Cognito responded with ${response.status}`);
  return answer;
}

// Managed login: the authorization code flow with PKCE (RFC 7636). The verifier has to outlive the way to Cognito and
// back; it is of no use without the code, and is removed at once.

const pageAddress = () => `${location.origin}${location.pathname}`;

export async function startManagedLogin() {
  const [verifier, state] = [randomText(), randomText()];
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, hash: location.hash }));
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  location.assign(`${configuration.loginDomain}/oauth2/authorize?${new URLSearchParams({
    response_type: "code",
    client_id: configuration.clientId,
    redirect_uri: pageAddress(),
    scope: SCOPES,
    state,
    code_challenge_method: "S256",
    code_challenge: base64url(new Uint8Array(challenge)),
  })}`);
}

/** Signs in if this is the way back from Cognito. */
export async function finishManagedLogin() {
  const answer = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING));
  sessionStorage.removeItem(PENDING);
  if (!answer.has("code") && !answer.has("error")) return;
  history.replaceState(null, "", `${location.pathname}${pending?.hash ?? ""}`);
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? answer.get("error"));
  if (!pending || pending.state !== answer.get("state")) throw new Error("This sign-in was not begun here. Sign in again");
  const tokens = await exchange({
    grant_type: "authorization_code",
    code: answer.get("code"),
    redirect_uri: pageAddress(),
    code_verifier: pending.verifier,
  });
  const claims = JSON.parse(new TextDecoder().decode(bytesOf(tokens.id_token.split(".")[1])));
  begin(claims.email ?? claims["cognito:username"], tokens.access_token, tokens.refresh_token, tokens.expires_in);
}

async function exchange(parameters) {
  const response = await fetch(`${configuration.loginDomain}/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({ client_id: configuration.clientId, ...parameters }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `Cognito responded with ${response.status}`);
  return answer;
}

function bytesOf(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** 256 random bits, as text for a URL or a header. */
export function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}
