// Accounts are plain forms: a server is set up, and people sign up, in and out, without JavaScript.

import type { Browser, Page } from '@playwright/test';
import { Server, expect, test } from './fixtures.ts';

const PASSWORD = 'correct horse battery';

const open = () => Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });

/** Somebody else's browser. */
async function another(browser: Browser): Promise<Page> {
  return (await browser.newContext({ javaScriptEnabled: false })).newPage();
}

async function signUp(page: Page, server: Server, name: string): Promise<void> {
  await page.goto(`${server.url}/signup`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page).toHaveURL(`${server.url}/`);
}

async function signIn(page: Page, server: Server, name: string, password = PASSWORD): Promise<void> {
  await page.goto(`${server.url}/login?next=/account/`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test('a fresh server says where it is set up, and is so once', async ({ page, problems }) => {
  const server = await Server.start();
  await expect.poll(() => server.log).toMatch(/\/setup\/[0-9a-f]{64}/);
  const link = `${server.url}${/\/setup\/[0-9a-f]{64}/.exec(server.log)![0]}`;
  await page.goto(link);
  await page.getByLabel('Name').fill('Root');
  await page.getByLabel('Password').fill('short');
  problems.allow(/422/);
  await page.getByRole('button', { name: 'Set up this server' }).click();
  await expect(page.getByLabel('Password')).toHaveAccessibleDescription(/at least 8 bytes/);
  await expect(page.getByLabel('Name')).toHaveValue('Root');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this server' }).click();
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible();
  await expect(page.getByText('@Root')).toBeVisible();
  problems.allow(/404/);
  expect((await page.goto(link))!.status()).toBe(404);
});

test('a guest signs up and keeps what they wrote, signs out and in again', async ({ page, problems }) => {
  const server = await open();
  await page.goto(`${server.url}/room/a/`);
  await page.getByRole('textbox', { name: /^Message/ }).fill('as a guest');
  await page.getByRole('button', { name: 'Send' }).click();
  await signUp(page, server, 'Zoë Smith');
  await page.goto(`${server.url}/room/a/`);
  await expect(page.getByRole('log').getByRole('listitem').last()).toHaveClass(/\bmine\b/);
  await page.getByRole('button', { name: /^You are Zoë Smith/ }).click();
  await page.getByRole('link', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign out here' }).click();
  await page.getByRole('button', { name: /^You are Guest/ }).click();
  await page.getByRole('link', { name: 'Sign in' }).click();
  problems.allow(/422/);
  await signIn(page, server, 'zoë smith', 'another password');
  await expect(page.getByRole('alert')).toHaveText('The name or the password is wrong.');
  await expect(page.getByLabel('Name')).toHaveValue('zoë smith');
  await expect(page.getByLabel('Password')).toHaveValue('');
  await signIn(page, server, 'zoë smith');
  await expect(page.getByText('@Zoë_Smith')).toBeVisible();
});

test('devices are seen and signed out, and another one comes in by a link', async ({ page, browser }) => {
  const server = await open();
  await signUp(page, server, 'Zoe');
  const phone = await another(browser);
  await signIn(phone, server, 'Zoe');
  await page.goto(`${server.url}/account/`);
  await expect(page.getByText('This device')).toHaveCount(1);
  await page.getByRole('button', { name: 'Sign it out' }).click();
  await expect(page.getByRole('button', { name: 'Sign it out' })).toHaveCount(0);
  await phone.reload();
  await expect(phone.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await page.getByRole('button', { name: 'Sign in on another device' }).click();
  await expect(page.getByRole('img', { name: 'The link as a QR code' })).toBeVisible();
  await phone.goto(await page.getByRole('textbox', { name: 'Link' }).inputValue());
  await phone.getByRole('button', { name: 'Sign in here' }).click();
  await phone.goto(`${server.url}/account/`);
  await expect(phone.getByText('@Zoe')).toBeVisible();
  await phone.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.goto(`${server.url}/account/`);
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
});
