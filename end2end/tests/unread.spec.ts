// What is unread: counted in the list and in the title, parted from what was read, and the same on all of one's pages.

import type { Page } from '@playwright/test';
import { Server, axe, expect, test } from './fixtures.ts';
import { make, member, person } from './people.ts';
import { Room } from './room.ts';

/** Whether somebody looks at the page: a browser that is driven always says so. */
async function looksAt(page: Page, looks: boolean) {
  await page.evaluate((looks) => {
    document.hasFocus = () => looks;
  }, looks);
}

/** Waits until the page has told the server what was read. */
function tells(page: Page): Promise<void> {
  return new Promise((resolve) => {
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => {
        if (payload.toString().includes('"read":{')) resolve();
      });
    });
  });
}

/** The line that parts what is unread, with what the message below it says. */
function line(room: Room, text: string) {
  return room.messages.filter({ has: room.page.locator('.new') }).filter({ hasText: text });
}

test('what came meanwhile is counted, parted, and read on all pages once it was seen', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start({ env: { CONFAB_ACCOUNTS__SIGN_UP: 'open' } });
  const ann = await person(browser, server, 'Ann');
  await make(ann, server, 'plans', 'Our plans');
  const bob = await member(browser, server, ann, 'plans', 'Bob');
  const told = tells(bob);
  const bobs = await Room.open(bob, 'plans', server.url);
  const anns = await Room.open(ann, 'plans', server.url);
  await anns.say('before');
  await bobs.shows('before');
  await expect(bob.locator('.new')).toHaveCount(0);
  await told;

  // On another page of his the list says what is new. This one is left.
  const list = await bob.context().newPage();
  await list.goto(server.url);
  const row = list.locator('.own').getByRole('listitem').filter({ hasText: 'Our plans' });
  await expect(row).not.toContainText('unread');
  await bob.goto('about:blank');
  await anns.say('one');
  await anns.say('two');
  await expect(row).toContainText('2 unread');
  await axe(list);

  // He comes back: the line stands above the first, and what he has seen is read, on the list too.
  await bob.goto(`${server.url}/room/plans/`);
  await expect(line(bobs, 'one')).toBeVisible();
  await axe(bob);
  await expect(row).not.toContainText('unread');
  await expect(line(bobs, 'one')).toBeVisible();
  await expect(bob).toHaveTitle(/^Our plans/);

  // While nobody looks the title counts.
  await looksAt(bob, false);
  await anns.say('three');
  await expect(bob).toHaveTitle(/^\(1\) Our plans/);
  await expect(line(bobs, 'three')).toBeVisible();
  await expect(row).toContainText('1 unread');
  await looksAt(bob, true);
  await expect(bob).toHaveTitle(/^Our plans/);
  await expect(row).not.toContainText('unread');

  // From a message on all is unread again, which stays so until he has gone and come back.
  await bobs.messages.filter({ hasText: 'two' }).getByRole('button', { name: 'Message actions' }).press('Enter');
  await bob.getByRole('button', { name: 'Mark unread from here' }).click();
  await expect(line(bobs, 'two')).toBeVisible();
  await expect(bob).toHaveTitle(/^\(2\) Our plans/);
  await expect(row).toContainText('2 unread');
  await looksAt(bob, false);
  await looksAt(bob, true);
  await expect(row).toContainText('2 unread');
});

test('a guest finds the line where they have left off, in the same browser', async ({ browser, problems }) => {
  void problems;
  const server = await Server.start();
  const bobs = await Room.openAs(browser, 'Bob', 'open', server.url);
  const anns = await Room.openAs(browser, 'Ann', 'open', server.url);
  await anns.say('before');
  await bobs.shows('before');
  await expect.poll(() => bobs.page.evaluate(() => localStorage.getItem('confab:read:open'))).toMatch(/ 1$/);
  await bobs.page.goto('about:blank');
  for (const text of ['one', 'two']) await anns.say(text);
  await bobs.page.goto(`${server.url}/room/open/`);
  await expect(line(bobs, 'one')).toBeVisible();
  await expect(bobs.page.locator('.new')).toHaveCount(1);
});
