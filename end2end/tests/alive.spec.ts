// A page that comes alive although something else has changed it, and stays so whatever is changed later.

import type { Page } from '@playwright/test';
import { expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

/** Holds the page's program back until it is let go, so that something can happen before. */
async function hold(page: Page): Promise<() => void> {
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  await page.route(/\.wasm$/, async (route) => {
    await held;
    await route.continue();
  });
  return letGo;
}

/** Wraps the text that a message begins with in a link, as phones do with numbers. */
const wrap = () => {
  for (const text of document.querySelectorAll('.message .text, .message .author')) {
    const link = document.createElement('a');
    link.href = 'tel:123';
    link.append(...text.childNodes);
    text.append(link);
  }
};
const put = (where: string) => {
  const foreign = document.createElement('div');
  foreign.textContent = 'an extension';
  foreign.className = 'foreign';
  document.querySelector(where)!.before(foreign);
};

const changes: Record<string, (page: Page) => Promise<void>> = {
  'a link around what a message says': (page) => page.evaluate(wrap),
  'an element before all others': (page) => page.evaluate(() => document.body.prepend(document.createElement('div'))),
  'an element in front of the bar': (page) => page.evaluate(put, '.bar'),
  'an element in front of the composer': (page) => page.evaluate(put, '#text'),
  'an element in front of the messages': (page) => page.evaluate(put, '.message'),
  'a translator': (page) => page.evaluate(translate),
};

/** Puts other elements in the places of all texts, as translators do. */
function translate(): void {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const text of texts) {
    if (!text.data.trim() || text.parentElement?.closest('script')) continue;
    const [outer, inner] = [document.createElement('font'), document.createElement('font')];
    inner.textContent = `<${text.data}>`;
    outer.append(inner);
    text.replaceWith(outer);
  }
}

for (const [what, change] of Object.entries(changes)) {
  test(`a page comes alive with ${what}`, async ({ page }) => {
    const name = freshRoom();
    await page.goto('/');
    await fill(page, name, ['one', 'two']);
    const letGo = await hold(page);
    await page.goto(`/room/${name}/`, { waitUntil: 'commit' });
    const room = new Room(page);
    // What watches for changes stands behind all else, so a change before that would not be seen; the next test is of those.
    await page.waitForLoadState('domcontentloaded');
    await room.composer.fill('half a thought');
    await change(page);
    letGo();
    await room.isConnected();
    await expect(room.messages).toHaveCount(2);
    await expect(room.composer).toHaveValue('half a thought');
    await expect(room.composer).toBeFocused();
    await room.composer.press('Enter');
    await expect(room.messages).toHaveCount(3);
    await expect(room.messages.last()).toContainText('half a thought');
    await expect(page.locator('.message.pending')).toHaveCount(0);
    await expect(page.locator('#dead')).toBeHidden();
  });
}

for (const width of [360, 640, 1000]) {
  test(`nothing moves while a page ${width} pixels wide comes alive`, async ({ page }) => {
    const name = freshRoom();
    await page.setViewportSize({ width, height: 800 });
    await page.goto('/');
    await fill(page, name, Array.from({ length: 50 }, (_, n) => `message ${n + 1}`));
    await page.addInitScript(() => {
      const moved: string[] = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          const { sources } = entry as unknown as { sources: { node: Element | null }[] };
          moved.push(...sources.map(({ node }) => node?.className || node?.nodeName || '?'));
        }
      }).observe({ type: 'layout-shift', buffered: true });
      Object.assign(window, { moved });
    });
    const room = await Room.open(page, name);
    await expect(room.messages).toHaveCount(50);
    await expect(page.getByRole('button', { name: /here/ })).toHaveText('1 here');
    // What was painted last has been looked at when the frame after it is.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    expect(await page.evaluate(() => (window as unknown as { moved: string[] }).moved)).toEqual([]);
  });
}

test('a page that was changed while it came comes alive all the same', async ({ page, problems }) => {
  problems.allow(/console error: panicked at|exception: RuntimeError: unreachable/);
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, ['one', 'two']);
  // Before anything on the page can have seen it: the page's program finds out by itself.
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      const text = document.querySelector('.message .author');
      if (!text?.firstChild) return;
      observer.disconnect();
      const link = document.createElement('a');
      link.append(...text.childNodes);
      text.append(link);
    }).observe(document, { childList: true, subtree: true });
  });
  const room = await Room.open(page, name);
  await room.shows('one', 'two');
  await room.say('three');
  await room.shows('one', 'two', 'three');
  await expect(page.locator('#dead')).toBeHidden();
});

/** What the page's program was asked for, in which turn of the browser, and what began to listen then. */
type Turn = { asked: string; turn: number; listening: string[] };

