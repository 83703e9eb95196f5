// What one may do in a room: the page shows it, and follows it while it changes. And who is who.

import { Server, axe, expect, test } from './fixtures.ts';
import { does, make, member, person } from './people.ts';
import { Room } from './room.ts';

test('guests are marked where they write, and who is called otherwise than by the handle shows it', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  const anns = await Room.open(ann, 'open', server.url);
  await anns.say('by an account');
  const guests = await Room.openAs(browser, 'Ann', 'open', server.url);
  await guests.say('by a guest');
  const of = (room: Room, text: string) => room.messages.filter({ hasText: text });
  for (const room of [anns, guests]) {
    await expect(of(room, 'by a guest').getByText('guest', { exact: true })).toBeVisible();
    await expect(of(room, 'by an account').getByText('guest', { exact: true })).toHaveCount(0);
  }
  await ann.getByRole('button', { name: /here$/ }).click();
  await expect(ann.getByRole('listitem').filter({ hasText: 'Ann' }).filter({ hasText: 'guest' })).toHaveCount(2);
  // Another name shows the handle, also beside what comes later.
  const zoe = await person(browser, server, 'Zoe');
  await zoe.getByRole('button', { name: /^You are/ }).click();
  await zoe.getByLabel('What others call you').fill('Ann');
  await zoe.getByRole('button', { name: 'Save' }).click();
  const zoes = await Room.open(zoe, 'open', server.url);
  await zoes.say('as somebody else');
  await expect(of(anns, 'as somebody else').getByText('@Zoe')).toBeVisible();
  await expect(of(anns, 'by an account').getByText('@Ann')).toHaveCount(0);
  await axe(ann);
});

test('the composer is there by the right to write, and comes and goes with it', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  await make(ann, server, 'plans', 'Our plans');
  const bob = await member(browser, server, ann, 'plans', 'Bob');
  await bob.setViewportSize({ width: 360, height: 640 });
  const bobs = await Room.open(bob, 'plans', server.url);
  await bobs.say('first');
  await bobs.composer.fill('half of it');
  await does(ann, server, 'plans', 'Bob', 'Mute');
  const line = bob.getByText(/^You are muted in this room\..*Until/);
  await expect(line).toBeVisible();
  await expect(bobs.composer).toBeHidden();
  await axe(bob);
  expect(await bob.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  // A page that is opened now is so from the first.
  await bob.reload();
  await bobs.isConnected();
  await expect(line).toBeVisible();
  await expect(bobs.composer).toBeHidden();
  await does(ann, server, 'plans', 'Bob', 'Let them speak');
  await expect(bobs.composer).toBeVisible();
  await expect(line).toHaveCount(0);
  await expect(bobs.composer).toHaveValue('half of it');
  await bobs.say('again');
  await ann.getByRole('button', { name: /^Archive/ }).click();
  await expect(bob.getByText(/^This room is archived/)).toBeVisible();
  await expect(bobs.composer).toBeHidden();
  await ann.getByRole('button', { name: 'Open it again' }).click();
  await expect(bobs.composer).toBeVisible();
});

test('who moderates deletes what others have said, and nobody else is offered it', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  await make(ann, server, 'plans', 'Our plans');
  const bob = await member(browser, server, ann, 'plans', 'Bob');
  const bobs = await Room.open(bob, 'plans', server.url);
  const anns = await Room.open(ann, 'plans', server.url);
  await anns.say('of the owner');
  await bobs.say('of a member');
  const menu = async (room: Room, text: string) => {
    await room.messages.filter({ hasText: text }).getByRole('button', { name: 'Message actions' }).press('Enter');
  };
  await menu(bobs, 'of the owner');
  await expect(bob.getByRole('button', { name: 'thumbs up' })).toBeVisible();
  await expect(bob.getByRole('button', { name: 'Delete' })).toHaveCount(0);
  await bob.keyboard.press('Escape');
  await menu(anns, 'of a member');
  await expect(ann.getByRole('button', { name: 'Edit' })).toHaveCount(0);
  await ann.getByRole('button', { name: 'Delete' }).click();
  await ann.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  for (const room of [anns, bobs]) await expect(room.log.getByText('Message deleted')).toBeVisible();
  await ann.goto(`${server.url}/room/plans/settings`);
  await ann.getByText('What was done').click();
  await expect(ann.getByText('deleted a message')).toBeVisible();
});

test('a page that is not for guests leads in and back', async ({ browser, page, problems }) => {
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open', CONFAB_ROOMS: '[{"match":"*","guests":false}]' } });
  void browser;
  problems.allow(/403/);
  await page.goto(`${server.url}/room/plans/`);
  await expect(page.getByRole('heading', { name: 'Not for guests' })).toBeVisible();
  await axe(page);
  await page.getByRole('link', { name: 'Sign up' }).click();
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill('correct horse battery');
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page).toHaveURL(`${server.url}/room/plans/`);
  await new Room(page).isConnected();
});
