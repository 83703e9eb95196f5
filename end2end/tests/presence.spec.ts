// Who is in a room and who is writing, as people see it.

import { Server, axe, expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

/** Longer than somebody who has gone is still there, and until everybody has been told. */
const GONE = { timeout: 20_000 };

/** The button with the number of people. */
const count = (room: Room) => room.page.getByRole('button', { name: / here$/ });

/** The list that it opens. */
const list = (room: Room) => room.page.getByRole('list', { name: 'People' });

/** The line above the composer. */
const typing = (room: Room) => room.page.locator('.typing');

test('the number of people is rendered by the server and follows who comes and goes', async ({ browser, request, baseURL }) => {
  const name = freshRoom();
  const shown = async () => (await (await request.get(`${baseURL}/room/${name}/`)).text()).replace(/<!--.*?-->|<[^>]*>/g, '');
  expect(await shown()).toContain('Nobody here');
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  await expect(count(ann)).toHaveText('1 here');
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  for (const room of [ann, bob]) await expect(count(room)).toHaveText('2 here');
  expect(await shown()).toContain('2 here');
  await bob.page.context().close();
  await expect(count(ann)).toHaveText('1 here', GONE);
});

test('the list names the reader first, opens and closes by keyboard, and passes axe', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const long = 'Abcdefghij'.repeat(4);
  const bob = await Room.openAs(browser, long, name, baseURL!);
  await expect(count(bob)).toHaveText('2 here');
  await expect(count(ann)).toHaveText('2 here');
  await count(ann).focus();
  await ann.page.keyboard.press('Enter');
  await expect(list(ann)).toBeVisible();
  const people = list(ann).getByRole('listitem');
  await expect(people).toHaveCount(2);
  await expect(people.nth(0)).toContainText('Ann');
  await expect(people.nth(0)).toContainText('(you)');
  await expect(people.nth(1).getByTitle(long)).toBeVisible();
  const fits = await people.nth(1).evaluate((item) => item.scrollWidth <= item.clientWidth);
  expect(fits).toBe(true);
  await ann.page.keyboard.press('Tab');
  await expect(list(ann)).toBeFocused();
  await axe(ann.page);
  await ann.page.keyboard.press('Escape');
  await expect(list(ann)).toBeHidden();
  await expect(count(ann)).toBeFocused();
});

test('a second tab and a reload change nothing for the others', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await expect(count(ann)).toHaveText('2 here');
  // Everything that Ann is told from here on.
  await ann.page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(window, { seen });
    const button = document.querySelector('.people-button')!;
    new MutationObserver(() => seen.push(button.textContent!)).observe(button, {
      characterData: true,
      childList: true,
      subtree: true,
    });
  });
  const tab = await Room.open(await bob.page.context().newPage(), name);
  await expect(count(tab)).toHaveText('2 here');
  await tab.page.close();
  await bob.page.reload();
  await bob.isConnected();
  await expect(count(bob)).toHaveText('2 here');
  await Room.openAs(browser, 'Cleo', name, baseURL!);
  await expect(count(ann)).toHaveText('3 here');
  expect(await ann.page.evaluate(() => (window as unknown as { seen: string[] }).seen)).toEqual(['3 here']);
});

test('who takes another name is listed under it', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await count(ann).click();
  await expect(list(ann).getByText('Bob', { exact: true })).toBeVisible();
  await bob.page.getByRole('button', { name: /^You are/ }).click();
  await bob.page.getByLabel('What others call you').fill('Robert');
  await bob.page.getByRole('button', { name: 'Save' }).click();
  await bob.isConnected();
  await expect(list(ann).getByText('Robert', { exact: true })).toBeVisible();
  await expect(list(ann).getByText('Bob', { exact: true })).toHaveCount(0);
  await expect(list(ann).getByRole('listitem')).toHaveCount(2);
});

test('of a crowd some are named and the rest is a number', async ({ browser, page }) => {
  const name = freshRoom();
  const server = await Server.start({ env: { CONFAB_SERVER__ALLOWED_ORIGINS: '["*"]' } });
  const room = await Room.open(page, name, server.url);
  // A browser that has never been here has no cookies: each of its connections is somebody else.
  const crowd = await (await browser.newContext()).newPage();
  await crowd.evaluate(async (address) => {
    const welcome = () =>
      new Promise((resolve) => new WebSocket(address, 'confab.v1').addEventListener('message', resolve, { once: true }));
    await Promise.all(Array.from({ length: 69 }, welcome));
  }, `ws://127.0.0.1:${server.port}/room/${name}/`);
  await expect(count(room)).toHaveText('70 here');
  await count(room).click();
  await expect(list(room).getByRole('listitem')).toHaveCount(50);
  await expect(page.getByText('and 20 more')).toBeVisible();
  await axe(page);
  await crowd.context().close();
  await expect(count(room)).toHaveText('1 here', GONE);
  await expect(list(room).getByRole('listitem')).toHaveCount(1);
  await expect(page.getByText(/^and /)).toHaveCount(0);
});

/** They write until the reader sees it: nobody is shown for long who stops, and nobody is told of before the room is joined. */
const write = (reader: Room, text: RegExp, ...writers: Room[]) =>
  expect(async () => {
    for (const writer of writers) await writer.composer.pressSequentially('x');
    await expect(typing(reader)).toHaveText(text, { timeout: 1_000 });
  }).toPass();

test('who writes is shown to the others until the message is there, and nothing moves', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await expect(typing(ann)).toHaveText('');
  const before = await ann.composer.boundingBox();
  await write(ann, /^Bob is typing…$/, bob);
  expect(await ann.composer.boundingBox()).toEqual(before);
  await expect(typing(bob)).toHaveText('');
  await axe(ann.page);
  await bob.composer.fill('Hello');
  await bob.composer.press('Enter');
  await ann.shows('Hello');
  await expect(typing(ann)).toHaveText('');
});

test('who stops writing is shown for a few seconds more', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await write(ann, /^Bob is typing…$/, bob);
  await expect(typing(ann)).toHaveText('', { timeout: 15_000 });
});

test('two writers are named, more are several', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const [bob, cleo, dan] = await Promise.all(['Bob', 'Cleo', 'Dan'].map((who) => Room.openAs(browser, who, name, baseURL!)));
  await write(ann, /^Bob is typing…$/, bob!);
  await write(ann, /^(Bob and Cleo|Cleo and Bob) are typing…$/, bob!, cleo!);
  await write(ann, /^Several people are typing…$/, bob!, cleo!, dan!);
});
