// What a room's page looks like where the window, the reader or the message is out of the ordinary.

import type { Page } from '@playwright/test';
import { Server, axe, expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

/** How high the list is. */
const listHeight = (page: Page) => page.getByRole('log').evaluate((log) => log.clientHeight);

test('a new name reaches the other tabs of its owner', async ({ browser, baseURL, page }) => {
  const name = freshRoom();
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  const first = await Room.open(page, name);
  const second = await Room.open(await page.context().newPage(), name);
  const lobby = await page.context().newPage();
  await lobby.goto('/');
  await page.bringToFront();
  await page.getByRole('button', { name: /^You are/ }).click();
  await page.getByLabel('What others call you').fill('Zoë');
  await page.getByRole('button', { name: 'Save' }).click();
  await first.isConnected();
  for (const tab of [second.page, lobby]) await expect(tab.getByRole('button', { name: 'You are Zoë' })).toBeVisible();
  await second.isConnected();
  await second.say('from the other tab');
  await expect(bob.messages.last()).toContainText('Zoë');
  await bob.page.getByRole('button', { name: '2 here' }).click();
  await expect(bob.page.getByRole('region', { name: 'People in this room' }).getByRole('listitem')).toHaveText([/Bob/, /Zoë/]);
});

test('who goes on and on is named now and then, and every row has its time', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  for (let n = 1; n <= 17; n += 1) await room.say(`message ${n}`);
  const authors = room.log.locator('.message:not(.continued)');
  await expect(authors).toHaveCount(2);
  await expect(authors.last()).toContainText('message 16');
  const row = room.messages.filter({ hasText: 'message 17' });
  const time = row.locator('time').first();
  expect((await time.boundingBox())!.width).toBeLessThan(2);
  await row.hover();
  await expect.poll(async () => (await time.boundingBox())!.width).toBeGreaterThan(20);
  const [beside, text] = [(await time.boundingBox())!, (await row.locator('.text').boundingBox())!];
  expect(beside.x + beside.width, 'in the gutter').toBeLessThanOrEqual(text.x + 1);
  // Without a pointer it is shown by what has the focus.
  await page.mouse.move(0, 0);
  await expect.poll(async () => (await time.boundingBox())!.width).toBeLessThan(2);
  await row.getByRole('button', { name: 'Message actions' }).focus();
  await expect.poll(async () => (await time.boundingBox())!.width).toBeGreaterThan(20);
});

test('the list keeps its height in short windows', async ({ page }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, Array.from({ length: 60 }, (_, n) => `message ${n + 1}`));
  const room = await Room.open(page, name);
  for (const [width, height, least, leastWithDraft] of [[320, 256, 150, 100], [320, 200, 100, 50], [740, 360, 250, 180]] as const) {
    await page.setViewportSize({ width, height });
    await room.composer.fill('');
    await expect.poll(() => listHeight(page), `${width}x${height}`).toBeGreaterThanOrEqual(least);
    await room.composer.fill('1\n2\n3\n4\n5\n6');
    await expect.poll(() => listHeight(page), `${width}x${height} with a draft`).toBeGreaterThanOrEqual(leastWithDraft);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await expect(room.composer).toBeInViewport({ ratio: 1 });
    await axe(page);
  }
});

test('what is not sent says what it waits for', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  await page.getByRole('button', { name: 'Close connection' }).click();
  await room.composer.fill('later');
  await room.composer.press('Enter');
  await expect(room.messages.last()).toContainText('waits for “Connect”');
  await axe(page);
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await expect(page.locator('.message.pending')).toHaveCount(0);
  await expect(room.messages).toHaveText([/later/]);
});

test('without a network it says that it waits for the connection', async ({ page, problems }) => {
  problems.allow(/WebSocket connection to .* failed/);
  const server = await Server.start();
  const room = await Room.open(page, freshRoom(), server.url);
  await server.kill();
  await expect(page.getByText('Connecting…')).toBeVisible();
  await room.composer.fill('later');
  await room.composer.press('Enter');
  await expect(room.messages.last()).toContainText('Waiting for the connection…');
  await server.restart();
  await expect(page.locator('.message.pending')).toHaveCount(0, { timeout: 40_000 });
});

test('the address of a message leads to it, on the page or into the past', async ({ page }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, Array.from({ length: 120 }, (_, n) => `message ${n + 1}`));
  const shows = (text: string) => expect(page.getByRole('log').getByText(text, { exact: true })).toBeInViewport({ ratio: 1 });
  await page.goto(`/room/${name}/#message-90`);
  await shows('message 90');
  await new Room(page).isConnected();
  await shows('message 90');
  // To another one of the same page, and to one that has to be read first.
  await page.evaluate(() => (location.hash = '#message-100'));
  await shows('message 100');
  await page.evaluate(() => (location.hash = '#message-3'));
  await expect(page).toHaveURL(`/room/${name}/?around=3#message-3`);
  await shows('message 3');
  await new Room(page).isConnected();
  await shows('message 3');
  await new Room(page).jump.click();
  await shows('message 120');
  // One that never was leads nowhere, and not round and round.
  await page.goto(`/room/${name}/#message-999`);
  await expect(page).toHaveURL(`/room/${name}/?around=999#message-999`);
  await new Room(page).isConnected();
  await shows('message 120');
});

