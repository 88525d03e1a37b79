// A small model on this machine behind the interface that OpenAI made common: one operation, on loopback, for one run over the whole wire.
import { createServer } from 'node:http';
import { appendFileSync } from 'node:fs';
import { getLlama, LlamaChatSession } from 'node-llama-cpp';

const [modelPath, log] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error', maxThreads: 1 });
const model = await llama.loadModel({ modelPath });
let turn = Promise.resolve();

async function complete({ messages, max_tokens: mostTokens }) {
  const context = await model.createContext({ contextSize: 4096, threads: 1 });
  try {
    const said = (role) => messages.filter((message) => message.role === role).map((message) => message.content).join('\n');
    const session = new LlamaChatSession({ contextSequence: context.getSequence(), systemPrompt: said('system').slice(0, 1200) });
    // A model of this size writes on and on; what it says is enough to show the wire.
    const maxTokens = Math.min(mostTokens ?? 48, 48);
    const { responseText, stopReason } = await session.promptWithMeta(said('user').slice(0, 2500), { maxTokens, temperature: 0 });
    const count = (text) => model.tokenize(text).length;
    return {
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: responseText }, finish_reason: stopReason === 'maxTokens' ? 'length' : 'stop' }],
      usage: { prompt_tokens: count(said('user')), completion_tokens: count(responseText) },
    };
  } finally {
    await context.dispose();
  }
}

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString();
    if (request.url !== '/v1/chat/completions' || request.method !== 'POST') return response.writeHead(404).end();
    // One after the other: there is one processor for all of them.
    turn = turn.then(async () => {
      try {
        const answer = JSON.stringify(await complete(JSON.parse(body)));
        appendFileSync(log, `${JSON.stringify({ asked: body, answered: answer })}\n`);
        response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
      } catch (error) {
        response.writeHead(500).end(String(error));
      }
    });
  });
});
// Its end tells that whoever started it is gone.
process.stdin.on('end', () => process.exit(0)).resume();
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
