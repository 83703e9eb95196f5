// The pages of accounts: what assistive programs find on them, and that they fit on a phone.

import { Server, axe, expect, test } from './fixtures.ts';

const PASSWORD = 'correct horse battery';

for (const scheme of ['light', 'dark'] as const) {
  test(`the pages of accounts are well made and fit on a phone, ${scheme}`, async ({ page, problems }) => {
    const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width: 360, height: 640 });
    const look = async (heading: string) => {
      await expect(page.getByRole('heading', { name: heading, level: 1 })).toBeVisible();
      await axe(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    };
    await page.goto(`${server.url}/login`);
    await look('Sign in');
    problems.allow(/422/);
    await page.getByLabel('Name').fill('nobody');
    await page.getByLabel('Password').fill('wrong password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('alert')).toBeVisible();
    await look('Sign in');
    await page.goto(`${server.url}/signup?next=/account/`);
    await page.getByLabel('Name').fill('Zoe');
    await page.getByLabel('Password').fill('password');
    await page.getByRole('button', { name: 'Sign up' }).click();
    await expect(page.getByLabel('Password')).toHaveAccessibleDescription(/among the first that others would try/);
    await look('Sign up');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await look('Your account');
    await page.getByRole('button', { name: 'Sign in on another device' }).click();
    await look('Sign in on another device');
    await page.goto(`${server.url}/logout`);
    await look('Sign out');
  });
}

test('a page whose session is ended from another device says so and leads back', async ({ page, browser }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  await page.goto(`${server.url}/signup?next=/room/a/`);
  await page.getByLabel('Name').fill('Zoe');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page).toHaveURL(`${server.url}/room/a/`);
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  const other = await (await browser.newContext()).newPage();
  await other.goto(`${server.url}/login?next=/account/`);
  await other.getByLabel('Name').fill('Zoe');
  await other.getByLabel('Password').fill(PASSWORD);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('button', { name: 'Sign it out' }).click();
  await expect(page.getByText('You were signed out on this device')).toBeVisible();
  await page.getByLabel('Name').fill('Zoe');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(`${server.url}/room/a/`);
  await expect(page.getByRole('button', { name: /^You are Zoe/ })).toBeVisible();
});