test('a very long message is folded, and unfolds where it stands', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  await room.say('before');
  await room.say(Array.from({ length: 300 }, (_, n) => `line ${n}`).join('\n'));
  const row = room.messages.last();
  const height = async () => (await row.boundingBox())!.height;
  const top = async () => (await row.boundingBox())!.y;
  expect(await height()).toBeLessThan(600);
  const more = row.getByRole('button', { name: 'Show more' });
  await axe(page);
  const before = await top();
  await more.focus();
  await page.keyboard.press('Enter');
  await expect.poll(height).toBeGreaterThan(5_000);
  expect(Math.abs((await top()) - before), 'its beginning stays where it is').toBeLessThan(2);
  const less = row.getByRole('button', { name: 'Show less' });
  await less.scrollIntoViewIfNeeded();
  const at = (await less.boundingBox())!.y;
  await less.click();
  await expect.poll(height).toBeLessThan(600);
  await expect(more).toBeInViewport();
  expect(at).toBeGreaterThan(0);
});

test('a room prints whole', async ({ page }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, Array.from({ length: 50 }, (_, n) => `message ${n + 1}`));
  const room = await Room.open(page, name);
  await expect(room.messages).toHaveCount(50);
  await page.emulateMedia({ media: 'print' });
  const whole = await page.evaluate(() => {
    const log = document.querySelector('.log')!;
    return log.clientHeight >= log.querySelector('.messages')!.clientHeight && document.documentElement.scrollHeight >= log.clientHeight;
  });
  expect(whole).toBe(true);
  await expect(room.composer).toBeHidden();
  await expect(page.getByRole('button', { name: /^You are/ })).toBeHidden();
  await expect(page.getByRole('heading', { name })).toBeVisible();
});

test('how the connection is doing is seen without colours, and nothing moves when it changes', async ({ page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
  const room = await Room.open(page, freshRoom());
  const look = () =>
    page.locator('.connection .status').evaluate((status) => {
      const { backgroundColor, borderRadius, borderTopStyle } = getComputedStyle(status, '::before');
      return `${backgroundColor} ${borderRadius} ${borderTopStyle}`;
    });
  const title = () => page.getByRole('link', { name: 'Search in this room' }).boundingBox();
  const [connected, place] = [await look(), await title()];
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  expect(await look()).not.toBe(connected);
  expect(await title()).toEqual(place);
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await room.isConnected();
  expect(await title()).toEqual(place);
  // On a phone the sign stands alone, and stays as large however wide letters are set.
  await page.setViewportSize({ width: 360, height: 740 });
  await page.evaluate(() => {
    for (const element of document.querySelectorAll<HTMLElement>('*')) {
      Object.assign(element.style, { letterSpacing: '0.12em', wordSpacing: '0.16em', lineHeight: '1.5' });
    }
  });
  const sign = await page.locator('.connection .status').boundingBox();
  expect(sign!.width).toBeLessThan(20);
  expect(sign!.height).toBeGreaterThan(8);
});

test('who is here opens beneath its button', async ({ page }) => {
  await Room.open(page, freshRoom());
  const button = page.getByRole('button', { name: '1 here' });
  await button.click();
  const list = page.getByRole('region', { name: 'People in this room' });
  await expect(list).toBeVisible();
  const [from, to] = [(await button.boundingBox())!, (await list.boundingBox())!];
  expect(to.y).toBeGreaterThanOrEqual(from.y + from.height);
  expect(to.x).toBeLessThan(from.x + from.width);
  expect(to.x + to.width).toBeLessThanOrEqual(from.x + from.width + 1);
  await page.setViewportSize({ width: 360, height: 740 });
  await expect(list).toBeInViewport({ ratio: 1 });
});

test('every page says what it is, and its pictures are there', async ({ page }) => {
  for (const path of ['/', `/room/${freshRoom()}/`, '/search/']) {
    await page.goto(path);
    await expect(page.locator('meta[name=description]')).toHaveAttribute('content', /\w+/);
    await expect(page.locator('meta[name=theme-color]')).toHaveCount(2);
    const links = await page.locator('link[rel="icon"], link[rel="apple-touch-icon"], link[rel="manifest"]').all();
    expect(links.length).toBe(4);
    for (const link of links) {
      const answer = await page.request.get((await link.getAttribute('href'))!);
      expect(answer.status()).toBe(200);
    }
  }
  const manifest = (await (await page.request.get('/manifest.webmanifest')).json()) as { icons: { src: string }[] };
  for (const { src } of manifest.icons) expect((await page.request.get(src)).status()).toBe(200);
});
