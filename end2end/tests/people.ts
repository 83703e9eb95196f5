// People with accounts, and what they do with rooms of their own.

import type { Browser, Page } from '@playwright/test';
import { Server, expect } from './fixtures.ts';

export const PASSWORD = 'correct horse battery';

/** Somebody with an account, in a browser of their own, on the page that `next` names. */
export async function person(browser: Browser, server: Server, name: string, next = '/'): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/signup?next=${encodeURIComponent(next)}`);
  await signUp(page, name);
  await expect(page).toHaveURL(server.url + next);
  return page;
}

export async function signUp(page: Page, name: string) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
}

/** Makes a room, a closed one if nothing else is said, and goes to it. */
export async function make(page: Page, server: Server, group: string, title: string, kind = 'closed') {
  await page.goto(server.url);
  await page.getByRole('link', { name: 'Make a room' }).click();
  await page.getByLabel('Name, as it stands in addresses').fill(group);
  await page.getByLabel('Title, as people see it').fill(title);
  await page.getByLabel('For whom it is').selectOption(kind);
  await page.getByRole('button', { name: 'Make the room' }).click();
  await expect(page.getByRole('heading', { name: title, level: 1 })).toBeVisible();
}

/** Makes an invitation for one to be a member. */
export async function invite(page: Page, server: Server, group: string): Promise<string> {
  await page.goto(`${server.url}/room/${group}/settings`);
  await page.getByRole('button', { name: 'Make an invitation' }).click();
  return page.getByLabel(/Whoever has this address/).inputValue();
}

/** Does something to somebody in a room, by its settings. */
export async function does(page: Page, server: Server, group: string, somebody: string, act: string) {
  await page.goto(`${server.url}/room/${group}/settings`);
  const row = page.getByRole('listitem').filter({ hasText: somebody });
  await row.getByText('Manage').click();
  await row.getByRole('button', { name: act, exact: true }).click();
}

/** Somebody who comes into a room by an invitation that is made for that. */
export async function member(browser: Browser, server: Server, owner: Page, group: string, name: string): Promise<Page> {
  const address = new URL(await invite(owner, server, group));
  const page = await person(browser, server, name, address.pathname);
  await page.getByRole('button', { name: 'Join' }).click();
  await expect(page).toHaveURL(`${server.url}/room/${group}/`);
  return page;
}
