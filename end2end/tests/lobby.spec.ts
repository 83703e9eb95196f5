// The list of rooms.

import { Server, axe, expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

test('an empty server says what to do, and a name leads to a room', async ({ page }) => {
  const server = await Server.start();
  await page.goto(server.url);
  await expect(page.getByText('No room has been used yet')).toBeVisible();
  await axe(page);
  await page.getByLabel('Go to a room, or make one').fill('kitchen');
  await page.getByRole('button', { name: 'Enter' }).click();
  await expect(page).toHaveURL(`${server.url}/room/kitchen/`);
  await expect(page.getByText('Nothing has been said here yet')).toBeVisible();
  await axe(page);
});

test('rooms stand with their latest message, newest first, and stay so', async ({ browser, page, problems }) => {
  problems.allow(/WebSocket connection to .* failed/);
  const server = await Server.start();
  const [first, second] = [freshRoom(), freshRoom()];
  await page.goto(server.url);
  await fill(page, first, ['in the first']);
  await fill(page, second, ['in the second']);
  await page.reload();
  const items = page.getByRole('main').getByRole('listitem');
  await expect(items).toHaveText([/in the second/, /in the first/]);
  const bob = await Room.openAs(browser, 'Bob', first, server.url);
  await bob.say('news');
  await expect(items).toHaveText([/Bob.*news/, /in the second/]);
  await axe(page);
  // Over a restart as well.
  await server.restart();
  await bob.isConnected();
  await bob.say('still here');
  await expect(items).toHaveText([/Bob.*still here/, /in the second/]);
  await items.first().getByRole('link').click();
  await expect(page).toHaveURL(new RegExp(`/room/${first}/$`));
});

test('a name that cannot be is refused with the rule, and kept', async ({ page, problems }) => {
  problems.allow(/status of 422/);
  await page.goto('/room/?group=two%20words');
  await expect(page.getByText('1 to 64 of the letters A to Z')).toBeVisible();
  await expect(page.getByLabel('Go to a room, or make one')).toHaveValue('two words');
  await axe(page);
});

test('a page that is not there says so and leads on', async ({ page, problems }) => {
  problems.allow(/status of 404/);
  const response = await page.goto('/room/no%20such/');
  expect(response?.status()).toBe(404);
  await axe(page);
  await page.getByRole('link', { name: 'See all rooms' }).click();
  await expect(page.getByRole('heading', { name: 'Rooms' })).toBeVisible();
});
