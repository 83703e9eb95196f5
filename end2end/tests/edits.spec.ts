// What is written in place of a message is not lost: not by a refusal, not by another edit, not by a reload. Nor does anything that
// the server says take the place of what is being written.

import type { Page, WebSocketRoute } from '@playwright/test';
import { axe, expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

const row = (room: Room, text: string | RegExp) => room.messages.filter({ hasText: text });
const editing = (room: Room) => room.page.getByText('Editing your message');
const unsaved = (room: Room) => room.page.getByRole('group', { name: 'Edit not saved' });
const refusal = (room: Room) => unsaved(room).getByText('Your edit was not saved: no changes today', { exact: true });
const question = (room: Room) => room.page.getByRole('dialog', { name: 'Delete this message?' });
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

type Asked = { id: number; edit?: object; delete?: object };

/** A page whose edits and deletions wait until the test refuses them, the oldest first, or allows all that come. */
async function refusing(page: Page) {
  const asked: (() => void)[] = [];
  let allowed = false;
  let arrived = () => {};
  await page.routeWebSocket(/\/ws\//, (socket: WebSocketRoute) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      const { id, ...command } = JSON.parse(message.toString()) as Asked;
      if (!(command.edit ?? command.delete) || allowed) return server.send(message);
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
  await expect(refusal(room)).toBeVisible();
  await expect(unsaved(room)).toContainText('first, better');
  await expect(button(room, 'Discard')).toHaveAccessibleDescription(/^Your edit was not saved: no changes today/);
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
  await expect(unsaved(room)).toHaveCount(0);
  await edits.refuse();
  await expect(refusal(room)).toBeVisible();
  await expect(unsaved(room)).toContainText('second, better');
  await room.shows('first', 'second');
  await expect(room.composer).toHaveValue('first, best');

  // Opened when it is chosen, and what was there before comes back.
  await button(room, 'Edit again').click();
  await expect(room.composer).toHaveValue('second, better');
  await expect(room.composer).toBeFocused();
  await expect(page.getByRole('alert')).toHaveText('Your edit was not saved: no changes today');
  await room.composer.press('Escape');
  await expect(editing(room)).toHaveCount(0);
  await expect(room.composer).toHaveValue('in the middle of something');
  // Escape is no decision, and a double click is one and not two.
  await expect(unsaved(room)).toContainText('(1 of 2)');
  await expect(unsaved(room)).toContainText('first, best');
  await button(room, 'Discard').dblclick();
  await expect(unsaved(room)).toContainText('second, better');
  await expect(unsaved(room)).not.toContainText('(1 of');
  await button(room, 'Discard').click();
  await expect(unsaved(room)).toHaveCount(0);
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
  await expect(refusal(room)).toBeVisible();
  // Nor is it lost with something that cannot be read.
  await page.evaluate(() => {
    const place = Object.keys(sessionStorage).find((place) => place.startsWith('confab:unsent:'))!;
    const kept = JSON.parse(sessionStorage.getItem(place)!) as unknown[];
    sessionStorage.setItem(place, JSON.stringify([{ nobody: 'knows' }, ...kept]));
  });
  await page.reload();
  await room.isConnected();
  await expect(refusal(room)).toBeVisible();
  await expect(unsaved(room)).toContainText('said differently');
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
  await expect(unsaved(room)).toHaveCount(0);
});

test('of two edits of one message the last one counts, whatever became of the first', async ({ page }) => {
  const edits = await refusing(page);
  const room = await Room.open(page, freshRoom());
  await room.say('said');
  await edit(room, 'said', 'one');
  await edit(room, 'one', 'two');
  await edits.refuse();
  await edits.refuse();
  await expect(refusal(room)).toBeVisible();
  await expect(unsaved(room)).toContainText('two');
  await expect(unsaved(room)).not.toContainText('(1 of');
  await room.shows('said');
  await button(room, 'Discard').click();
  await expect(unsaved(room)).toHaveCount(0);
});

test('a refused deletion takes nothing of what was written in place of the message', async ({ page }) => {
  const changes = await refusing(page);
  const room = await Room.open(page, freshRoom());
  await room.say('said');
  await edit(room, 'said', 'said differently');
  const remove = async (text: string) => {
    await choose(room, text, 'Delete');
    await question(room).getByRole('button', { name: 'Delete' }).click();
    await room.shows('Message deleted');
  };
  await remove('said differently');
  // What is refused here is the edit, and then the deletion.
  await changes.refuse();
  await changes.refuse();
  await expect(page.getByRole('alert')).toHaveText('Not deleted: no changes today');
  await room.shows('said');
  await expect(refusal(room)).toBeVisible();
  await expect(unsaved(room)).toContainText('said differently');
  await button(room, 'Discard').click();

  // The same of what was not saved yet.
  await choose(room, 'said', 'Edit');
  await room.composer.fill('said, half');
  await remove('said');
  await expect(editing(room)).toHaveCount(0);
  await changes.refuse();
  await expect(unsaved(room)).toContainText('Not saved yet: said, half');
  await room.shows('said');

  // With the message it goes.
  changes.allow();
  await remove('said');
  await expect(page.locator('.changing')).toHaveCount(0);
  await page.reload();
  await room.isConnected();
  await room.shows('Message deleted');
  await expect(unsaved(room)).toHaveCount(0);
});

test('what was written of an edit is there again when its message is edited again', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  for (const text of ['one', 'two']) await room.say(text);
  await choose(room, 'one', 'Edit');
  await room.composer.fill('one, half');
  await choose(room, 'two', 'Edit');
  await expect(room.composer).toHaveValue('two');
  await expect(unsaved(room)).toContainText('Not saved yet: one, half');
  await axe(page);
  await button(room, 'Continue').click();
  await expect(room.composer).toHaveValue('one, half');
  await expect(room.composer).toBeFocused();
  await expect(unsaved(room)).toHaveCount(0);
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
  await expect(unsaved(room)).toContainText('Not saved yet: one, half');
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toHaveValue('one, half');
  // Given up, it is gone.
  await button(room, 'Cancel').click();
  await expect(unsaved(room)).toHaveCount(0);
  await choose(room, 'one', 'Edit');
  await expect(room.composer).toHaveValue('one');
  await room.shows('one', 'two');
});
