// The list of rooms: the reader's own above, which follows what happens elsewhere.

import { Server, axe, expect, test } from './fixtures.ts';
import { does, invite, make, person } from './people.ts';
import { Room } from './room.ts';

test('the list is the reader’s own and follows what happens elsewhere', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  const bob = await person(browser, server, 'Bob');
  await bob.setViewportSize({ width: 360, height: 640 });
  const own = bob.getByRole('region', { name: 'Your rooms' });
  await expect(own.getByText('You are a member of no room yet.')).toBeVisible();
  await make(ann, server, 'plans', 'Our plans');
  const address = await invite(ann, server, 'plans');
  // Accepted in another tab.
  const tab = await bob.context().newPage();
  await tab.goto(address);
  await tab.getByRole('button', { name: 'Join' }).click();
  const plans = own.getByRole('listitem').filter({ hasText: 'Our plans' });
  await expect(plans).toBeVisible();
  // A direct room, and what is said there; the keyboard stays where it was.
  await plans.getByRole('link').focus();
  const people = await ann.context().newPage();
  await people.goto(`${server.url}/people/@Bob`);
  await people.getByRole('button', { name: 'Talk directly' }).click();
  await new Room(people).isConnected();
  const direct = own.getByRole('listitem').filter({ hasText: /^Ann/ });
  await expect(direct).toBeVisible();
  await new Room(people).say('just for you');
  await expect(direct).toContainText('just for you');
  await expect(own.getByRole('listitem').first()).toContainText('just for you');
  await expect(plans.getByRole('link')).toBeFocused();
  const anns = await Room.open(ann, 'plans', server.url);
  await anns.say('to all of us');
  await expect(own.getByRole('listitem').first()).toContainText('to all of us');
  await axe(bob);
  expect(await bob.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  // Another title, and then it is gone.
  await ann.goto(`${server.url}/room/plans/settings`);
  await ann.getByLabel('Title').fill('New plans');
  await ann.getByRole('button', { name: 'Save' }).first().click();
  await expect(own.getByRole('listitem').filter({ hasText: 'New plans' })).toBeVisible();
  await tab.close();
  await does(ann, server, 'plans', 'Bob', 'Remove');
  await expect(own.getByRole('listitem').filter({ hasText: 'New plans' })).toHaveCount(0);
  await expect(direct).toBeVisible();
});