/** Puts a module before the page's program that notes each turn. `before` runs in the page before the turn with that number. */
async function watchTurns(page: Page, before: { at: number; run: string } = { at: -1, run: '' }): Promise<() => Promise<Turn[]>> {
  await page.route(/confab\.js$/, (route) =>
    route.fulfill({
      contentType: 'text/javascript',
      body: `
        import * as real from './confab.js?real';
        export default real.default;
        const turns = (globalThis.turns = []);
        let turn = 0;
        let listening;
        const { addEventListener } = EventTarget.prototype;
        EventTarget.prototype.addEventListener = function (type, ...rest) {
          if (this instanceof Element) listening?.push((this.id ? '#' + this.id : '.' + this.classList[0]) + ' ' + type);
          return addEventListener.call(this, type, ...rest);
        };
        const watched = (asked) => () => {
          if (turns.length === ${before.at}) { ${before.run} }
          turns.push({ asked, turn, listening: (listening = []) });
          // It comes before anything that is put off from here on, and after all that is not.
          setTimeout(() => (turn += 1));
          const goesOn = real[asked]();
          listening = undefined;
          return goesOn;
        };
        export const [prepare, hydrate, render] = ['prepare', 'hydrate', 'render'].map(watched);`,
    }),
  );
  return () => page.evaluate(() => (globalThis as unknown as { turns: Turn[] }).turns);
}

test('a page comes alive part by part, each in a turn of its own', async ({ page }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, ['one', 'two']);
  const turns = await watchTurns(page);
  const letGo = await hold(page);
  await page.goto(`/room/${name}/`, { waitUntil: 'commit' });
  await page.waitForLoadState('domcontentloaded');
  const servers = await page.evaluateHandle(() => [...document.querySelectorAll('#app > *, #app > * > *, .message')]);
  letGo();
  const room = new Room(page);
  await room.isConnected();
  const all = await turns();
  // Its data is read, its state made, and then there is a part each time.
  expect(all.map(({ asked }) => asked)).toEqual(['prepare', ...Array(all.length - 1).fill('hydrate')]);
  expect(new Set(all.map(({ turn }) => turn)).size, 'turns').toBe(all.length);
  const when = (listening: string) => all.findIndex((turn) => turn.listening.includes(listening));
  const parts = ['#messages click', '#text keydown', '#actions keydown'].map(when);
  expect(parts, 'the messages, the composer and the menu, one after the other').toEqual([...new Set(parts)].sort((a, b) => a - b));
  expect(parts[0], 'nothing listens before').toBe(all.findIndex((turn) => turn.listening.length > 0));
  expect(all.at(-1)!.listening, 'the last one opens the page').toEqual([]);
  // What the server has rendered is there still.
  expect(await servers.evaluate((elements) => elements.filter((element) => !element.isConnected).map((element) => element.outerHTML))).toEqual([]);
});

test('a page that nobody looks at comes alive without a turn for each part', async ({ page }) => {
  const name = freshRoom();
  await page.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { get: () => true });
    // As browsers do it there, and slower.
    const real = window.setTimeout;
    Object.assign(window, { setTimeout: (act: () => void, wait?: number) => real(act, wait || 60_000) });
  });
  const room = await Room.open(page, name);
  await room.say('hello');
  await room.shows('hello');
});

for (const [what, run] of Object.entries({
  'is changed': "document.querySelector('.composer').prepend(document.createElement('div'));",
  'cannot be made alive': "document.querySelector('.typing').remove();",
})) {
  test(`a page of which a part ${what} while others are alive comes alive all the same`, async ({ page, problems }) => {
    problems.allow(/console error: panicked at|exception: RuntimeError: unreachable|the page has the part/);
    const name = freshRoom();
    await page.goto('/');
    await fill(page, name, ['one', 'two']);
    const turns = await watchTurns(page, { at: 4, run });
    const letGo = await hold(page);
    await page.goto(`/room/${name}/`, { waitUntil: 'commit' });
    const room = new Room(page);
    await page.waitForLoadState('domcontentloaded');
    await room.composer.fill('half a thought');
    letGo();
    await room.isConnected();
    expect((await turns()).filter(({ asked }) => asked === 'hydrate').length).toBeGreaterThan(3);
    await room.shows('one', 'two');
    await expect(room.composer).toHaveValue('half a thought');
    await expect(room.composer).toBeFocused();
    await room.composer.press('Enter');
    await room.shows('one', 'two', 'half a thought');
    await expect(page.locator('.message.pending')).toHaveCount(0);
    await expect(page.locator('#dead')).toBeHidden();
  });
}

test('a page whose program cannot run says so and offers a reload', async ({ page, problems }) => {
  problems.allow(/Failed to load resource|request failed: GET .*\.wasm/, /WebAssembly|fetch/);
  let broken = true;
  await page.route(/\.wasm$/, (route) => (broken ? route.fulfill({ status: 500, body: 'no' }) : route.continue()));
  await page.goto(`/room/${freshRoom()}/`);
  await expect(page.getByRole('alert')).toHaveText('This page shows nothing new: its program does not run. Reload');
  broken = false;
  await page.getByRole('link', { name: 'Reload' }).click();
  await new Room(page).isConnected();
  await expect(page.locator('#dead')).toBeHidden();
});

