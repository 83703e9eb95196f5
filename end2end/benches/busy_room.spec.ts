// What a busy room costs its page: script and the main thread's whole work a second while 50 messages a second come, with 10 rows on the
// page and with 400. Beside it stands a page that shows the same texts with nothing but `append`. `cargo xtask bench busy_room` runs it; the
// machine should be idle.

import { type Page, expect, test } from '@playwright/test';
import { Server } from '../tests/server.ts';
import { Room, fill } from '../tests/room.ts';

const SECONDS = 10;
const RATE = 50;

type Work = { all: number; script: number };

/** Tells how many seconds the main thread has worked since it was asked first, and of these the script. */
async function watch(page: Page): Promise<() => Promise<Work>> {
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await client.send('Performance.getMetrics');
    const of = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? 0;
    return { all: of('TaskDuration'), script: of('ScriptDuration') };
  };
}

/** Has a page of its own say so much in a room, at the rate. */
function talk(page: Page, room: string): Promise<void> {
  return page.evaluate(
    ([room, seconds, rate]) =>
      new Promise<void>((resolve) => {
        const socket = new WebSocket(`ws://${location.host}/room/${room}/`);
        let said = 0;
        socket.onopen = () => {
          const timer = setInterval(() => {
            said += 1;
            socket.send(`and ${said}: tea is at four, and who comes brings what they like to eat.`);
            if (said < seconds * rate) return;
            clearInterval(timer);
            resolve();
          }, 1_000 / rate);
        };
      }),
    [room, SECONDS, RATE] as const,
  );
}

test('a busy room', async ({ browser }) => {
  test.setTimeout(600_000);
  const env = { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_LIMITS__CONNECTIONS_PER_ADDRESS: '0' };
  const server = await Server.start({ env });
  const writer = await (await browser.newContext({ baseURL: server.url })).newPage();
  await writer.goto('/');

  const measure = async (name: string, page: Page, last: () => Promise<void>, room: string) => {
    const work = await watch(page);
    const before = await work();
    await talk(writer, room);
    await last();
    const after = await work();
    const [all, script] = [after.all - before.all, after.script - before.script];
    const each = (seconds: number) => ((seconds * 1_000) / (SECONDS * RATE)).toFixed(2);
    console.log(
      `${name.padEnd(28)} main thread ${((100 * all) / SECONDS).toFixed(0).padStart(3)} %, a message ${each(all)} ms, of it script ${each(script)} ms`,
    );
  };

  console.log(`\n${RATE} messages a second for ${SECONDS} s`);
  for (const rows of [10, 400]) {
    const name = `busy-${rows}`;
    await fill(writer, name, Array.from({ length: rows }, (_, n) => `message ${n + 1}`));
    const page = await (await browser.newContext({ baseURL: server.url })).newPage();
    const room = await Room.open(page, name);
    // What is above is read as one scrolls up to it.
    while ((await room.messages.count()) < rows) await room.scrollToTop();
    await room.scrollUp(0);
    const last = () => expect(room.messages.last()).toContainText(`and ${SECONDS * RATE}:`);
    await measure(`with ${rows} rows at first`, page, last, name);
    await page.context().close();
  }

  const bare = await (await browser.newContext({ baseURL: server.url })).newPage();
  await bare.goto('/search/');
  await bare.evaluate(async () => {
    const list = document.body.appendChild(document.createElement('ol'));
    list.id = 'bare';
    const socket = new WebSocket(`ws://${location.host}/room/bare/`);
    socket.onmessage = ({ data }) => {
      const row = document.createElement('li');
      row.textContent = String(data);
      list.append(row);
      row.scrollIntoView({ block: 'end' });
    };
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onclose = ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`));
    });
  });
  const last = () => expect(bare.locator('#bare li').last()).toContainText(`and ${SECONDS * RATE}:`);
  await measure('bare, `append` alone', bare, last, 'bare');
  await server.dispose();
});
