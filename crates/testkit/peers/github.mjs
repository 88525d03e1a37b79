// GitHub: `emulate` behind GitHub's own OpenAPI description, which judges every request.
//
// Ours, because emulate lacks them: tarballs (from another host, as with GitHub), code scanning uploads, the list of an installation's repositories, the end of an
// installation token and of an OAuth token, refusal of unknown tokens, a second pull request of one branch.
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createEmulator } from 'emulate';
import { answer, forward, freePort, listen, options, start, validator } from './peer.mjs';

const judge = validator(options.openapi);
const dead = new Set();
const alive = new Map();
const uploads = new Map();
let port, front, codeload, broader = null, truncate = 0, unfaithful = {};
const links = new Map();

async function ask(method, path, value, token) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'content-type': 'application/json' },
    body: value == null ? undefined : JSON.stringify(value),
  });
  const text = await response.text();
  return { status: response.status, value: text ? JSON.parse(text) : null };
}

const bearer = (request) => /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
const refusal = { message: 'Bad credentials', documentation_url: 'https://docs.github.com/rest' };

/** A tar of what git holds, the way GitHub makes them: a first entry with the commit, one folder around everything. */
async function tarball(repository, reference, token) {
  const commit = await ask('GET', `/repos/${repository}/commits/${reference}`, undefined, token);
  if (commit.status !== 200) return null;
  const tree = await ask('GET', `/repos/${repository}/git/trees/${commit.value.commit.tree.sha}?recursive=1`, undefined, token);
  const blocks = [];
  const header = (name, size, kind, mode, link = '') => {
    const block = Buffer.alloc(512);
    const bytes = Buffer.from(name);
    let prefix = Buffer.alloc(0), rest = bytes;
    if (bytes.length > 100) {
      const cut = name.lastIndexOf('/', 154);
      prefix = Buffer.from(name.slice(0, cut));
      rest = Buffer.from(name.slice(cut + 1));
    }
    rest.copy(block, 0);
    block.write(mode.toString(8).padStart(7, '0'), 100);
    block.write('0000000', 108);
    block.write('0000000', 116);
    block.write(size.toString(8).padStart(11, '0'), 124);
    block.write('00000000000', 136);
    block.write('        ', 148);
    block.write(kind, 156);
    block.write(link, 157);
    block.write('ustar\x0000', 257);
    prefix.copy(block, 345);
    block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(block);
  };
  const content = (bytes) => blocks.push(bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  const comment = `52 comment=${commit.value.sha}\n`;
  header('pax_global_header', comment.length, 'g', 0o666);
  content(Buffer.from(comment));
  const top = `${repository.replace('/', '-')}-${commit.value.sha.slice(0, 7)}`;
  header(`${top}/`, 0, '5', 0o775);
  for (const entry of tree.value.tree) {
    const name = `${top}/${entry.path}`;
    if (entry.type === 'tree') header(`${name}/`, 0, '5', 0o775);
    if (entry.type === 'commit') header(`${name}/`, 0, '5', 0o775);
    if (entry.type !== 'blob') continue;
    const blob = await ask('GET', `/repos/${repository}/git/blobs/${entry.sha}`, undefined, token);
    // What `.gitattributes` can do to an archive.
    if (unfaithful.omit === entry.path) continue;
    const bytes = unfaithful.change === entry.path ? Buffer.from('nothing to see here\n') : Buffer.from(blob.value.content, 'base64');
    if (entry.mode === '120000') header(name, 0, '2', 0o777, bytes.toString('utf8'));
    else {
      header(name, bytes.length, '0', entry.mode === '100755' ? 0o775 : 0o664);
      content(bytes);
    }
  }
  blocks.push(Buffer.alloc(1024));
  return gzipSync(Buffer.concat(blocks));
}

async function handle(request, body, response) {
  const target = new URL(request.url, 'http://peer');
  const path = target.pathname;
  const token = bearer(request);
  const say = (status, value, headers) => answer(response, status, value, { 'x-ratelimit-remaining': '4999', 'x-ratelimit-limit': '5000', ...headers });

  if (path === '/credentials/revoke' && request.method === 'POST') {
    if (token) return say(403, { message: 'Forbidden' });
    for (const credential of JSON.parse(body).credentials) dead.add(credential);
    return say(202, {});
  }
  const application = /^\/applications\/([^/]+)\/(token|grant)$/.exec(path);
  if (application && request.method === 'DELETE') {
    const wanted = `Basic ${Buffer.from(`${application[1]}:${options.client_secret}`).toString('base64')}`;
    if (request.headers.authorization !== wanted) return say(404, { message: 'Not Found' });
    const doomed = JSON.parse(body).access_token;
    if (!alive.has(doomed) || dead.has(doomed)) return say(422, { message: 'Validation Failed' });
    dead.add(doomed);
    return say(204);
  }
  // An App's own JWT has dots; every other token must be one that was handed out.
  const known = token && !dead.has(token) && (alive.has(token) || token.split('.').length === 3);
  if (!known) return say(401, refusal);
  if (path === '/installation/token' && request.method === 'DELETE') {
    if (!alive.get(token)?.installation) return say(403, { message: 'Resource not accessible' });
    dead.add(token);
    return say(204);
  }
  if (path === '/installation/repositories') {
    const { installation } = alive.get(token);
    if (!installation) return say(403, { message: 'Resource not accessible' });
    const all = installation.names;
    const size = Number(target.searchParams.get('per_page') ?? 30), page = Number(target.searchParams.get('page') ?? 1);
    const repositories = [];
    for (const name of all.slice((page - 1) * size, page * size)) repositories.push((await ask('GET', `/repos/${name}`, undefined, options.owner_token)).value);
    return say(200, { total_count: all.length, repositories });
  }
  const repository = /^\/repos\/([^/]+\/[^/]+)/.exec(path)?.[1];
  const names = alive.get(token)?.installation?.names;
  if (repository && names && !names.includes(repository)) return say(404, { message: 'Not Found' });
  const archive = /^\/repos\/[^/]+\/[^/]+\/tarball\/(.+)$/.exec(path);
  if (archive && request.method === 'GET') {
    const bytes = await tarball(repository, decodeURIComponent(archive[1]), token);
    if (!bytes) return say(404, { message: 'Not Found' });
    const link = `/${createHash('sha256').update(bytes).digest('hex')}`;
    links.set(link, { bytes, until: Date.now() + 300_000 });
    return say(302, undefined, { location: `${codeload}${link}` });
  }
  const sarif = /^\/repos\/[^/]+\/[^/]+\/code-scanning\/sarifs(?:\/(.+))?$/.exec(path);
  if (sarif && request.method === 'POST') {
    const permissions = alive.get(token)?.installation?.permissions;
    if (permissions && permissions.security_events !== 'write') return say(403, { message: 'Resource not accessible by integration' });
    const value = JSON.parse(body);
    const log = JSON.parse(gunzipSync(Buffer.from(value.sarif, 'base64')));
    if (log.version !== '2.1.0' || !Array.isArray(log.runs)) return say(400, { message: 'no SARIF 2.1.0' });
    const id = createHash('sha256').update(body).digest('hex').slice(0, 32);
    uploads.set(id, { ref: value.ref, commit_sha: value.commit_sha, results: log.runs.flatMap((run) => run.results ?? []).length });
    return say(202, { id, url: `${front}${path}/${id}` });
  }
  if (sarif && request.method === 'GET') return uploads.has(sarif[1]) ? say(200, { processing_status: 'complete', analyses_url: null, errors: null }) : say(404, { message: 'Not Found' });
  if (request.method === 'POST' && /\/pulls$/.test(path)) {
    const value = JSON.parse(body);
    const open = await ask('GET', `${path}?state=open&head=${repository.split('/')[0]}:${encodeURIComponent(value.head)}`, undefined, token);
    if (open.status === 200 && open.value.some((pull) => pull.head.ref === value.head && pull.base.ref === value.base)) {
      return say(422, { message: 'Validation Failed', errors: [{ resource: 'PullRequest', code: 'custom', message: `A pull request already exists for ${value.head}.` }] });
    }
  }

  const mint = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(path);
  const given = await forward(port, request, body);
  if (mint && given.status === 201) {
    const value = JSON.parse(given.body);
    if (broader) Object.assign(value, broader);
    alive.set(value.token, { installation: { names: value.repositories?.map((entry) => entry.full_name) ?? options.repositories.map((entry) => `${entry.owner}/${entry.name}`), permissions: value.permissions } });
    return say(201, value);
  }
  if (/\/git\/trees\/[^/]+$/.test(path) && request.method === 'GET' && given.status === 200 && truncate > 0) {
    const value = JSON.parse(given.body);
    if (target.searchParams.has('recursive') && value.tree.length > truncate) {
      return say(200, { ...value, tree: value.tree.slice(0, truncate), truncated: true });
    }
  }
  const headers = { ...given.headers };
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'date']) delete headers[name];
  return answer(response, given.status, given.body, headers);
}

