// Rooms that somebody owns: made, entered by invitation, left and taken away while people look.

import type { Browser, Page } from '@playwright/test';
import { Server, axe, expect, test } from './fixtures.ts';
import { Room } from './room.ts';

const PASSWORD = 'correct horse battery';

/** Somebody with an account, in a browser of their own, on the page that `next` names. */
async function person(browser: Browser, server: Server, name: string, next = '/'): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/signup?next=${encodeURIComponent(next)}`);
  await signUp(page, name);
  await expect(page).toHaveURL(server.url + next);
  return page;
}

async function signUp(page: Page, name: string) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
}

/** Makes a closed room and goes to it. */
async function make(page: Page, server: Server, group: string, title: string) {
  await page.goto(server.url);
  await page.getByRole('link', { name: 'Make a room' }).click();
  await page.getByLabel('Name, as it stands in addresses').fill(group);
  await page.getByLabel('Title, as people see it').fill(title);
  await page.getByLabel('For whom it is').selectOption('closed');
  await page.getByRole('button', { name: 'Make the room' }).click();
  await expect(page.getByRole('heading', { name: title, level: 1 })).toBeVisible();
}

/** Makes an invitation for one to be a member. */
async function invite(page: Page, server: Server, group: string): Promise<string> {
  await page.goto(`${server.url}/room/${group}/settings`);
  await page.getByRole('button', { name: 'Make an invitation' }).click();
  return page.getByLabel(/Whoever has this address/).inputValue();
}

test('a closed room is entered by an invitation, and is not there for anybody else', async ({ browser, page, problems }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'invite' } });
  const setUp = /\/setup\/\w+/.exec(server.log)?.[0] ?? 'no link to set the server up';
  await page.goto(server.url + setUp);
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this server' }).click();
  await make(page, server, 'plans', 'Our plans 计划');
  const address = await invite(page, server, 'plans');
  await axe(page);
  const anns = await Room.open(page, 'plans', server.url);
  await anns.say('who comes?');

  // A guest finds nothing, and by the invitation what they would join.
  const bob = await (await browser.newContext({ viewport: { width: 360, height: 640 } })).newPage();
  problems.allow(/404/);
  await bob.goto(`${server.url}/room/plans/`);
  await expect(bob.getByText('who comes?')).toHaveCount(0);
  await bob.goto(address);
  await expect(bob.getByRole('heading', { name: 'Our plans 计划', level: 1 })).toBeVisible();
  await axe(bob);
  expect(await bob.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await bob.getByRole('link', { name: 'Sign up' }).click();
  await signUp(bob, 'Bob');
  const bobs = await Room.open(bob, 'plans', server.url);
  await expect(bobs.messages.filter({ hasText: 'who comes?' })).toBeVisible();
  await bobs.say('I do');
  await expect(anns.messages.filter({ hasText: 'I do' })).toBeVisible();
  await bob.goto(server.url);
  await expect(bob.getByRole('link', { name: /Our plans 计划/ })).toBeVisible();

  // It was for one.
  const cleo = await (await browser.newContext()).newPage();
  await cleo.goto(address);
  await expect(cleo.getByText('who comes?')).toHaveCount(0);
  await expect(cleo.getByRole('link', { name: 'Sign up' })).toHaveCount(0);
});

for (const act of ['Remove', 'Ban'] as const) {
  test(`who looks at a room loses it at once: ${act}`, async ({ browser, problems }) => {
    const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
    const ann = await person(browser, server, 'Ann');
    await make(ann, server, 'plans', 'Our plans');
    const address = new URL(await invite(ann, server, 'plans'));
    const bob = await person(browser, server, 'Bob', address.pathname);
    await bob.getByRole('button', { name: 'Join' }).click();
    const bobs = await Room.open(bob, 'plans', server.url);
    const anns = await Room.open(ann, 'plans', server.url);
    await anns.say('before');
    await expect(bobs.messages).toContainText(['before']);

    problems.allow(/404/);
    await ann.goto(`${server.url}/room/plans/settings`);
    const row = ann.getByRole('listitem').filter({ hasText: 'Bob' });
    await row.getByText('Manage').click();
    await row.getByRole('button', { name: act, exact: true }).click();
    await expect(row.getByText('Manage')).toHaveCount(0);
    // To Bob's page it is not there any more, without a touch.
    await expect(bob.getByRole('heading', { name: 'Nothing is here' })).toBeVisible();
    await expect(bob.getByText('before')).toHaveCount(0);
    const later = await Room.open(ann, 'plans', server.url);
    await later.say('after');
    await expect(later.messages).toHaveCount(2);
    expect((await bob.goto(`${server.url}/room/plans/`))?.status()).toBe(404);
    await bob.goto(server.url);
    await expect(bob.getByText('Our plans')).toHaveCount(0);
  });
}
