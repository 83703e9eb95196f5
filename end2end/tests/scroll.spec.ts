// The reader's place in a long room.

import type { Locator } from '@playwright/test';
import { Server, expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

/**
 * Scrolls to one end of what is shown, again and again, as soon as more is there, until a message of this number is. All of it happens on the
 * page: what it takes depends on the server and the page alone.
 */
async function scrollUntil(room: Room, way: 'up' | 'down', number: number): Promise<void> {
  await room.log.evaluate(
    (log, [way, number]) =>
      new Promise<void>((resolve) => {
        const rows = log.querySelector('.messages')!.children;
        const numberOf = (row: Element) => Number(row.querySelector('.text')!.textContent!.split(' ')[1]);
        const step = () => {
          const reached = way === 'up' ? numberOf(rows[0]!) <= number : numberOf(rows[rows.length - 1]!) >= number;
          if (reached) {
            observer.disconnect();
            resolve();
            return;
          }
          log.scrollTop = way === 'up' ? 0 : log.scrollHeight;
          // It may stand there already, which is no event.
          log.dispatchEvent(new Event('scroll'));
        };
        const observer = new MutationObserver(step);
        observer.observe(log, { childList: true, subtree: true });
        step();
      }),
    [way, number] as const,
  );
}

const many = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `message ${from + i}`);

test('a room of 10,000 messages opens at its end and is read upwards without a jump', async ({ page }) => {
  const server = await Server.start({
    env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_STORE__DURABILITY: 'process', CONFAB_LIMITS__BACKLOG_BYTES: '0' },
  });
  const name = freshRoom();
  await page.goto(server.url);
  await fill(page, name, many(1, 10_000));
  const room = await Room.open(page, name, server.url);
  await expect(room.messages).toHaveCount(50);
  await expect(room.messages.last()).toBeInViewport({ ratio: 1 });
  await expect(room.messages.last()).toContainText('message 10000');
  await expect(room.jump).toHaveCount(0);

  for (let round = 1; round <= 4; round += 1) {
    // In one go: scrolls to the top, notes where the first row in sight stands, waits until the earlier ones are there
    // and have been painted, and looks again.
    const moved = await room.log.evaluate(async (log) => {
      const rows = log.querySelectorAll('.messages > li');
      const before = rows.length;
      const painted = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      log.scrollTop = 0;
      const anchor = [...rows].find((row) => row.getBoundingClientRect().bottom > log.getBoundingClientRect().top)!;
      const top = anchor.getBoundingClientRect().top;
      await new Promise<void>((resolve) => {
        const more = () => log.querySelectorAll('.messages > li').length > before;
        if (more()) return resolve();
        const observer = new MutationObserver(() => {
          if (!more()) return;
          observer.disconnect();
          resolve();
        });
        observer.observe(log, { childList: true, subtree: true });
      });
      await painted();
      return Math.abs(anchor.getBoundingClientRect().top - top);
    });
    expect(moved, `round ${round}`).toBeLessThanOrEqual(1);
  }
  const texts = await room.texts();
  expect(texts.length).toBeGreaterThanOrEqual(250);
  expect(texts).toEqual(many(10_001 - texts.length, 10_000));
});

test('a long room is read up and down with at most 400 rows on the page, and none is missing', async ({ browser, page }) => {
  const server = await Server.start({
    env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_STORE__DURABILITY: 'process', CONFAB_LIMITS__BACKLOG_BYTES: '0' },
  });
  const name = freshRoom();
  await page.goto(server.url);
  await fill(page, name, many(1, 2_000));
  const ann = await Room.open(page, name, server.url);
  const bob = await Room.openAs(browser, 'Bob', name, server.url);
  const later = ann.log.getByRole('link', { name: 'Later messages' });
  /** The numbers on the page, which have no hole. */
  const numbers = async () => {
    const texts = await ann.texts();
    const first = Number(texts[0]!.split(' ')[1]);
    expect(texts).toEqual(many(first, first + texts.length - 1));
    expect(texts.length).toBeLessThanOrEqual(400);
    return { first, last: first + texts.length - 1 };
  };

  // Up, until the end of the room is far away.
  await scrollUntil(ann, 'up', 1_201);
  await expect(later).toBeAttached();
  const before = await numbers();
  expect(before.first).toBeLessThanOrEqual(1_201);
  expect(before.last).toBeLessThan(1_700);

  // What is said now leaves the reader in peace.
  await bob.say('message 2001');
  await expect(ann.jump).toHaveText('Jump to latest (1 new)');
  expect(await numbers()).toEqual(before);

  // Down again, to what was said meanwhile.
  await scrollUntil(ann, 'down', 2_001);
  await expect(later).toHaveCount(0);
  await ann.scrollUp(0);
  await expect(ann.jump).toHaveCount(0);
  await bob.say('message 2002');
  await expect(ann.messages.last()).toContainText('message 2002');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
  await numbers();
});

for (const way of ['the button', 'an own message']) {
  test(`out of the past leads ${way}`, async ({ page }) => {
    const server = await Server.start({
      env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_STORE__DURABILITY: 'process', CONFAB_LIMITS__BACKLOG_BYTES: '0' },
    });
    const name = freshRoom();
    await page.goto(server.url);
    await fill(page, name, many(1, 1_000));
    const room = await Room.open(page, name, server.url);
    const later = room.log.getByRole('link', { name: 'Later messages' });
    await scrollUntil(room, 'up', 450);
    await expect(later).toBeAttached();
    let last = 1_000;
    if (way === 'the button') {
      await room.jump.click();
    } else {
      last += 1;
      await room.say(`message ${last}`);
    }
    await expect(room.messages.last()).toContainText(`message ${last}`);
    await expect(room.messages.last()).toBeInViewport({ ratio: 1 });
    await expect(room.jump).toHaveCount(0);
    await expect(later).toHaveCount(0);
    const texts = await room.texts();
    expect(texts).toEqual(many(last + 1 - texts.length, last));
  });
}

