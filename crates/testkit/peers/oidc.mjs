// An OpenID provider with Auth0's paths: `oidc-provider`, certified, does login, PKCE, pushed requests, refresh, revocation,
// DPoP and back-channel requests with authorization details.
//
// Ours: Auth0's exchange of a token for a connected account's (as a grant type of `oidc-provider`, over its own tokens), RFC
// 8693's, a refresh token's use for another audience, the My Account API (judged by Auth0's own OpenAPI), the two management calls,
// `interval` and `slow_down`.
import { createHash, randomBytes } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';
import { createServer } from 'node:http';
import { answer, forward, listen, options, start, validator } from './peer.mjs';

const FEDERATED = 'urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const CIBA = 'urn:openid:params:grant-type:ciba';
const judgeAccounts = validator(new URL('./auth0-my-account.json', import.meta.url), '/me/v1');

const clientSecret = randomBytes(24).toString('base64url');
const pending = new Map();
const handed = new Map();
const vault = new Map();
const exchanged = new Map();
const sessions = new Map();
const refreshTokens = new Map();
const managementTokens = new Set();
const endedGrants = [];
let setup = { client: {}, mfa: [], active: true };
let provider, inner, issuer, sub, slow = 0, mfa = false, limited = false;

const account = (id) => vault.get(id) ?? vault.set(id, new Map()).get(id);
const say = (ctx, status, body, headers = {}) => {
  ctx.status = status;
  ctx.set(headers);
  ctx.body = body;
};

