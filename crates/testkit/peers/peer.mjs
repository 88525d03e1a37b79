// What every peer needs: a front on loopback that remembers each request, gives the faults that a test asked for, checks
// requests against an OpenAPI document, and passes the rest on; a second port for the test itself; an end when the test ends.
import { createServer, request as send } from 'node:http';
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';

const BODY_LIMIT = 64 * 1024 * 1024;

export async function readBody(stream) {
  const parts = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > BODY_LIMIT) throw new Error('the request is larger than this peer takes');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

export function listen(server) {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => done(server.address().port));
  });
}

/** A port that nobody listens at now, for programs that can't say which one they got. */
export async function freePort() {
  const server = createServer();
  const port = await listen(server);
  await new Promise((done) => server.close(done));
  return port;
}

export function answer(response, status, value, headers = {}) {
  const text = value === undefined ? '' : Buffer.isBuffer(value) ? value : JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
}

/** Sends a request on to `port` and gives the whole answer. */
export function forward(port, request, body) {
  return new Promise((done, failed) => {
    const headers = { ...request.headers, 'content-length': String(body.length) };
    delete headers['transfer-encoding'];
    const onward = send({ host: '127.0.0.1', port, method: request.method, path: request.url, headers }, async (incoming) => {
      try {
        done({ status: incoming.statusCode, headers: incoming.headers, body: await readBody(incoming) });
      } catch (error) {
        failed(error);
      }
    });
    onward.on('error', failed);
    onward.end(body);
  });
}

