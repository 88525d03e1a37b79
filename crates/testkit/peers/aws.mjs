// AWS: `ministack` (authorization) or `moto` (shapes and errors), each a process of its own behind the front that remembers requests.
//
// For tests it also says what botocore would have signed, and whether npm's `jose` takes a token.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { forward, freePort, options, start } from './peer.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const python = join(here, '..', 'python', 'bin', 'python');
const port = await freePort();

const emulator = spawn(python, ['-I', join(here, 'aws.py'), options.kind, String(port)], {
  // Its standard input is the line that it dies with.
  stdio: ['pipe', 'ignore', 'pipe'],
  cwd: options.folder,
  env: {
    PATH: '/usr/bin:/bin',
    HOME: options.folder,
    TMPDIR: options.folder,
    AUTH: 'true',
    BIND_HOST: '127.0.0.1',
    GATEWAY_PORT: String(port),
    IOT_MTLS_ENABLED: '0',
    SFTP_ENABLED: '0',
    LOG_LEVEL: 'WARNING',
    MINISTACK_ACCOUNT_ID: options.account,
    MOTO_ACCOUNT_ID: options.account,
    AWS_ACCESS_KEY_ID: options.key_id,
    AWS_SECRET_ACCESS_KEY: options.secret,
    AWS_EC2_METADATA_DISABLED: 'true',
  },
});
let errors = '';
emulator.stderr.on('data', (piece) => { errors = (errors + piece).slice(-4000); });
emulator.on('exit', (code) => {
  process.stderr.write(`${options.kind} ended (${code}): ${errors}\n`);
  process.exit(1);
});

async function listens() {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); done(true); });
    socket.on('error', () => done(false));
  });
}
for (let tries = 0; !(await listens()); tries += 1) {
  if (tries > 600) throw new Error(`${options.kind} doesn't listen: ${errors}`);
  await new Promise((done) => setTimeout(done, 100));
}

/** What botocore signs: an implementation of the signature that isn't ours. */
function signed(request) {
  return new Promise((done, failed) => {
    const child = spawn(python, ['-I', join(here, 'aws_signature.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (piece) => { text += piece; });
    child.on('exit', (code) => (code === 0 ? done(JSON.parse(text)) : failed(new Error(`no signature (${code})`))));
    child.stdin.end(JSON.stringify(request));
  });
}

/** The claims of a token, if these keys signed it for that audience: checked by npm's `jose`. */
async function verified({ token, keys, issuer, audience }) {
  try {
    return (await jwtVerify(token, createLocalJWKSet(keys), { issuer, audience, typ: 'JWT' })).payload;
  } catch {
    return null;
  }
}

await start({
  control: { 'POST /signed': signed, 'POST /verified': verified },
  handle: async (request, body, response) => {
    const answered = await forward(port, request, body);
    response.writeHead(answered.status, { ...answered.headers, 'content-length': String(answered.body.length) });
    response.end(answered.body);
  },
  ready: async () => ({}),
});
