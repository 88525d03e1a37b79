// Models: what they answer is ours, for nobody else's model runs in a test. Requests are judged, and answers made, by the definitions in the
// clients that Anthropic and OpenAI publish.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { answer, options, start } from './peer.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const judge = spawn(join(here, '..', 'python', 'bin', 'python'), ['-I', join(here, 'models.py')], { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: '/usr/bin:/bin' } });
const lines = createInterface({ input: judge.stdout })[Symbol.asyncIterator]();
judge.on('exit', (code) => {
  process.stderr.write(`the judge ended (${code})\n`);
  process.exit(1);
});

let said = { text: '{}', stop: 'finished' };
const violations = [];
let turn = Promise.resolve();

/** One after the other: each answer belongs to the request before it. */
function judged(request) {
  const mine = turn.then(async () => {
    judge.stdin.write(`${JSON.stringify(request)}\n`);
    return JSON.parse((await lines.next()).value);
  });
  turn = mine.catch(() => {});
  return mine;
}

await start({
  handle: async (request, body, response) => {
    const style = { '/v1/messages': 'anthropic', '/v1/chat/completions': 'openai' }[request.url];
    if (!style || request.method !== 'POST') return answer(response, 404, { error: { type: 'not_found_error', message: 'no such operation' } });
    const key = style === 'anthropic' ? request.headers['x-api-key'] : /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (options.key && key !== options.key) return answer(response, 401, { error: { type: 'authentication_error', message: `invalid key ${key}` } });
    if (style === 'anthropic' && request.headers['anthropic-version'] !== '2023-06-01') return answer(response, 400, { error: { message: 'anthropic-version' } });
    const result = await judged({ style, body: JSON.parse(body), ...said });
    violations.push(...result.violations);
    if (!result.answer) return answer(response, 400, { error: { type: 'invalid_request_error', message: result.violations.join('; ') } });
    return answer(response, 200, result.answer);
  },
  control: {
    'POST /say': (value) => { said = { stop: 'finished', ...value }; },
    'GET /judgement': () => violations,
  },
  async ready() {
    // The definitions take their time to load: no test is to wait for them within its own time.
    await judged({ style: 'openai', body: {}, ...said });
    return {};
  },
});
