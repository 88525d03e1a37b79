// A module registry, after the protocol's description: https://developer.hashicorp.com/terraform/internals/module-registry-protocol
//
// All of it is ours. `options.modules` maps `namespace/name/target` to the versions and to where the newest one lies, `options.token` is the
// token that is wanted; archives lie at a port of their own, which must not get it.
import { createServer } from 'node:http';
import { answer, listen, options, start } from './peer.mjs';

const modules = options.modules ?? {};
const files = new Map();
const fetched = [];

const archives = `http://127.0.0.1:${await listen(createServer((request, response) => {
  fetched.push({ url: request.url, authorization: request.headers.authorization ?? null });
  const found = files.get(new URL(request.url, 'http://peer').pathname);
  if (!found) return answer(response, 404, { message: 'Not Found' });
  if (found.location) return answer(response, 302, undefined, { location: found.location });
  return answer(response, 200, found, { 'content-type': 'application/gzip' });
}))}`;

await start({
  handle: async (request, body, response) => {
    const path = new URL(request.url, 'http://peer').pathname;
    if (path === '/.well-known/terraform.json') return answer(response, 200, { 'modules.v1': options.base ?? '/v1/modules/' });
    if (options.token && request.headers.authorization !== `Bearer ${options.token}`) return answer(response, 401, { errors: ['not found'] });
    const [, name, rest] = /^\/v1\/modules\/([^/]+\/[^/]+\/[^/]+)\/(.+)$/.exec(path) ?? [];
    const module = modules[name];
    if (!module) return answer(response, 404, { errors: ['not found'] });
    if (rest === 'versions') return answer(response, 200, { modules: [{ versions: module.versions.map((version) => ({ version })) }] });
    const [, version] = /^([^/]+)\/download$/.exec(rest) ?? [];
    if (!module.versions.includes(version)) return answer(response, 404, { errors: ['not found'] });
    const location = module.location.replace('ARCHIVES', archives).replace('VERSION', version);
    // Newer registries say it in the body, older ones in a header.
    if (module.in_body) return answer(response, 200, { location });
    return answer(response, 204, undefined, { 'x-terraform-get': location });
  },
  control: {
    'POST /file': ({ path, base64, location }) => { files.set(path, location ? { location } : Buffer.from(base64, 'base64')); },
    'POST /module': ({ name, ...module }) => { modules[name] = module; },
    'GET /fetched': () => fetched,
  },
  ready: async () => ({ archives }),
});
