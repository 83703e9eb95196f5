// What is written and not sent: whose it is, and that it is not lost.

import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

test('each tab has a draft of its own, and one that was left is taken over', async ({ page, context }) => {
  const name = freshRoom();
  const first = await Room.open(page, name);
  await first.composer.fill('of the first');
  const second = await Room.open(await context.newPage(), name);
  await expect(second.composer).toHaveValue('');
  await second.composer.fill('of the second');
  for (const [room, text] of [[first, 'of the first'], [second, 'of the second']] as const) {
    await room.page.reload();
    await room.isConnected();
    await expect(room.composer).toHaveValue(text);
  }
  // What is sent is gone from its tab alone.
  await second.composer.press('Enter');
  await first.shows('of the second');
  await first.page.reload();
  await first.isConnected();
  await expect(first.composer).toHaveValue('of the first');
  // A tab that is left leaves its draft to the next, and to one alone.
  await page.goto('about:blank');
  const third = await Room.open(await context.newPage(), name);
  await expect(third.composer).toHaveValue('of the first');
  const fourth = await Room.open(await context.newPage(), name);
  await expect(fourth.composer).toHaveValue('');
  // In the tab that comes back it is not twice.
  await third.composer.press('Enter');
  await third.shows('of the second', 'of the first');
});

/** Keeps the page's program away, as if it were still on its way. */
async function slow(page: Page): Promise<() => Promise<void>> {
  await page.route(/\.wasm$/, () => {});
  return () => page.unroute(/\.wasm$/);
}

test('what is typed before the page is alive survives a reload', async ({ page }) => {
  const hasCome = await slow(page);
  const name = freshRoom();
  const room = new Room(page);
  await page.goto(`/room/${name}/`, { waitUntil: 'domcontentloaded' });
  await room.composer.pressSequentially('half a thought');
  await page.reload({ waitUntil: 'domcontentloaded' });
  await expect(room.composer).toHaveValue('half a thought');
  await hasCome();
  await page.reload();
  await room.isConnected();
  await expect(room.composer).toHaveValue('half a thought');
});

test('a message that waited in a page of an earlier version is sent', async ({ page }) => {
  const name = freshRoom();
  const room = await Room.open(page, name);
  await page.evaluate((name) => {
    // As 0.1.0 kept it: a key and a text.
    sessionStorage.setItem(`confab:unsent:${name}`, JSON.stringify([[crypto.randomUUID(), 'from before']]));
  }, name);
  // What the page has when it is left is written over what is there.
  await page.evaluate((name) => {
    const kept = sessionStorage.getItem(`confab:unsent:${name}`)!;
    addEventListener('pagehide', () => sessionStorage.setItem(`confab:unsent:${name}`, kept));
  }, name);
  await page.reload();
  await room.isConnected();
  await room.shows('from before');
  await expect(page.locator('.message.pending')).toHaveCount(0);
});

test('Enter before the page is alive sends what is written, once', async ({ page }) => {
  const hasCome = await slow(page);
  const name = freshRoom();
  const room = new Room(page);
  await page.goto(`/room/${name}/`, { waitUntil: 'domcontentloaded' });
  await room.composer.press('Enter');
  await expect(room.composer).toHaveValue('');
  await room.composer.pressSequentially('early');
  await room.composer.press('Shift+Enter');
  await room.composer.pressSequentially('bird');
  await room.composer.press('Enter');
  await room.shows('early\nbird');
  await expect(room.composer).toHaveValue('');
  await hasCome();
  await page.reload();
  await room.isConnected();
  await room.shows('early\nbird');
  await expect(room.composer).toHaveValue('');
});

test('whoever becomes somebody else, twice in one tab, loses and doubles nothing', async ({ page, context }) => {
  const name = freshRoom();
  const room = await Room.open(page, name);
  const me = page.getByRole('button', { name: /^You are/ });
  const texts: string[] = [];
  for (const round of ['first', 'second', 'third']) {
    const before = (await me.textContent())!;
    await page.getByRole('button', { name: 'Close connection' }).click();
    await room.composer.fill(`${round} message`);
    await room.composer.press('Enter');
    await room.composer.fill('draft');
    texts.push(`${round} message`);
    await context.clearCookies();
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    // The page is made anew for who they are now.
    await expect(me).not.toHaveText(before);
    await room.isConnected();
    await expect(page.locator('.message.pending')).toHaveCount(0);
    await room.shows(...texts);
    await expect(room.messages.last()).toHaveClass(/mine/);
    await expect(room.composer).toHaveValue('draft');
  }
});

test('nothing is painted before the composer is there, so that the log does not jump', async ({ page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, Array.from({ length: 50 }, (_, i) => `message ${i + 1}`));
  // A line that brings half of the page, and the rest when the test has it go on.
  let goOn = () => {};
  const onward = new Promise<void>((resolve) => (goOn = resolve));
  let halfway = () => {};
  const half = new Promise<void>((resolve) => (halfway = resolve));
  const line = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const inner = ask(baseURL + url!, { method: method!, headers: { ...headers, host: new URL(baseURL!).host } }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      if (url !== `/room/${name}/`) {
        answer.pipe(outgoing);
        return;
      }
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', async () => {
        const whole = Buffer.concat(parts);
        const middle = whole.indexOf('message 25');
        outgoing.write(whole.subarray(0, middle));
        halfway();
        await onward;
        outgoing.end(whole.subarray(middle));
      });
    });
    incoming.pipe(inner);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  try {
    // The program comes later.
    await page.route(/\.wasm$/, () => {});
    await page.addInitScript(() => {
      const shifts: number[] = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.push((entry as unknown as { value: number }).value);
      }).observe({ type: 'layout-shift', buffered: true });
      const seen = { shifts, composer: false };
      // It runs just before the first frame is painted.
      requestAnimationFrame(() => (seen.composer = document.getElementById('text') !== null));
      Object.assign(window, { seen });
    });
    const address = `http://127.0.0.1:${(line.address() as AddressInfo).port}/room/${name}/`;
    const opened = page.goto(address, { waitUntil: 'domcontentloaded' });
    await half;
    await expect.poll(() => page.locator('.message').count()).toBeGreaterThan(10);
    goOn();
    await opened;
    await expect.poll(() => page.evaluate(() => performance.getEntriesByType('paint').length)).toBeGreaterThan(0);
    const seen = await page.evaluate(() => (window as unknown as { seen: { shifts: number[]; composer: boolean } }).seen);
    expect(seen.composer, 'the first frame has the composer').toBe(true);
    expect(seen.shifts).toEqual([]);
  } finally {
    goOn();
    line.closeAllConnections();
    line.close();
  }
});
