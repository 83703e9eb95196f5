// Name and handle are changed by plain forms.

import { Server, expect, test } from './fixtures.ts';

const PASSWORD = 'correct horse battery';

test('another name and handle are taken without scripts', async ({ page, problems }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  await page.goto(`${server.url}/signup?next=/account/`);
  await page.getByLabel('Name').fill('Zoe');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await page.getByLabel('What others call you').fill('Zoë Smith');
  await page.getByLabel('Your handle').fill('a@b');
  problems.allow(/422/);
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByLabel('Your handle')).toHaveAccessibleDescription(/1 to 32 letters and digits/);
  await expect(page.getByLabel('Your handle')).toHaveValue('a@b');
  await page.getByLabel('Your handle').fill('zoë');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('You sign in and are mentioned as @zoë.')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Zoë Smith' })).toBeVisible();
});