/** Judges requests by an OpenAPI document: unknown path, parameters, body, and fields that the document doesn't know. */
export function validator(file, prefix = '') {
  const document = JSON.parse(readFileSync(file, 'utf8'));
  const Judge = document.openapi.startsWith('3.1') ? Ajv2020 : Ajv;
  const ajv = new Judge({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: 'document', ...document });
  const pointer = (...parts) => parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const resolve = (value) => {
    while (value?.$ref) value = value.$ref.slice(2).split('/').reduce((node, part) => node[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);
    return value;
  };
  const literal = (text) => text.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&');
  const routes = Object.keys(document.paths)
    .map((path) => {
      // A git reference is the one kind of parameter whose value holds slashes.
      const last = path.endsWith('{ref}') || path.endsWith('{branch}') || path.endsWith('{path}');
      const pattern = literal(path).replaceAll(/\{[^}]+\}/g, (_, at, whole) => (last && at + _.length === whole.length ? '(.+)' : '([^/]+)'));
      return { path, names: [...path.matchAll(/\{([^}]+)\}/g)].map((name) => name[1]), pattern: new RegExp(`^${pattern}$`), fixed: path.replaceAll(/\{[^}]+\}/g, '').length };
    })
    .sort((a, b) => b.fixed - a.fixed);
  const compiled = new Map();
  const judge = (reference) => {
    if (!compiled.has(reference)) compiled.set(reference, ajv.compile({ $ref: reference }));
    return compiled.get(reference);
  };
  return (method, url, headers, body) => {
    const target = new URL(url, 'http://peer');
    if (!target.pathname.startsWith(prefix)) return [];
    const pathname = target.pathname.slice(prefix.length);
    method = method.toLowerCase();
    const route = routes.find((route) => route.pattern.test(pathname) && document.paths[route.path][method]);
    if (!route) return [`no such operation: ${method} ${pathname}`];
    const faults = [];
    const operation = document.paths[route.path][method];
    const values = route.pattern.exec(pathname).slice(1).map(decodeURIComponent);
    const parameters = [...(document.paths[route.path].parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
    const check = (schema, text, what) => {
      const kind = resolve(schema)?.type;
      const value = kind === 'integer' || kind === 'number' ? Number(text) : kind === 'boolean' ? text === 'true' : kind === 'array' ? text.split(',') : text;
      const valid = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')));
      if (!valid(value)) faults.push(`${what}: ${ajv.errorsText(valid.errors)}`);
    };
    for (const parameter of parameters.filter((parameter) => parameter.in === 'path')) {
      check(parameter.schema, values[route.names.indexOf(parameter.name)], `path parameter ${parameter.name}`);
    }
    const known = parameters.filter((parameter) => parameter.in === 'query');
    for (const [name, value] of target.searchParams) {
      const parameter = known.find((parameter) => parameter.name === name);
      if (parameter) check(parameter.schema, value, `query parameter ${name}`);
      else faults.push(`no such query parameter: ${name}`);
    }
    for (const parameter of known) {
      if (parameter.required && !target.searchParams.has(parameter.name)) faults.push(`the query parameter ${parameter.name} is missing`);
    }
    const content = resolve(operation.requestBody)?.content?.['application/json'];
    if (body.length === 0) {
      if (operation.requestBody?.required) faults.push('the body is missing');
    } else if (!content) {
      faults.push('this operation takes no JSON body');
    } else if (!/^application\/json(;|$)/.test(headers['content-type'] ?? '')) {
      faults.push(`the body is no JSON but ${headers['content-type']}`);
    } else {
      let value;
      try {
        value = JSON.parse(body.toString('utf8'));
      } catch {
        return [...faults, 'the body is no JSON'];
      }
      const valid = judge(`document#/${pointer('paths', route.path, method, 'requestBody', 'content', 'application/json', 'schema')}`);
      if (!valid(value)) faults.push(`body: ${ajv.errorsText(valid.errors)}`);
      const properties = resolve(content.schema)?.properties;
      if (properties && !resolve(content.schema).oneOf && !resolve(content.schema).anyOf) {
        for (const name of Object.keys(value)) if (!(name in properties)) faults.push(`body: no such field: ${name}`);
      }
    }
    return faults;
  };
}

/**
 * Starts the two ports and prints where they are. `handle(request, body, response)` answers what no fault was asked for;
 * `control` maps `METHOD /path` to what the test may ask, `ready` is told to the test.
 */
export async function start({ handle, control = {}, judges = [], rewrite = (url) => url, ready }) {
  const seen = [];
  let faults = [];
  // Requests that stand still until the test lets them go on.
  let held = [];
  const hold = () => new Promise((go) => held.push(go));
  const front = createServer(async (request, response) => {
    try {
      const body = await readBody(request);
      request.url = rewrite(request.url);
      const path = new URL(request.url, 'http://peer').pathname;
      const violations = judges.flatMap((judge) => judge(request.method, request.url, request.headers, body));
      const entry = { method: request.method, path, url: request.url, headers: request.headers, body: body.toString('utf8'), violations, at: Date.now() };
      seen.push(entry);
      const fault = faults.find((fault) => fault.times > 0 && (!fault.method || fault.method === request.method) && new RegExp(fault.path).test(path) && (!fault.matching || new RegExp(fault.matching).test(`${request.url} ${entry.body}`)));
      if (fault) {
        fault.times -= 1;
        entry.fault = fault.status ?? 'hang';
        if (fault.hold === 'before') await hold();
        let answered;
        if (fault.after || fault.hold) {
          // The effect happens; the answer is lost, or comes when the test lets it.
          await handle(request, body, { writeHead: (...head) => { answered = { head }; }, end: (text) => { answered.body = text; } });
        }
        if (fault.hold === 'after') await hold();
        if (fault.hold && !fault.after) {
          response.writeHead(...answered.head);
          return response.end(answered.body);
        }
        if (fault.hang) return;
        if (fault.drop) return request.socket.destroy();
        if (fault.bytes) return answer(response, fault.status, Buffer.alloc(fault.bytes, ' '), fault.headers);
        return answer(response, fault.status, fault.body ?? { message: 'a fault that the test asked for' }, fault.headers);
      }
      await handle(request, body, response);
    } catch (error) {
      if (!response.headersSent) answer(response, 500, { message: String(error?.stack ?? error) });
    }
  });
  const own = {
    'GET /requests': () => seen,
    'POST /forget': () => { seen.length = 0; },
    'GET /violations': () => seen.flatMap((entry) => entry.violations.map((violation) => `${entry.method} ${entry.url}: ${violation}`)),
    'POST /faults': (fault) => { faults.push({ times: 1, ...fault }); },
    'POST /heal': () => { faults = []; },
    'GET /held': () => held.length,
    'POST /release': () => { held.forEach((go) => go()); held = []; },
    ...control,
  };
  const back = createServer(async (request, response) => {
    try {
      const text = (await readBody(request)).toString('utf8');
      const action = own[`${request.method} ${new URL(request.url, 'http://peer').pathname}`];
      if (!action) return answer(response, 404, { message: 'the peer has no such control' });
      answer(response, 200, (await action(text ? JSON.parse(text) : {})) ?? null);
    } catch (error) {
      answer(response, 500, { message: String(error?.stack ?? error) });
    }
  });
  const url = `http://127.0.0.1:${await listen(front)}`;
  const told = await ready(url);
  process.stdout.write(`${JSON.stringify({ url, control: `http://127.0.0.1:${await listen(back)}`, ...told })}\n`);
  // Standard input is a pipe from the test: it closes however the test ends.
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
}

export const options = JSON.parse(process.argv[2] ?? '{}');