test('a reader at the end follows; one who reads further up is left in peace and told', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 60));
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('for those at the end');
  await expect(ann.messages.last()).toContainText('for those at the end');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });

  await ann.scrollUp(600);
  await expect(ann.jump).toHaveText('Jump to latest');
  const anchor = ann.messages.filter({ hasText: /message 40$/ });
  const before = await anchor.boundingBox();
  await bob.say('one');
  await bob.say('two\nwith\nmany\nlines');
  await expect(ann.jump).toHaveText('Jump to latest (2 new)');
  const after = await anchor.boundingBox();
  expect(Math.abs(after!.y - before!.y)).toBeLessThanOrEqual(1);

  await ann.jump.click();
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
  await expect(ann.jump).toHaveCount(0);
});

for (const [what, device] of [['a desktop', {}], ['a phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }]] as const) {
  test(`the place of a reader further up is exact after 200 messages, on ${what}`, async ({ browser, baseURL, page }) => {
    const name = freshRoom();
    await page.goto('/');
    await fill(page, name, many(1, 120));
    const context = await browser.newContext({ baseURL: baseURL!, ...device });
    const ann = await Room.open(await context.newPage(), name);
    await ann.scrollUp(600);
    await expect(ann.jump).toHaveText('Jump to latest');
    const anchor = await ann.log.evaluateHandle((log) => {
      const edge = log.getBoundingClientRect().top;
      return [...log.querySelectorAll('.messages > li')].find((row) => row.getBoundingClientRect().top > edge)!;
    });
    const top = () => anchor.evaluate((row) => row.getBoundingClientRect().top);
    const before = await top();
    for (let said = 0; said < 200; said += 10) {
      await fill(page, name, many(said + 1, said + 10));
      await expect(ann.jump).toHaveText(`Jump to latest (${said + 10} new)`);
    }
    // Positions are whole pixels of the screen.
    expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(0.5);
  });
}

test('what the reader has in hand stays where it is, and what comes is counted', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 60));
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  const holds: Record<string, [take: (row: Locator) => Promise<void>, letGo: () => Promise<void>]> = {
    'a menu': [
      async (row) => {
        await row.hover();
        await row.getByRole('button', { name: 'Message actions' }).click();
        await expect(page.getByRole('button', { name: 'thumbs up' })).toBeFocused();
      },
      () => page.keyboard.press('Escape'),
    ],
    'a selection': [(row) => row.locator('.text').dblclick(), () => page.evaluate(() => getSelection()!.removeAllRanges())],
    'a pointer': [
      async (row) => {
        await row.locator('.text').hover();
        await page.mouse.down();
      },
      () => page.mouse.up(),
    ],
  };
  let count = 60;
  for (const [what, [take, letGo]] of Object.entries(holds)) {
    const row = ann.messages.filter({ hasText: new RegExp(`message ${count}$`) });
    await take(row);
    const before = await row.boundingBox();
    for (let came = 1; came <= 6; came += 1) {
      count += 1;
      await bob.say(`message ${count}`);
      await expect(ann.jump, what).toHaveText(`Jump to latest (${came} new)`);
    }
    expect(Math.abs((await row.boundingBox())!.y - before!.y), what).toBeLessThanOrEqual(1);
    await letGo();
    // What was counted is not in sight: the reader goes there.
    await expect(ann.jump, what).toHaveText('Jump to latest (6 new)');
    await ann.jump.click();
    await expect(ann.jump, what).toHaveCount(0);
    await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
  }
  // Who has let go follows again.
  await bob.say('the last');
  await expect(ann.messages.last()).toContainText('the last');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
});

test('the wheel turns over the button that leads to the end', async ({ page }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 120));
  const room = await Room.open(page, name);
  await room.scrollUp(900);
  // May scroll by itself to what it points at.
  await room.jump.hover();
  // From the end: further up more may be read.
  const place = () => room.log.evaluate((log) => log.scrollTop - log.scrollHeight);
  const before = await place();
  await page.mouse.wheel(0, -200);
  await expect.poll(place).toBeLessThanOrEqual(before - 150);
  const [jump, log] = [await room.jump.boundingBox(), await room.log.boundingBox()];
  expect(jump!.y + jump!.height).toBeLessThan(log!.y + log!.height);
  expect(jump!.y).toBeGreaterThan(log!.y + log!.height / 2);
});

test('within 100 px of the end counts as being there; an own message leads there', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 60));
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await ann.scrollUp(90);
  await bob.say('near enough');
  await expect(ann.messages.last()).toContainText('near enough');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
  await ann.scrollUp(700);
  await expect(ann.jump).toBeVisible();
  await ann.say('here I am');
  await expect(ann.messages.last()).toContainText('here I am');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
});

test('the list does not grow without end for a reader who follows', async ({ page }) => {
  const server = await Server.start({ env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_STORE__DURABILITY: 'process' } });
  const name = freshRoom();
  const room = await Room.open(page, name, server.url);
  await fill(page, name, many(1, 1_000));
  await expect(room.messages.last()).toContainText('message 1000');
  const texts = await room.texts();
  expect(texts.length).toBeLessThanOrEqual(401);
  expect(texts).toEqual(many(1_001 - texts.length, 1_000));
});
