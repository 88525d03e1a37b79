// Slack: `emulate`'s incoming webhooks, behind the front that remembers requests.
//
// Ours, because emulate lacks them: it takes any path for a hook, and any number and length of blocks. Here only the hook that it made is
// one, and the limits are those of Slack's reference.
import { createEmulator } from 'emulate';
import { answer, forward, freePort, options, start } from './peer.mjs';

let port, hook, token;

async function api(method, fields) {
  const response = await fetch(`http://127.0.0.1:${port}/api/${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(fields),
  });
  const value = await response.json();
  if (!value.ok) throw new Error(`${method}: ${value.error}`);
  return value;
}

/** What Slack's reference of blocks allows. */
function beyond(message) {
  const blocks = message.blocks ?? [];
  if (blocks.length > 50) return 'too many blocks';
  if ((message.text ?? '').length > 40000) return 'the text is too long';
  let total = 0;
  for (const block of blocks) {
    if (!['header', 'section'].includes(block.type)) return `a block of type ${block.type}`;
    const text = block.text;
    if (!text || !['plain_text', 'mrkdwn'].includes(text.type) || typeof text.text !== 'string') return 'no text object';
    if (text.text.length < 1 || text.text.length > (block.type === 'header' ? 150 : 3000)) return 'a text of that length';
    if (block.type === 'header' && text.type !== 'plain_text') return 'a header of another type';
    if (text.type === 'mrkdwn' && 'emoji' in text) return 'emoji belongs to plain_text';
    if (text.type === 'plain_text' && 'verbatim' in text) return 'verbatim belongs to mrkdwn';
    total += text.text.length;
  }
  return total > 13200 ? 'msg_blocks_too_long' : null;
}

await start({
  handle: async (request, body, response) => {
    const plain = (status, text) => answer(response, status, Buffer.from(text), { 'content-type': 'text/html' });
    if (request.method !== 'POST' || request.url !== new URL(hook).pathname) return plain(404, 'no_service');
    let message;
    try {
      message = JSON.parse(body);
    } catch {
      return plain(400, 'invalid_payload');
    }
    if (beyond(message)) return plain(400, beyond(message));
    const answered = await forward(port, request, body);
    return plain(answered.status, answered.body.toString('utf8'));
  },
  control: {
    // What people see in the channel, newest first.
    'GET /messages': async () => {
      const channels = (await api('conversations.list', {})).channels;
      const general = channels.find((channel) => channel.name === 'general');
      return (await api('conversations.history', { channel: general.id })).messages;
    },
  },
  async ready(url) {
    port = await freePort();
    token = `xoxb-${process.pid}-${Date.now()}`;
    const emulator = await createEmulator({
      service: 'slack',
      port,
      hostname: '127.0.0.1',
      baseUrl: url,
      seed: { slack: { team: { name: 'Octo', domain: 'octo' }, tokens: [{ token, user: 'admin' }] } },
    });
    // The one that emulate makes by itself.
    const made = emulator.generatedSecrets?.find((secret) => /hook/.test(secret.kind))?.value;
    hook = new URL(made ?? options.hook ?? '/services/T000000001/B000000001/X000000001', url).toString();
    return { hook };
  },
});
