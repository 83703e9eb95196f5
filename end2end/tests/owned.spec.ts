// Rooms that somebody owns: made, entered by invitation, left and taken away while people look.

import { Server, axe, expect, test } from './fixtures.ts';
import { PASSWORD, does, invite, make, member, person, signUp } from './people.ts';
import { Room } from './room.ts';

test('a closed room is entered by an invitation, and is not there for anybody else', async ({ browser, page, problems }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'invite' } });
  const setUp = /\/setup\/\w+/.exec(server.log)?.[0] ?? 'no link to set the server up';
  await page.goto(server.url + setUp);
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set up this server' }).click();
  await make(page, server, 'plans', 'Our plans 计划');
  const address = await invite(page, server, 'plans');
  await axe(page);
  const anns = await Room.open(page, 'plans', server.url);
  await anns.say('who comes?');

  // A guest finds nothing, and by the invitation what they would join.
  const bob = await (await browser.newContext({ viewport: { width: 360, height: 640 } })).newPage();
  problems.allow(/404/);
  await bob.goto(`${server.url}/room/plans/`);
  await expect(bob.getByText('who comes?')).toHaveCount(0);
  await bob.goto(address);
  await expect(bob.getByRole('heading', { name: 'Our plans 计划', level: 1 })).toBeVisible();
  await axe(bob);
  expect(await bob.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await bob.getByRole('link', { name: 'Sign up' }).click();
  await signUp(bob, 'Bob');
  const bobs = await Room.open(bob, 'plans', server.url);
  await expect(bobs.messages.filter({ hasText: 'who comes?' })).toBeVisible();
  await bobs.say('I do');
  await expect(anns.messages.filter({ hasText: 'I do' })).toBeVisible();
  await bob.goto(server.url);
  await expect(bob.getByRole('link', { name: /Our plans 计划/ })).toBeVisible();

  // It was for one.
  const cleo = await (await browser.newContext()).newPage();
  await cleo.goto(address);
  await expect(cleo.getByText('who comes?')).toHaveCount(0);
  await expect(cleo.getByRole('link', { name: 'Sign up' })).toHaveCount(0);
});

for (const act of ['Remove', 'Ban'] as const) {
  test(`who looks at a room loses it at once: ${act}`, async ({ browser, problems }) => {
    const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
    const ann = await person(browser, server, 'Ann');
    await make(ann, server, 'plans', 'Our plans');
    const bob = await member(browser, server, ann, 'plans', 'Bob');
    const bobs = await Room.open(bob, 'plans', server.url);
    const anns = await Room.open(ann, 'plans', server.url);
    await anns.say('before');
    await expect(bobs.messages).toContainText(['before']);

    problems.allow(/404/);
    await does(ann, server, 'plans', 'Bob', act);
    await expect(ann.getByRole('listitem').filter({ hasText: 'Bob' }).getByText('Manage')).toHaveCount(0);
    // Bob's page says so at once, without a touch, and nothing of what was there.
    const said = `You were ${act === 'Remove' ? 'removed' : 'banned'} from this room.`;
    await expect(bob.getByRole('heading', { name: said, level: 1 })).toBeVisible();
    await expect(bob.getByText('before')).toHaveCount(0);
    await axe(bob);
    const later = await Room.open(ann, 'plans', server.url);
    await later.say('after');
    await expect(later.messages).toHaveCount(2);
    // Whoever asks for it again is told as much as any stranger.
    await bob.reload();
    await expect(bob.getByRole('heading', { name: 'Nothing is here' })).toBeVisible();
    await bob.getByRole('link', { name: 'See all rooms' }).click();
    await bob.goto(server.url);
    await expect(bob.getByText('Our plans')).toHaveCount(0);
  });
}