test('what a translator has replaced is still kept up to date', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('one');
  await bob.say('two');
  await ann.shows('one', 'two');
  const here = page.getByRole('button', { name: /here/ });
  await expect(here).toHaveText('2 here');
  await page.evaluate(translate);
  await expect(ann.messages.first()).toContainText('<one>');

  // An edit, a deletion and a reaction.
  await bob.composer.press('ArrowUp');
  await bob.composer.fill('two and a half');
  await bob.composer.press('Enter');
  await expect(ann.log.locator('.text').last()).toHaveText('two and a half');
  await bob.messages.first().hover();
  await bob.messages.first().getByRole('button', { name: 'Message actions' }).click();
  await bob.page.getByRole('button', { name: 'Delete' }).click();
  await bob.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(ann.log.locator('.text').first()).toHaveText('Message deleted');

  // Who writes, and who writes no more.
  await expect(async () => {
    // It is told of once in a few seconds.
    await bob.composer.press('m');
    await expect(page.locator('.typing')).toHaveText('Bob is typing…', { timeout: 1_000 });
  }).toPass();
  await page.evaluate(translate);
  await bob.composer.press('Enter');
  await expect(page.locator('.typing')).toHaveText('');

  // The connection.
  await page.evaluate(translate);
  await page.getByRole('button', { name: /Close/ }).click();
  await expect(page.locator('.status')).toHaveText('Connection closed');
  await page.evaluate(translate);
  await page.locator('.connection button').click();
  await expect(page.locator('.status')).toHaveText('Connected');
  await bob.page.close();
  await expect(here).toContainText('1', { timeout: 45_000 });
});

test('what happens before it is painted is shown together', async ({ browser, page, baseURL }) => {
  // Frames come when the test has them come.
  await page.addInitScript(() => {
    const frames: FrameRequestCallback[] = [];
    window.requestAnimationFrame = (callback) => frames.push(callback);
    Object.assign(window, { paint: () => frames.splice(0).forEach((callback) => callback(performance.now())) });
  });
  const paint = () => page.evaluate(() => (window as unknown as { paint: () => void }).paint());
  const name = freshRoom();
  const heard: string[] = [];
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => heard.push(payload.toString()));
  });
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await paint();
  await page.evaluate(() => {
    const changes: number[] = [];
    new MutationObserver((records) => changes.push(records.flatMap((record) => [...record.addedNodes]).length)).observe(
      document.querySelector('.messages')!,
      { childList: true },
    );
    Object.assign(window, { changes });
  });
  const texts = Array.from({ length: 20 }, (_, i) => `message ${i + 1}`);
  await paint();
  await fill(bob.page, name, texts);
  await expect.poll(() => heard.filter((frame) => frame.includes('"text":"message 20"')).length).toBe(1);
  // What came first has not waited.
  await expect(ann.messages.first()).toContainText('message 1');
  const shown = await ann.messages.count();
  expect(shown).toBeLessThan(20);
  await paint();
  await ann.shows(...texts);
  expect(await page.evaluate(() => (window as unknown as { changes: number[] }).changes)).toEqual([shown, 20 - shown]);
});

test('after a reaction by mouse one goes on writing, and a letter typed anywhere is written', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('What about this?');
  const ann = await Room.open(page, name);
  await ann.messages.first().hover();
  await ann.messages.first().getByRole('button', { name: 'Message actions' }).click();
  await page.getByRole('button', { name: 'thumbs up' }).click();
  await expect(ann.composer).toBeFocused();
  await page.keyboard.type('ok then');
  await expect(ann.composer).toHaveValue('ok then');
  // The same with the reaction itself.
  await ann.messages.first().locator('.reaction').click();
  await expect(ann.composer).toBeFocused();
  await expect(ann.messages.first().locator('.reaction')).toHaveCount(0);
  // By keys, the keyboard stays where it was.
  await ann.composer.press('Shift+Tab');
  const menu = ann.messages.first().getByRole('button', { name: 'Message actions' });
  await expect(menu).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'thumbs up' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(ann.messages.first().locator('.reaction')).toHaveCount(1);
  await expect(menu).toBeFocused();
  // A letter is for the composer, a space presses what has the keyboard, and other fields keep what is typed there.
  await page.keyboard.press('!');
  await expect(ann.composer).toBeFocused();
  await expect(ann.composer).toHaveValue('ok then!');
  await ann.log.focus();
  await page.keyboard.press('Control+a');
  await expect(ann.log).toBeFocused();
  await page.getByRole('button', { name: /^You are/ }).click();
  await page.getByLabel('What others call you').fill('');
  await page.keyboard.type('Ann');
  await expect(page.getByLabel('What others call you')).toHaveValue('Ann');
});
