// Without scripts: who may not write sees why in place of the composer, and the list of rooms is the reader's own after a reload.

import { Server, expect, test } from './fixtures.ts';
import { does, make, member, person } from './people.ts';

test('who may not write sees why, and the list of rooms is the reader’s own', async ({ browser, page, problems }) => {
  problems.allow(/404/);
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  await make(ann, server, 'news', 'The news', 'open');
  await ann.getByRole('textbox', { name: /^Message/ }).fill('the first of them');
  await ann.getByRole('button', { name: 'Send' }).click();
  await expect(ann.getByText('the first of them')).toBeVisible();
  await ann.goto(`${server.url}/room/news/settings`);
  await ann.getByLabel('Who may write in it').selectOption('members');
  await ann.getByRole('button', { name: 'Save' }).first().click();

  await page.goto(`${server.url}/room/news/`);
  await expect(page.getByText('the first of them')).toBeVisible();
  await expect(page.getByText('Only members of this room write in it.')).toBeVisible();
  await expect(page.getByRole('textbox', { name: /^Message/ })).toBeHidden();
  await page.getByRole('link', { name: 'Sign in' }).last().click();
  await expect(page).toHaveURL(/\/login\?next=/);

  const bob = await member(browser, server, ann, 'news', 'Bob');
  await bob.getByRole('textbox', { name: /^Message/ }).fill('of a member');
  await bob.getByRole('button', { name: 'Send' }).click();
  await expect(bob.getByText('of a member')).toBeVisible();
  await bob.goto(server.url);
  const own = bob.getByRole('region', { name: 'Your rooms' });
  await expect(own.getByRole('listitem').filter({ hasText: 'The news' })).toContainText('of a member');
  await does(ann, server, 'news', 'Bob', 'Remove');
  await bob.reload();
  await expect(own.getByRole('listitem')).toHaveCount(0);
});
