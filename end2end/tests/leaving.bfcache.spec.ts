// Pages that the browser keeps as they are when they are left, and shows once more on the way back.

import { expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

test('who leaves a room is gone, and on the way back is there with all that was said', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  await page.addInitScript(() => {
    addEventListener('pageshow', (event) => event.persisted && document.documentElement.setAttribute('data-kept', ''));
  });
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  const ann = await Room.open(page, name);
  const here = bob.page.getByRole('button', { name: /here/ });
  await expect(here).toHaveText('2 here');
  await page.getByRole('link', { name: /Rooms/ }).click();
  await expect(page).toHaveURL('/');
  // People are shown for ten seconds more, in which they may come back. What is kept by mistake is there for minutes.
  await expect(here).toHaveText('1 here', { timeout: 45_000 });
  await bob.say('Are you gone?');
  await page.goBack({ waitUntil: 'commit' });
  await expect(page.locator('html[data-kept]')).toBeAttached();
  await ann.isConnected();
  await ann.shows('Are you gone?');
  await expect(here).toHaveText('2 here');
  await ann.say('No');
  await bob.shows('Are you gone?', 'No');
});

test('a connection that was closed stays closed on the way back', async ({ page }) => {
  const ann = await Room.open(page, freshRoom());
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  await page.getByRole('link', { name: /Rooms/ }).click();
  await expect(page).toHaveURL('/');
  await page.goBack({ waitUntil: 'commit' });
  await expect(page.getByText('Connection closed')).toBeVisible();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await ann.isConnected();
});

test('a draft that a new tab has taken over is not in the old one on the way back', async ({ page, context }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  await ann.composer.fill('half a thought');
  await page.getByRole('link', { name: /Rooms/ }).click();
  await expect(page).toHaveURL('/');
  const second = await Room.open(await context.newPage(), name);
  await expect(second.composer).toHaveValue('half a thought');
  await page.goBack({ waitUntil: 'commit' });
  await ann.isConnected();
  await expect(ann.composer).toHaveValue('');
});
