// The list of rooms without scripts.

import { Server, expect, test } from './fixtures.ts';
import { sayInEach } from './room.ts';

test('rooms are found by a part of their names, and the others on further pages', async ({ page }) => {
  const server = await Server.start({
    env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_LIMITS__MESSAGES_PER_SECOND_PER_ACCOUNT: '0' },
  });
  await sayInEach(page, server.url, ['oldest', ...Array.from({ length: 100 }, (_, n) => `room-${n}`)]);
  await page.goto(server.url);
  const items = page.getByRole('main').getByRole('listitem');
  await expect(items).toHaveCount(100);
  await page.getByRole('link', { name: 'More rooms' }).click();
  await expect(items).toHaveText([/oldest/]);
  await page.getByRole('link', { name: 'Newest rooms' }).click();
  await page.getByLabel('Go to a room, or make one').fill('OOM-9');
  await page.getByRole('button', { name: 'Find' }).click();
  await expect(items).toHaveCount(11);
});
