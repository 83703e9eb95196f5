// How people with an account are seen by others: at once where they are, under all that they have said.

import { Server, axe, expect, test } from './fixtures.ts';
import { person } from './people.ts';

const open = () => Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });

test('another name and handle are seen at once by whoever is in the room', async ({ page, browser, problems }) => {
  const server = await open();
  const ann = await person(browser, server, 'Ann', '/room/tea/');
  await ann.getByRole('textbox', { name: /^Message/ }).fill('said as Ann');
  await ann.getByRole('button', { name: 'Send' }).click();
  await page.goto(`${server.url}/room/tea/`);
  const row = page.getByRole('log').getByRole('listitem').filter({ hasText: 'said as Ann' });
  await expect(row.getByText('Ann', { exact: true })).toBeVisible();
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();

  const account = await ann.context().newPage();
  await account.goto(`${server.url}/account/`);
  await account.getByLabel('What others call you').fill('Anna Lee');
  await account.getByLabel('Your handle').fill('a@b');
  problems.allow(/422/);
  await account.getByRole('button', { name: 'Save' }).click();
  await expect(account.getByLabel('Your handle')).toHaveAccessibleDescription(/1 to 32 letters and digits/);
  await expect(account.getByLabel('What others call you')).toHaveValue('Anna Lee');
  await axe(account);
  await account.getByLabel('Your handle').fill('anna');
  await account.getByRole('button', { name: 'Save' }).click();
  await expect(account.getByText('You sign in and are mentioned as @anna.')).toBeVisible();

  // Nobody has loaded anything again.
  await expect(row.getByText('Anna Lee', { exact: true })).toBeVisible();
  await expect(row.getByText('@anna', { exact: true })).toBeVisible();
  await expect(ann.getByRole('button', { name: /^You are Anna Lee/ })).toBeVisible();
  await page.reload();
  await expect(row.getByText('Anna Lee', { exact: true })).toBeVisible();
});
