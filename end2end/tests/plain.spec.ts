// A page of ten lines that knows nothing of Confab but an address.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { Server, expect, test } from './fixtures.ts';
import { freshRoom } from './room.ts';

const pageFor = (host: string, group: string) => `<!DOCTYPE html>
<title>Ten lines</title>
<ul id="messages"></ul>
<input id="text"><button id="send">Send</button>
<script>
  const socket = new WebSocket("ws://${host}/room/${group}/");
  socket.onopen = () => { document.title = "open"; };
  socket.onmessage = (event) => { messages.appendChild(document.createElement("li")).textContent = event.data; };
  socket.onclose = (event) => { document.title = "closed " + event.code; };
  send.onclick = () => { socket.send(text.value); };
</script>`;

/** Serves the page from another origin, `/GROUP` for each group; gives the address. */
async function serve(confab: string): Promise<{ url: string; close: () => void }> {
  const host = new URL(confab).host;
  const site = createServer((request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    // Browsers ask for an icon by themselves.
    if (request.url === '/favicon.ico') response.writeHead(204).end();
    else response.end(pageFor(host, request.url!.slice(1)));
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  const address = site.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, close: () => site.close() };
}

test('the plain page works as it is, in group 123 and in others', async ({ browser }) => {
  const server = await Server.start({ env: { CONFAB_SERVER__ALLOWED_ORIGINS: '["*"]' } });
  const site = await serve(server.url);
  const open = async (group: string) => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${site.url}/${group}`);
    await expect(page).toHaveTitle('open');
    const say = async (text: string) => {
      await page.locator('#text').fill(text);
      await page.locator('#send').click();
    };
    return { say, page, messages: page.locator('#messages li') };
  };
  const [ann, bob, other] = [await open('123'), await open('123'), await open('general_chat-2')];
  await ann.say('hello <b>everybody</b>');
  await bob.say('привет 🦀');
  await other.say('another room');
  for (const { messages } of [ann, bob]) {
    await expect(messages).toHaveCount(2);
    expect((await messages.allTextContents()).toSorted()).toEqual(['hello <b>everybody</b>', 'привет 🦀']);
  }
  await expect(other.messages).toHaveText(['another room']);
  await bob.say('exit');
  await expect(bob.page).toHaveTitle('closed 1000');
  await expect(ann.messages).toHaveCount(2);
  site.close();
});

test('the browser and the server compress messages, and a long one comes back as it was', async ({ page }) => {
  await page.goto('/');
  const { agreed, same } = await page.evaluate(
    (room) =>
      new Promise<{ agreed: string; same: boolean }>((resolve, reject) => {
        const text = Array.from({ length: 3_000 }, (_, i) => `${i} здравствуй`).join(' ').slice(0, 30_000);
        const socket = new WebSocket(`ws://${location.host}/room/${room}/`);
        socket.onopen = () => socket.send(text);
        socket.onmessage = (event) => {
          resolve({ agreed: socket.extensions, same: event.data === text });
          socket.close();
        };
        socket.onclose = (event) => reject(new Error(`closed: ${event.code} ${event.reason}`));
      }),
    freshRoom(),
  );
  expect(agreed).toMatch(/^permessage-deflate;.*server_no_context_takeover/);
  expect(same).toBe(true);
});

test('a page of another origin is not let in unless the settings allow it', async ({ page, baseURL, problems }) => {
  problems.allow(/WebSocket connection to .* failed: .*403/);
  const site = await serve(baseURL!);
  await page.goto(`${site.url}/123`);
  await expect(page).toHaveTitle('closed 1006');
  site.close();
});

test('a page that offers sub-protocols is connected where the room’s rule names one', async ({ page, problems }) => {
  problems.allow(/WebSocket connection to .* failed: .*[Ss]ub-?protocol|WebSocket connection to .*Sec-WebSocket-Protocol/);
  const rules = '[{"match":"named","protocols":["chat.v2","chat.v1"]},{"match":"*"}]';
  const server = await Server.start({ env: { CONFAB_ROOMS: rules } });
  await page.goto(server.url);
  const taken = (room: string, offered: string[]) =>
    page.evaluate(
      ({ room, offered }) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(`ws://${location.host}/room/${room}/`, offered);
          socket.onopen = () => resolve(socket.protocol);
          socket.onclose = () => resolve('refused by the browser');
        }),
      { room, offered },
    );
  expect(await taken('named', ['chat.v1', 'chat.v2'])).toBe('chat.v1');
  expect(await taken('named', ['other', 'chat.v2'])).toBe('chat.v2');
  expect(await taken('unnamed', ['chat.v2'])).toBe('refused by the browser');
});
