// Administration: what administrators see and do, and what others see of that while they look.

import type { Browser, Page } from '@playwright/test';
import { Server, axe, expect, test } from './fixtures.ts';
import { Room } from './room.ts';

const PASSWORD = 'correct horse battery';
const PAGES = ['', 'people/', 'rooms/', 'invitations/', 'tokens/', 'connections/', 'bans/', 'server/', 'log/'];

/** The administrator of a fresh server. */
async function administrator(page: Page, server: Server) {
  await page.goto(server.url + (/\/setup\/\w+/.exec(server.log)?.[0] ?? 'no link to set the server up'));
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this server' }).click();
  await expect(page.getByRole('link', { name: 'Manage' })).toBeVisible();
}

async function onAPhone(browser: Browser, javaScriptEnabled = true): Promise<Page> {
  return (await browser.newContext({ viewport: { width: 360, height: 640 }, javaScriptEnabled, colorScheme: 'dark' })).newPage();
}

test('every page of administration is usable on a phone, and by whoever cannot see it', async ({ browser, page }) => {
  const server = await Server.start();
  await administrator(page, server);
  await page.goto(`${server.url}/room/lobby/`);
  for (const path of PAGES) {
    await page.goto(`${server.url}/manage/${path}`);
    await axe(page);
  }
  const phone = await (
    await browser.newContext({ viewport: { width: 360, height: 640 }, storageState: await page.context().storageState() })
  ).newPage();
  for (const path of PAGES) {
    await phone.goto(`${server.url}/manage/${path}`);
    await expect(phone.getByRole('heading', { level: 1 })).toBeVisible();
    expect(await phone.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(360);
  }
});

test('somebody is invited to the server, deactivated while they look, and let in again', async ({ browser, page, problems }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'invite' } });
  await administrator(page, server);
  await page.getByRole('link', { name: 'Manage' }).click();
  await page.getByRole('link', { name: 'Invitations' }).click();
  await page.getByLabel('What it is for').fill('Bob');
  await page.getByRole('button', { name: 'Make an invitation' }).click();
  const address = await page.getByLabel(/Whoever has this address/).inputValue();

  const bob = await onAPhone(browser);
  await bob.goto(address);
  await bob.getByLabel('Name').fill('Bob');
  await bob.getByLabel('Password').fill(PASSWORD);
  await bob.getByRole('button', { name: 'Sign up' }).click();
  const room = await Room.open(bob, 'lobby', server.url);
  await room.say('here I am');

  await page.getByRole('link', { name: 'People' }).click();
  await page.getByLabel('Handle, name or id').fill('bo');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('link', { name: '@Bob' }).click();
  // The sign-in that is refused is a 422.
  problems.allow(/401|403|404|422/);
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await expect(page.getByText('deactivated')).toBeVisible();
  // Whose session is over is led to where one signs in, and is let in no more.
  await expect(bob.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await bob.getByLabel('Name').fill('Bob');
  await bob.getByLabel('Password').fill(PASSWORD);
  await bob.getByRole('button', { name: 'Sign in' }).click();
  await expect(bob.getByText('The name or the password is wrong')).toBeVisible();
  await page.getByRole('button', { name: 'Let in again' }).click();
  await bob.getByLabel('Password').fill(PASSWORD);
  await bob.getByRole('button', { name: 'Sign in' }).click();
  await expect(bob.getByRole('heading', { name: 'Sign in' })).toHaveCount(0);
  await page.getByRole('link', { name: 'Log' }).first().click();
  await expect(page.getByRole('cell', { name: 'deactivated' })).toBeVisible();
});

test('what is announced comes up where people read, is dismissed, and goes again', async ({ browser, page }) => {
  const server = await Server.start();
  await administrator(page, server);
  const guest = await onAPhone(browser);
  const room = await Room.open(guest, 'lobby', server.url);
  await room.say('before');
  await page.goto(`${server.url}/manage/server/`);
  await page.getByLabel('What is announced').fill('At six it is over');
  await page.getByRole('button', { name: 'Announce it' }).click();
  const banner = guest.getByRole('status').filter({ hasText: 'At six it is over' });
  await expect(banner).toBeVisible();
  await axe(guest);
  expect(await guest.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await banner.getByRole('button', { name: 'Dismiss' }).click();
  await expect(guest).toHaveURL(`${server.url}/room/lobby/`);
  await expect(banner).toHaveCount(0);
  await expect(room.messages.filter({ hasText: 'before' })).toBeVisible();

  // Read-only, and back.
  await page.getByRole('button', { name: 'Make the server read-only' }).click();
  await expect(guest.locator('#banner').filter({ hasText: 'read-only' })).toBeVisible();
  await expect(guest.getByText('read-only now: nothing can be said')).toBeVisible();
  await page.getByRole('button', { name: 'Let everybody write again' }).click();
  await expect(guest.getByRole('status').filter({ hasText: 'read-only' })).toHaveCount(0);
  await room.say('after');
});

test('a token is made, shown once, used and revoked', async ({ page, request, problems }) => {
  const server = await Server.start();
  await administrator(page, server);
  await page.goto(`${server.url}/manage/tokens/`);
  await page.getByLabel('Name, as people see it').fill('Ticker');
  await page.getByLabel('Rooms that it is for').fill('coins');
  await page.getByRole('button', { name: 'Make the token' }).click();
  const token = await page.getByLabel(/The token, for Authorization/).inputValue();
  const post = async () => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await request.post(`${server.url}/api/v1/groups/coins/send`, { headers, data: { text: '42' } })).status();
  };
  expect(await post()).toBe(200);
  const room = await Room.open(page, 'coins', server.url);
  await expect(room.messages.filter({ hasText: '42' })).toBeVisible();
  problems.allow(/401/);
  await page.goto(`${server.url}/manage/tokens/`);
  await expect(page.getByText(token)).toHaveCount(0);
  await page.getByRole('row', { name: /Ticker/ }).getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText(/^revoked/)).toBeVisible();
  expect(await post()).toBe(401);
});

test('all of it works without a script', async ({ browser, page }) => {
  const server = await Server.start();
  await administrator(page, server);
  const cookies = await page.context().storageState();
  const plain = await (await browser.newContext({ javaScriptEnabled: false, storageState: cookies })).newPage();
  await plain.goto(`${server.url}/manage/server/`);
  await plain.getByLabel('What is announced').fill('Without a script');
  await plain.getByRole('button', { name: 'Announce it' }).click();
  const guest = await onAPhone(browser, false);
  await guest.goto(`${server.url}/room/lobby/`);
  await expect(guest.getByText('Without a script')).toBeVisible();
  await guest.getByRole('button', { name: 'Dismiss' }).click();
  await expect(guest.getByText('Without a script')).toHaveCount(0);
  await plain.getByRole('button', { name: 'Make the server read-only' }).click();
  await guest.goto(`${server.url}/room/lobby/`);
  await expect(guest.getByText('This server is read-only now: what was said')).toBeVisible();
  await expect(guest.getByText('read-only now: nothing can be said')).toBeVisible();
  await plain.getByRole('button', { name: 'Let everybody write again' }).click();
  await expect(plain.getByRole('button', { name: 'Make the server read-only' })).toBeVisible();
});