await start({
  handle,
  judges: [judge],
  // Enterprise hosts have the same interface beneath a path.
  rewrite: (url) => url.replace(/^\/api\/v3\//, '/'),
  control: {
    'GET /tokens': () => [...alive.keys()].map((token) => ({ token, dead: dead.has(token), installation: alive.get(token).installation ?? null })),
    'POST /broader': (value) => { broader = value; },
    'POST /narrow': () => { broader = null; },
    'POST /truncate': ({ entries }) => { truncate = entries; },
    'POST /unfaithful': (value) => { unfaithful = value; },
    'GET /uploads': () => [...uploads.values()],
    // What a person does at GitHub, beside the program under test.
    'POST /as-owner': async ({ method, path, body }) => ask(method, path, body, options.owner_token),
  },
  async ready(url) {
    front = url;
    options.owner_token = `gho_${createHmac('sha256', String(process.pid)).update(String(Date.now())).digest('hex')}`;
    options.client_secret = createHash('sha256').update(options.owner_token).digest('hex');
    const accounts = [...new Set(options.repositories.map((entry) => entry.owner))];
    // What an OAuth app got for the owner, each time that she allowed it.
    const lent = Array.from({ length: 4 }, (_, number) => `gho_${createHmac('sha256', options.client_secret).update(String(number)).digest('hex')}`);
    port = await freePort();
    const emulator = await createEmulator({
      service: 'github',
      port,
      hostname: '127.0.0.1',
      baseUrl: url,
      seed: {
        tokens: Object.fromEntries([options.owner_token, ...lent].map((token) => [token, { login: accounts[0], scopes: ['repo', 'user'] }])),
        github: {
          users: accounts.map((login) => ({ login, name: login, email: `${login}@example.com` })),
          repos: options.repositories.map((entry) => ({ ...entry, auto_init: true })),
          apps: [{ app_id: 4242, slug: 'keyblind', name: 'Keyblind', permissions: options.permissions, events: [], installations: [{ installation_id: 77, account: accounts[0], repository_selection: 'all' }] }],
        },
      },
    });
    for (const token of [options.owner_token, ...lent]) alive.set(token, {});
    // A link that GitHub signed: it needs no credential, and must not get one.
    codeload = `http://127.0.0.1:${await listen(createServer((request, response) => {
      if (request.headers.authorization) return answer(response, 400, { message: 'a credential came along' });
      const link = links.get(request.url);
      if (!link || link.until < Date.now()) return answer(response, 404, { message: 'Not Found' });
      return answer(response, 200, link.bytes, { 'content-type': 'application/x-gzip' });
    }))}`;
    const key = emulator.generatedSecrets.find((secret) => secret.kind === 'github.app_private_key').value;
    return { private_key: key, owner_token: options.owner_token, lent: lent.join(' '), client_secret: options.client_secret, codeload };
  },
});