async function subjectOf(ctx, type, token) {
  if (type === 'urn:ietf:params:oauth:token-type:refresh_token') {
    const found = await provider.RefreshToken.find(token);
    if (!found || !found.isValid || found.clientId !== ctx.oidc.client.clientId) return null;
    return found.accountId;
  }
  if (type === 'urn:ietf:params:oauth:token-type:access_token') {
    try {
      const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${inner}/.well-known/jwks.json`));
      return (await jwtVerify(token, keys, { issuer, audience: options.api })).payload.sub;
    } catch {
      const found = await provider.AccessToken.find(token);
      return found?.isValid && found.clientId === ctx.oidc.client.clientId ? found.accountId : null;
    }
  }
  if (type === 'urn:ietf:params:oauth:token-type:jwt') {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(options.worker_keys), { issuer: ctx.oidc.client.clientId, audience: issuer, maxTokenAge: 60, typ: 'token-vault-req+jwt', algorithms: ['RS256', 'ES256', 'PS256'] });
      if (!payload.jti || !payload.audit_context || payload.audit_context.length > 256 || protectedHeader.typ !== 'token-vault-req+jwt') return null;
      return payload.sub;
    } catch {
      return null;
    }
  }
  return undefined;
}

async function federated(ctx) {
  const { subject_token: token, subject_token_type: type, requested_token_type: wanted, connection } = ctx.oidc.params;
  if (limited) return say(ctx, 429, { error: 'too_many_requests', error_description: 'Global limit has been reached' }, { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 7) });
  if (!options.federated) return say(ctx, 403, { error: 'unauthorized_client', error_description: 'Grant type not allowed for the client.' });
  if (mfa) return say(ctx, 403, { error: 'mfa_required', error_description: 'Multifactor authentication required', mfa_token: randomBytes(9).toString('hex') });
  const worker = type === 'urn:ietf:params:oauth:token-type:jwt';
  const right = `http://auth0.com/oauth/token-type/${worker ? 'token-vault' : 'federated-connection'}-access-token`;
  if (wanted !== right || !connection) return say(ctx, 400, { error: 'invalid_request', error_description: 'wrong requested_token_type or no connection' });
  const subject = await subjectOf(ctx, type, token);
  if (subject === undefined) return say(ctx, 400, { error: 'invalid_request', error_description: 'subject_token_type' });
  if (subject === null) return say(ctx, type.endsWith('refresh_token') ? 403 : 401, { error: 'invalid_grant', error_description: 'Unknown or invalid subject token.' });
  const linked = [...account(subject).values()].find((entry) => entry.connection === connection);
  if (!linked) return say(ctx, 401, { error: 'federated_connection_refresh_token_not_found', error_description: 'No tokenset.' });
  if (linked.state === 'broken') return say(ctx, 401, { error: 'federated_connection_refresh_token_flow_failed', error_description: 'Refresh failed.' });
  return say(ctx, 200, { access_token: linked.token, scope: linked.token_scope, expires_in: linked.expires_in, issued_token_type: right, token_type: 'Bearer' });
}

/** RFC 8693: an access token for an audience out of a token of a login; for a linked account, that account's own. */
async function exchange(ctx) {
  const { subject_token: token, subject_token_type: type, requested_token_type: wanted, audience, resource, scope } = ctx.oidc.params;
  const subject = await subjectOf(ctx, type, token);
  if (!subject) return say(ctx, 400, { error: 'invalid_grant' });
  const target = options.exchanges?.find((one) => one.audience === [audience].flat()[0] && one.resource === [resource].flat()[0]);
  if (target) {
    if (![type, wanted].every((kind) => kind === 'urn:ietf:params:oauth:token-type:access_token')) return say(ctx, 400, { error: 'invalid_request' });
    const linked = exchanged.get(subject);
    if (!linked) return say(ctx, 400, { error: 'invalid_target', error_description: 'no such account is linked' });
    return say(ctx, 200, { access_token: linked.token, issued_token_type: wanted, token_type: 'Bearer', expires_in: 3600, scope: linked.scope });
  }
  if ([audience].flat()[0] !== options.api) return say(ctx, 400, { error: 'invalid_target' });
  const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: subject });
  grant.addResourceScope(options.api, scope ?? 'scan:read');
  const grantId = await grant.save();
  const access = new provider.AccessToken({ accountId: subject, client: ctx.oidc.client, grantId, gty: EXCHANGE, scope: scope ?? 'scan:read' });
  access.resourceServer = new provider.ResourceServer(options.api, resourceServer(options.api));
  return say(ctx, 200, { access_token: await access.save(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: access.expiration, scope: access.scope });
}

/** What Auth0 calls a multi-resource refresh token: an access token for the My Account API out of the refresh token of a login. */
async function forMyAccount(form, url, response) {
  if (form.get('client_id') !== 'keyblind' || form.get('client_secret') !== clientSecret) return answer(response, 401, { error: 'invalid_client' });
  const refresh = await provider.RefreshToken.find(form.get('refresh_token'));
  if (!refresh?.isValid || refresh.clientId !== 'keyblind') return answer(response, 403, { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' });
  const audience = form.get('audience');
  const scope = (form.get('scope') ?? '').split(' ').filter((one) => one.includes(':me:')).join(' ');
  const access = new provider.AccessToken({ accountId: refresh.accountId, client: await provider.Client.find('keyblind'), grantId: refresh.grantId, gty: 'refresh_token', scope });
  access.resourceServer = new provider.ResourceServer(audience, resourceServer(audience));
  return answer(response, 200, { access_token: await access.save(), token_type: 'Bearer', expires_in: access.expiration, scope });
}

const resourceServer = (audience) => ({
  scope: audience.endsWith('/me/') ? 'create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts' : 'scan:read change:write',
  audience,
  accessTokenTTL: 3600,
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: 'RS256' } },
});

function build(url) {
  issuer = options.slash ? `${url}/` : url;
  const client = {
    client_secret: clientSecret,
    redirect_uris: options.redirects ?? ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', CIBA, EXCHANGE, FEDERATED],
    backchannel_token_delivery_mode: 'poll',
    token_endpoint_auth_method: 'client_secret_post',
    authorization_details_types: options.details,
    id_token_signed_response_alg: options.algorithm ?? 'RS256',
  };
  provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: 'keyblind' },
      { ...client, client_id: 'keyblind-bound', dpop_bound_access_tokens: true },
      { ...client, client_id: 'keyblind-basic', token_endpoint_auth_method: 'client_secret_basic' },
      ...(options.worker_keys ? [{ ...client, client_secret: undefined, client_id: 'keyblind-jwt', token_endpoint_auth_method: 'private_key_jwt', jwks: options.worker_keys }] : []),
    ],
    jwks: options.jwks,
    routes: {
      token: '/oauth/token', authorization: '/authorize', jwks: '/.well-known/jwks.json', revocation: '/oauth/revoke', backchannel_authentication: '/bc-authorize',
      pushed_authorization_request: '/oauth/par', userinfo: '/userinfo', introspection: '/oauth/introspect',
    },
    pkce: { required: () => true },
    rotateRefreshToken: Boolean(options.rotate),
    issueRefreshToken: async (ctx, client, code) => code.scopes.has('offline_access'),
    scopes: ['openid', 'offline_access', 'profile', 'email', 'scan:read'],
    claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
    conformIdTokenClaims: false,
    extraParams: ['audience', 'connection'],
    // An impostor is in the token only: somebody else has said yes.
    findAccount: (ctx, id, token) => ({ accountId: (token && options.impostors?.[id]) || id, claims: () => ({ sub: id, email: 'ada@example.com', name: 'Ada' }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    ttl: { AccessToken: 3600, IdToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 3600, Interaction: 600, BackchannelAuthenticationRequest: options.ciba_lifetime ?? 300 },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      introspection: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: { enabled: true, ...(options.nonce ? { nonceSecret: randomBytes(32), requireNonce: () => true } : {}) },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => ctx.oidc.params?.audience ?? ctx.oidc.body?.audience ?? options.api,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => resourceServer(resource),
      },
      richAuthorizationRequests: {
        enabled: true,
        types: Object.fromEntries(options.details.map((type) => [type, { validate() {} }])),
        authorizationDetailsForGrantSource: (ctx, source) => source.rar,
        authorizationDetailsForAccessToken: (ctx, token, source) => source.rar,
        authorizationDetailsForIntrospection: (ctx, token) => token.rar,
      },
      ciba: {
        enabled: true,
        deliveryModes: ['poll'],
        processLoginHint: (ctx, hint) => JSON.parse(hint).sub,
        processLoginHintToken: () => undefined,
        verifyUserCode() {},
        validateRequestContext() {},
        // Auth0's limits; oidc-provider's own allow 20 characters.
        validateBindingMessage(ctx, message) {
          if (message && !/^[A-Za-z0-9+\-_.,:# ]{1,64}$/.test(message)) throw new errors.InvalidBindingMessage('the binding message has other characters');
        },
        triggerAuthenticationDevice(ctx, request, who) {
          if (options.no_device?.includes(who.accountId)) throw new errors.InvalidRequest('user does not have push notifications enabled');
          pending.set(request.jti, { request, account: who.accountId, message: ctx.oidc.params.binding_message, details: ctx.oidc.params.authorization_details && JSON.parse(ctx.oidc.params.authorization_details), expiry: ctx.oidc.params.requested_expiry });
        },
      },
    },
  });
  provider.registerGrantType(FEDERATED, federated, ['subject_token', 'subject_token_type', 'requested_token_type', 'connection', 'login_hint']);
  provider.registerGrantType(EXCHANGE, exchange, ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'], ['audience', 'resource']);
  provider.on('refresh_token.saved', (token) => refreshTokens.set(token.jti, token));
  provider.on('server_error', (ctx, error) => process.stderr.write(`${error.stack}\n`));
  for (const name of ['grant.error', 'authorization.error', 'pushed_authorization_request.error', 'backchannel_authentication.error']) {
    provider.on(name, (ctx, error) => process.stderr.write(`${name}: ${error.error} ${error.error_description} ${error.error_detail ?? ''}\n`));
  }
  return createServer(async (request, response) => {
    const interaction = /^\/interaction\/([^/?]+)$/.exec(request.url);
    if (!interaction) return provider.callback()(request, response);
    // The person signs in and consents to what is asked.
    try {
      const details = await provider.interactionDetails(request, response);
      const grant = details.grantId ? await provider.Grant.find(details.grantId) : new provider.Grant({ accountId: sub, clientId: details.params.client_id });
      grant.addOIDCScope(details.params.scope);
      for (const [resource, scopes] of Object.entries(details.prompt.details.missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
      await provider.interactionFinished(request, response, { login: { accountId: sub }, consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
    } catch (error) {
      answer(response, 500, { message: String(error.stack) });
    }
  });
}

/** Walks a sign-in the way a browser does, and gives the address at which it leaves. */
async function browse({ url, account: who }) {
  sub = who;
  const jar = new Map();
  let at = url;
  for (let step = 0; step < 12; step += 1) {
    const response = await fetch(at, { redirect: 'manual', headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${response.status} at ${at}: ${await response.text()}`);
    const next = new URL(location, at);
    if (next.origin !== new URL(issuer).origin) return { location: next.href };
    at = next.href;
  }
  throw new Error('the sign-in goes in circles');
}

async function myAccount(request, body, response, url) {
  const faults = judgeAccounts(request.method, request.url, request.headers, body);
  const problem = (status, title, type = 'about:blank') => answer(response, status, { type, status, title, detail: title, ...(status === 400 ? { validation_errors: [] } : {}) }, { 'content-type': 'application/problem+json' });
  if (faults.length) return problem(400, faults.join('; '));
  const subject = await (async () => {
    try {
      const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${inner}/.well-known/jwks.json`));
      return (await jwtVerify(request.headers.authorization?.replace(/^Bearer /, '') ?? '', keys, { issuer, audience: `${url}/me/` })).payload;
    } catch {
      return null;
    }
  })();
  if (!subject) return problem(401, 'Unauthorized');
  const may = (scope) => ` ${subject.scope} `.includes(` ${scope}:me:connected_accounts `);
  const path = new URL(request.url, url).pathname.slice('/me/v1/connected-accounts'.length);
  const value = body.length ? JSON.parse(body) : {};
  if (path === '/connect') {
    if (!may('create')) return problem(403, 'Insufficient scope');
    const [session, ticket] = [randomBytes(18).toString('base64url'), randomBytes(18).toString('base64url')];
    sessions.set(session, { ...value, account: subject.sub, ticket, code: randomBytes(18).toString('base64url') });
    return answer(response, 201, { auth_session: session, connect_uri: `${url}/connected-accounts/connect`, connect_params: { ticket }, expires_in: 300 });
  }
  if (path === '/complete') {
    if (!may('create')) return problem(403, 'Insufficient scope');
    const session = sessions.get(value.auth_session);
    const verified = session && (!session.code_challenge || createHash('sha256').update(value.code_verifier ?? '').digest('base64url') === session.code_challenge);
    if (!session || session.account !== subject.sub || session.code !== value.connect_code || session.redirect_uri !== value.redirect_uri || !verified) return problem(400, 'The connect code is not valid');
    sessions.delete(value.auth_session);
    const id = `cac_${randomBytes(16).toString('base64url').replaceAll(/[-_]/g, 'x').slice(0, 22)}`;
    const scopes = session.scopes ?? [];
    // Whoever connects the same account anew has one afterwards.
    for (const [other, entry] of account(subject.sub)) if (entry.connection === session.connection) account(subject.sub).delete(other);
    const created = { id, connection: session.connection, access_type: 'offline', scopes, created_at: new Date().toISOString() };
    account(subject.sub).set(id, { ...created, state: 'good', token: options.tokens?.[session.connection]?.shift() ?? randomBytes(20).toString('hex'), token_scope: scopes.join(' '), expires_in: 3600 });
    return answer(response, 201, created);
  }
  const shown = ({ id, connection, access_type, scopes, created_at }) => ({ id, connection, access_type, scopes, created_at });
  if (path === '/accounts') {
    if (!may('read')) return problem(403, 'Insufficient scope');
    const [from, take] = ['from', 'take'].map((name) => Number(new URL(request.url, url).searchParams.get(name) ?? 0));
    const all = [...account(subject.sub).values()].map(shown);
    const end = from + Math.min(take || 20, 20);
    return answer(response, 200, { accounts: all.slice(from, end), ...(end < all.length ? { next: String(end) } : {}) });
  }
  if (path === '/connections') return answer(response, 200, { connections: [{ name: 'github', strategy: 'github', scopes: ['repo'] }] });
  if (!may('delete')) return problem(403, 'Insufficient scope');
  if (!account(subject.sub).delete(path.slice('/accounts/'.length))) return problem(404, 'No such account');
  return answer(response, 204, undefined);
}

/** The question of that person, or the last one. */
const asked = (change) => (change?.account ? [...pending].find(([, one]) => one.account === change.account && (!change.message || one.message === change.message)) : [...pending].at(-1));

async function revokeAll(who) {
  for (const token of refreshTokens.values()) if (token.accountId === who) await token.destroy();
}

await start({
  judges: [judgeAccounts],
  async handle(request, body, response) {
    const path = new URL(request.url, 'http://peer').pathname;
    const url = issuer.replace(/\/$/, '');
    if (path.startsWith('/me/v1/')) return myAccount(request, body, response, url);
    if (path === '/connected-accounts/connect') {
      const ticket = new URL(request.url, url).searchParams.get('ticket');
      const session = [...sessions.values()].find((session) => session.ticket === ticket);
      if (!session) return answer(response, 400, { message: 'no such ticket' });
      const back = new URL(session.redirect_uri);
      back.searchParams.set('connect_code', session.code);
      if (session.state) back.searchParams.set('state', session.state);
      return answer(response, 302, undefined, { location: back.href });
    }
    const management = /^\/api\/v2\/users\/([^/]+)\/revoke-access$/.exec(path);
    if (management && request.method === 'POST') {
      if (!managementTokens.has(request.headers.authorization?.replace(/^Bearer /, ''))) return answer(response, 401, { statusCode: 401, error: 'Unauthorized', message: 'Invalid token' });
      await revokeAll(decodeURIComponent(management[1]));
      return answer(response, 202, undefined);
    }
    const listed = /^\/api\/v2\/users\/([^/]+)\/refresh-tokens$/.exec(path);
    if (listed && request.method === 'GET') {
      if (!managementTokens.has(request.headers.authorization?.replace(/^Bearer /, ''))) return answer(response, 401, { statusCode: 401, error: 'Unauthorized', message: 'Invalid token' });
      const tokens = [];
      for (const [jti, token] of refreshTokens) if (token.accountId === decodeURIComponent(listed[1]) && (await provider.RefreshToken.find(jti))) tokens.push({ id: jti.slice(0, 8), user_id: token.accountId });
      return answer(response, 200, { tokens });
    }
    // What an administrator sees of the set-up; a test says what is set.
    if (request.method === 'GET' && /^\/api\/v2\/(clients\/[^/]+|guardian\/policies|connections)$/.test(path)) {
      if (!managementTokens.has(request.headers.authorization?.replace(/^Bearer /, ''))) return answer(response, 401, { statusCode: 401, error: 'Unauthorized', message: 'Invalid token' });
      if (path.includes('/guardian/')) return answer(response, 200, setup.mfa);
      if (path.endsWith('/connections')) return answer(response, 200, new URL(request.url, url).searchParams.get('name') === 'github' ? [{ id: 'con_1', name: 'github', strategy: 'github', connected_accounts: { active: setup.active } }] : []);
      const client = { grant_types: ['authorization_code', 'refresh_token', CIBA, FEDERATED], callbacks: options.redirects ?? [], oidc_conformant: true, is_first_party: true, refresh_token: { rotation_type: 'non-rotating', expiration_type: 'non-expiring' } };
      return answer(response, 200, { ...client, ...setup.client });
    }
    if (path === '/api/v2/grants' && request.method === 'DELETE') {
      if (!managementTokens.has(request.headers.authorization?.replace(/^Bearer /, ''))) return answer(response, 401, { statusCode: 401, error: 'Unauthorized', message: 'Invalid token' });
      endedGrants.push(new URL(request.url, url).searchParams.get('user_id'));
      return answer(response, 204, undefined);
    }
    const kept = /^\/api\/v2\/users\/([^/]+)\/connected-accounts$/.exec(path);
    if (kept && request.method === 'GET') {
      if (!managementTokens.has(request.headers.authorization?.replace(/^Bearer /, ''))) return answer(response, 401, { statusCode: 401, error: 'Unauthorized', message: 'Invalid token' });
      return answer(response, 200, { connected_accounts: [...account(decodeURIComponent(kept[1])).values()].map(({ id, connection, scopes, created_at }) => ({ id, connection, strategy: connection, access_type: 'offline', scopes, created_at })) });
    }
    const form = new URLSearchParams(body.toString('utf8'));
    if (path === '/oauth/token' && form.get('grant_type') === 'client_credentials' && form.get('audience') === `${url}/api/v2/`) {
      if (form.get('client_secret') !== clientSecret) return answer(response, 401, { error: 'access_denied', error_description: 'Unauthorized' });
      const token = randomBytes(24).toString('base64url');
      managementTokens.add(token);
      return answer(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 86400, scope: 'delete:sessions delete:refresh_tokens' });
    }
    if (path === '/oauth/token' && form.get('grant_type') === 'refresh_token' && form.get('audience') === `${url}/me/`) return forMyAccount(form, url, response);
    if (path === '/oauth/token' && form.get('grant_type') === CIBA && slow > 0) {
      slow -= 1;
      return answer(response, 400, { error: 'slow_down', interval: 2 }, { 'retry-after': '2' });
    }
    const given = await forward(inner, request, body);
    let text = given.body;
    if (path === '/bc-authorize' && given.status === 200 && options.interval) text = Buffer.from(JSON.stringify({ ...JSON.parse(text), interval: options.interval }));
    if (path === '/oauth/token' && given.status === 200 && form.get('grant_type') === CIBA) handed.set(form.get('auth_req_id'), true);
    const headers = { ...given.headers };
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']) delete headers[name];
    return answer(response, given.status, text, headers);
  },
  control: {
    'POST /browse': browse,
    // Who sits at a real browser that comes here.
    'POST /person': ({ account: who }) => { sub = who; },
    'GET /pending': () => [...pending.values()].map(({ account, message, details, expiry }) => ({ account, message, details, expiry })),
    'POST /approve': async (change) => {
      const [jti, { request, account: who, details }] = asked(change);
      const grant = new provider.Grant({ clientId: request.clientId, accountId: who });
      grant.addOIDCScope(request.scope ?? 'openid');
      if (options.api) grant.addResourceScope(options.api, 'scan:read');
      const granted = change?.details ?? details;
      for (const detail of granted ?? []) grant.addRar(detail);
      await provider.backchannelResult(request, await grant.save(), { acr: 'urn:mfa', amr: ['hwk'], authTime: Math.floor(Date.now() / 1000), rar: granted });
      pending.delete(jti);
    },
    'POST /deny': async (change) => {
      const [jti, { request }] = asked(change);
      await provider.backchannelResult(request, new errors.AccessDenied('The end-user denied the authorization request or it has been expired'));
      pending.delete(jti);
    },
    'POST /connect': ({ account: who, connection, scope, token, expires_in = 3600, state = 'good' }) => {
      const id = `cac_${randomBytes(16).toString('hex').slice(0, 22)}`;
      account(who).set(id, { id, connection, access_type: 'offline', scopes: scope.split(/[ ,]/), created_at: new Date().toISOString(), state, token, token_scope: scope, expires_in });
    },
    'POST /disconnect': ({ account: who }) => { vault.delete(who); },
    // The account's own provider takes back what was allowed.
    'POST /lapse': ({ account: who }) => { for (const entry of account(who).values()) entry.state = 'broken'; },
    'POST /slow': ({ times }) => { slow = times; },
    'POST /mfa': ({ on }) => { mfa = on; },
    'POST /limit': ({ on }) => { limited = on; },
    'POST /setup': (changed) => { setup = { client: {}, mfa: [], active: true, ...changed }; },
    'GET /ended-grants': () => endedGrants,
    'POST /link': async (body) => {
      exchanged.set(body.account, { token: body.token, scope: body.scope });
      return {};
    },
    'GET /refresh-tokens': async () => {
      const living = [];
      for (const [jti, token] of refreshTokens) if (await provider.RefreshToken.find(jti)) living.push({ account: token.accountId });
      return living;
    },
  },
  async ready(url) {
    inner = await listen(build(url));
    return { issuer, client_secret: clientSecret };
  },
});
