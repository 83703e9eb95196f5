// What is written in place of a message is not lost: not by a refusal, not by another edit, not by a reload. And nothing that the
// server says takes the place of what is being written.

import type { Page, WebSocketRoute } from '@playwright/test';
import { axe, expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

const row = (room: Room, text: string | RegExp) => room.messages.filter({ hasText: text });
const editing = (room: Room) => room.page.getByText('Editing your message');
const notice = (room: Room) => room.page.getByText('Not changed: ');
const button = (room: Room, name: string) => room.page.getByRole('button', { name, exact: true });

/** Opens the menu of a message with the mouse and presses one of its buttons. */
async function choose(room: Room, text: string | RegExp, action: string): Promise<void> {
  const message = row(room, text);
  await message.hover();
  await message.getByRole('button', { name: 'Message actions' }).click();
  await room.page.getByRole('group', { name: 'Message actions' }).getByRole('button', { name: action, exact: true }).click();
}

/** Has a message say something else, as far as the page can. */
async function edit(room: Room, text: string, now: string): Promise<void> {
  await choose(room, text, 'Edit');
  await room.composer.fill(now);
  await room.composer.press('Enter');
  await expect(editing(room)).toHaveCount(0);
}

type Asked = { id: number; edit?: { text: string } };

/** A page whose edits wait until the test refuses them, the oldest first, or allows all that come. */
async function refusing(page: Page) {
  const asked: (() => void)[] = [];
  let allowed = false;
  let arrived = () => {};
  await page.routeWebSocket(/\/room\//, (socket: WebSocketRoute) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      const { id, edit } = JSON.parse(message.toString()) as Asked;
      if (!edit || allowed) return server.send(message);
      const error = { code: 'forbidden', message: 'no changes today', retry_after_ms: null };
      asked.push(() => socket.send(JSON.stringify({ id, error })));
      arrived();
    });
  });
  return {
    async refuse(): Promise<void> {
      while (asked.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
      asked.shift()!();
    },
    allow(): void {
      allowed = true;
    },
  };
}

test('a refused edit leaves alone what is being written, and waits to be decided on', async ({ page }) => {
  const edits = await refusing(page);
  const room = await Room.open(page, freshRoom());
  await room.say('first');
  await room.say('second');
  await edit(room, 'first', 'first, better');
  await room.composer.fill('in the middle of some');
  await room.composer.press('End');
  await edits.refuse();
  await expect(notice(room)).toHaveText('Not changed: no changes today');
  await expect(page.getByText('first, better')).toHaveCount(1);
  await room.shows('first', 'second');
  await expect(editing(room)).toHaveCount(0);
  await expect(room.composer).toBeFocused();
  await room.composer.pressSequentially('thing');
  await expect(room.composer).toHaveValue('in the middle of something');
  await axe(page);

  // It is no different where another message is being edited.
  await edit(room, 'second', 'second, better');
  await choose(room, 'first', 'Edit');
  await expect(room.composer).toHaveValue('first, better');
  await room.composer.fill('first, best');
  await edits.refuse();
  await expect(page.getByText('second, better')).toHaveCount(1);
  await expect(room.composer).toHaveValue('first, best');

  // Opened when it is chosen, and what was there before comes back.
  await button(room, 'Edit again').click();
  await expect(room.composer).toHaveValue('second, better');
  await expect(room.composer).toBeFocused();
  await expect(page.getByRole('alert')).toHaveText('Not changed: no changes today');
  await room.composer.press('Escape');
  await expect(editing(room)).toHaveCount(0);
  await expect(room.composer).toHaveValue('in the middle of something');
  // Escape is no decision.
  await expect(page.getByText('first, best')).toHaveCount(1);
  await button(room, 'Discard').click();
  await expect(page.getByText('second, better')).toHaveCount(1);
  await button(room, 'Discard').click();
  await expect(notice(room)).toHaveCount(0);
  await expect(room.composer).toBeFocused();
  await expect(room.composer).toHaveValue('in the middle of something');
  await room.shows('first', 'second');
});

test('a refused edit is there after a reload until it is saved or discarded', async ({ page }) => {
  const edits = await refusing(page);
  const room = await Room.open(page, freshRoom());
  await room.say('said');
  await edit(room, 'said', 'said differently');
  await room.composer.fill('a draft');
  await edits.refuse();
  await expect(notice(room)).toBeVisible();
  await page.reload();
  await room.isConnected();
  await expect(notice(room)).toHaveText('Not changed: no changes today');
  await expect(room.composer).toHaveValue('a draft');
  await room.shows('said');
  edits.allow();
  await page.reload();
  await button(room, 'Edit again').click();
  await expect(room.composer).toHaveValue('said differently');
  await room.composer.press('Enter');
  await room.shows('said differently');
  await expect(room.composer).toHaveValue('a draft');
  await page.reload();
  await room.isConnected();
  await room.shows('said differently');
  await expect(button(room, 'Edit again')).toHaveCount(0);
});

test('of two edits of one message the last one counts, whatever became of the first', async ({ page }) => {
  const edits = await refusing(page);
  const room = await Room.open(page, freshRoom());
  await room.say('said');
  await edit(room, 'said', 'one');
  await edit(room, 'one', 'two');
  await edits.refuse();
  await edits.refuse();
  await expect(page.getByText('two')).toHaveCount(1);
  await room.shows('said');
  await button(room, 'Discard').click();
  await expect(notice(room)).toHaveCount(0);
});

test('what was written of an edit is there again when its message is edited again', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  for (const text of ['one', 'two']) await room.say(text);
  await choose(room, 'one', 'Edit');
  await room.composer.fill('one, half');
  await choose(room, 'two', 'Edit');
  await expect(room.composer).toHaveValue('two');
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toHaveValue('one, half');
  // Chosen once more in the midst of it, it goes on.
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toBeFocused();
  await expect(room.composer).toHaveValue('one, half');
  await page.reload();
  await room.isConnected();
  await expect(room.composer).toHaveValue('');
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toHaveValue('one, half');
  // Given up, it is gone.
  await button(room, 'Cancel').click();
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toHaveValue('one');
  await room.shows('one', 'two');
});
