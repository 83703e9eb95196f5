// The reader's place in a long room.

import { Server, expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

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
      log.scrollTop = -(log.scrollHeight - log.clientHeight);
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

test('a reader at the end follows; one who reads further up is left in peace and told', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 60));
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('for those at the end');
  await expect(ann.messages.last()).toContainText('for those at the end');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });

  await ann.log.evaluate((log) => (log.scrollTop = -600));
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

test('within 100 px of the end counts as being there; an own message leads there', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, many(1, 60));
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await ann.log.evaluate((log) => (log.scrollTop = -90));
  await bob.say('near enough');
  await expect(ann.messages.last()).toContainText('near enough');
  await expect(ann.messages.last()).toBeInViewport({ ratio: 1 });
  await ann.log.evaluate((log) => (log.scrollTop = -700));
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
