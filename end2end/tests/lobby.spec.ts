// The list of rooms.

import { Server, axe, expect, test } from './fixtures.ts';
import { Room, fill, freshRoom, sayInEach } from './room.ts';

/** Without bounds on how much one person says. */
const UNBOUNDED = { env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_LIMITS__MESSAGES_PER_SECOND_PER_ACCOUNT: '0' } };

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

test('every room is to be had: by its name as one types, and page by page', async ({ browser, page }) => {
  const server = await Server.start(UNBOUNDED);
  const rooms = Array.from({ length: 130 }, (_, n) => `room-${String(n).padStart(3, '0')}`);
  await sayInEach(page, server.url, ['oldest', ...rooms]);
  await page.goto(server.url);
  const items = page.getByRole('main').getByRole('listitem');
  await expect(items).toHaveCount(100);
  await expect(items.first()).toContainText('room-129');
  const field = page.getByLabel('Go to a room, or make one');
  // Of those that are here at once, of the others when the server has said.
  await field.pressSequentially('M-12');
  await expect(items).toHaveCount(10);
  await field.fill('OLD');
  await expect(items).toHaveText([/oldest/]);
  await axe(page);
  await field.fill('nowhere');
  await expect(page.getByText('No room has “nowhere” in its name')).toBeVisible();
  await field.fill('');
  await expect(items).toHaveCount(101);
  await page.getByRole('link', { name: 'More rooms' }).click();
  await expect(items).toHaveCount(131);
  await expect(page.getByRole('link', { name: 'More rooms' })).toHaveCount(0);
  await axe(page);
  // What is said goes on showing, and what was read stays when the connection is made anew.
  const bob = await Room.openAs(browser, 'Bob', 'oldest', server.url);
  await bob.say('still here');
  await expect(items.first()).toContainText('still here');
  await expect(items).toHaveCount(131);
});

test('a list without a connection says so until it is back', async ({ page, problems }) => {
  problems.allow(/WebSocket connection to .* failed/);
  const server = await Server.start();
  await page.goto(server.url);
  await fill(page, 'kitchen', ['hello']);
  await expect(page.getByRole('main').getByRole('listitem')).toHaveText([/kitchen/]);
  await server.kill();
  await expect(page.getByText('Not connected')).toBeVisible({ timeout: 20_000 });
  await axe(page);
  await server.restart();
  await expect(page.getByText('Not connected')).toHaveCount(0, { timeout: 40_000 });
});

test('a room whose name differs in case alone is offered', async ({ page }) => {
  const server = await Server.start();
  await sayInEach(page, server.url, ['design']);
  await page.goto(server.url);
  const field = page.getByLabel('Go to a room, or make one');
  await field.fill('Design');
  await field.press('Enter');
  await expect(page.getByText('There is a room design already')).toBeVisible();
  await axe(page);
  await expect(page.getByRole('link', { name: 'Make Design' })).toHaveAttribute('href', '/room/Design/');
  await page.getByRole('link', { name: 'Go to design' }).click();
  await expect(page).toHaveURL(`${server.url}/room/design/`);
});
