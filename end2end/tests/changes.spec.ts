// What people do to messages that were said: edit, delete, react; as they see it themselves and as the others see it.

import type { Locator, Page } from '@playwright/test';
import { Server, axe, expect, test } from './fixtures.ts';
import { Room, dropping, fill, freshRoom } from './room.ts';

const row = (room: Room, text: string | RegExp) => room.messages.filter({ hasText: text });
const actionsOf = (message: Locator) => message.getByRole('button', { name: 'Message actions' });
const menu = (room: Room) => room.page.getByRole('group', { name: 'Message actions' });
const question = (room: Room) => room.page.getByRole('dialog', { name: 'Delete this message?' });
const editing = (room: Room) => room.page.getByText('Editing your message');
const reaction = (message: Locator, name: string | RegExp) => message.getByRole('button', { name });

/** Opens the menu of a message with the mouse and presses one of its buttons. */
async function choose(room: Room, text: string | RegExp, action: string): Promise<void> {
  const message = row(room, text);
  await message.hover();
  await actionsOf(message).click();
  await menu(room).getByRole('button', { name: action, exact: true }).click();
}

/** Two people in a room of their own. */
async function annAndBob(browser: Parameters<typeof Room.openAs>[0], base: string) {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, base);
  const bob = await Room.openAs(browser, 'Bob', name, base);
  return { name, ann, bob };
}

/** Has commands about the first message of a room carried out, as a program with the cookies of the page would. */
function command(page: Page, room: string, name: 'edit' | 'react', bodies: object[]): Promise<void> {
  return page.evaluate(
    async ([room, name, bodies]) => {
      const { messages } = (await (await fetch(`/api/v1/rooms/${room}/messages?after=0`)).json()) as { messages: { id: string }[] };
      const about = { topic: `room/${room}`, message: messages[0]!.id };
      const socket = new WebSocket(`ws://${location.host}/room/${room}/`, 'confab.v1');
      await new Promise<void>((resolve, reject) => {
        let left = bodies.length;
        socket.onmessage = (event) => {
          const frame = JSON.parse(event.data as string) as { welcome?: object; id?: number; error?: object };
          if (frame.welcome) bodies.forEach((body, id) => socket.send(JSON.stringify({ id, [name]: { ...about, ...body } })));
          if (frame.error) reject(new Error(JSON.stringify(frame)));
          if (frame.id !== undefined) left -= 1;
          if (left === 0) resolve();
        };
      });
      socket.close();
    },
    [room, name, bodies] as const,
  );
}

const isTooWide = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

test('a message is edited by its menu, and everybody sees that it was', async ({ browser, baseURL }) => {
  const { name, ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('Helo Bob');
  await bob.shows('Helo Bob');
  await expect(bob.page.getByText('(edited)')).toHaveCount(0);
  await choose(ann, 'Helo Bob', 'Edit');
  await expect(editing(ann)).toBeVisible();
  await expect(ann.composer).toBeFocused();
  await expect(ann.composer).toHaveValue('Helo Bob');
  await ann.composer.fill('Hello Bob');
  await ann.composer.press('Enter');
  await expect(editing(ann)).toHaveCount(0);
  await expect(ann.composer).toHaveValue('');
  const late = await Room.openAs(browser, 'Cleo', name, baseURL!);
  for (const room of [ann, bob, late]) {
    await room.shows('Hello Bob');
    const mark = row(room, 'Hello Bob').getByText('(edited)');
    await expect(mark).toBeVisible();
    await expect(mark).toHaveAttribute('title', /^Edited \d+ \w{3} \d{4} \d\d:\d\d:\d\d$/);
  }
  await bob.page.reload();
  await bob.shows('Hello Bob');
  await expect(bob.page.getByText('(edited)')).toBeVisible();
});

test('only the author edits and deletes', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('This is mine');
  await bob.shows('This is mine');
  await row(bob, 'This is mine').hover();
  await actionsOf(row(bob, 'This is mine')).click();
  await expect(menu(bob).getByRole('button', { name: 'thumbs up' })).toBeVisible();
  await expect(menu(bob).getByRole('button', { name: 'Edit' })).toHaveCount(0);
  await expect(menu(bob).getByRole('button', { name: 'Delete' })).toHaveCount(0);
});

test('an emoji is a picture wherever one is chosen and counted', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  await room.say('one');
  await choose(room, 'one', 'heart');
  const counted = row(room, 'one').locator('.emoji', { hasText: '❤' });
  await expect(counted).toBeVisible();
  await row(room, 'one').hover();
  await actionsOf(row(room, 'one')).click();
  const chosen = menu(room).getByRole('button', { name: 'heart' });
  for (const emoji of [counted, chosen]) {
    // In ink a heart is as grey as the text around it.
    const style = await emoji.evaluate((element) => {
      const { fontFamily } = getComputedStyle(element);
      return { fontFamily, variant: getComputedStyle(element).getPropertyValue('font-variant-emoji') };
    });
    expect(style.variant).toBe('emoji');
    expect(style.fontFamily).toMatch(/^"Apple Color Emoji"/);
  }
});

test('the menu that is open for one message opens for another one', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('one');
  await bob.say('two');
  await ann.shows('one', 'two');
  // The menu stands below its button and above the composer, so it covers neither button.
  await row(ann, 'two').hover();
  await actionsOf(row(ann, 'two')).click();
  await expect(menu(ann)).toBeVisible();
  await expect(menu(ann).getByRole('button', { name: 'Edit' })).toHaveCount(0);
  await row(ann, 'one').hover();
  await actionsOf(row(ann, 'one')).click();
  await expect(menu(ann).getByRole('button', { name: 'Edit' })).toBeVisible();
  await menu(ann).getByRole('button', { name: 'heart' }).click();
  await expect(reaction(row(ann, 'one'), /^❤️, 1 reaction: you$/)).toBeVisible();
  await expect(row(ann, 'two').getByRole('group', { name: 'Reactions' })).toHaveCount(0);
  // Pressed twice, its button closes it.
  await row(ann, 'one').hover();
  await actionsOf(row(ann, 'one')).click();
  await expect(menu(ann)).toBeVisible();
  await actionsOf(row(ann, 'one')).click();
  await expect(menu(ann)).toBeHidden();
});

test('ArrowUp in the empty composer edits the last message of one’s own; the draft waits', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  await ann.composer.press('ArrowUp');
  await expect(editing(ann)).toHaveCount(0);
  await ann.say('first');
  await ann.say('second');
  await bob.say('not mine');
  await ann.shows('first', 'second', 'not mine');

  // Unchanged: it just ends.
  await ann.composer.press('ArrowUp');
  await expect(ann.composer).toHaveValue('second');
  await ann.composer.press('Enter');
  await expect(editing(ann)).toHaveCount(0);
  await expect(ann.page.getByText('(edited)')).toHaveCount(0);

  // Escape: nothing is changed, and what was written waits until it is decided on.
  await ann.composer.press('ArrowUp');
  await ann.composer.fill('never said');
  await ann.composer.press('Escape');
  await expect(editing(ann)).toHaveCount(0);
  await expect(ann.composer).toHaveValue('');
  const waiting = ann.page.getByRole('group', { name: 'Edit not saved' });
  await expect(waiting).toContainText('Not saved yet: never said');
  await waiting.getByRole('button', { name: 'Continue' }).click();
  await expect(ann.composer).toHaveValue('never said');
  await ann.composer.press('Escape');
  await waiting.getByRole('button', { name: 'Discard' }).click();
  await expect(waiting).toHaveCount(0);

  // A draft is no empty composer; it comes back after an edit, and after a reload in the midst of one.
  await ann.composer.fill('a draft');
  await ann.composer.press('ArrowUp');
  await expect(ann.composer).toHaveValue('a draft');
  await choose(ann, 'second', 'Edit');
  await expect(ann.composer).toHaveValue('second');
  await ann.composer.fill('second, better');
  await ann.page.getByRole('button', { name: 'Save' }).click();
  await expect(ann.composer).toHaveValue('a draft');
  await expect(ann.composer).toBeFocused();
  await bob.shows('first', 'second, better', 'not mine');
  await choose(ann, 'first', 'Edit');
  await ann.composer.fill('half of an edit');
  await ann.page.getByRole('button', { name: 'Cancel' }).click();
  await expect(ann.composer).toHaveValue('a draft');
  await choose(ann, 'first', 'Edit');
  await ann.page.reload();
  await ann.isConnected();
  await expect(ann.composer).toHaveValue('a draft');
  await ann.shows('first', 'second, better', 'not mine');
});

test('an edit over the bound is neither made nor lost; an empty one asks whether to delete', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('short');
  await bob.shows('short');
  await ann.composer.press('ArrowUp');
  const long = 'x'.repeat(65_537);
  await ann.composer.fill(long);
  await ann.composer.press('Enter');
  await expect(ann.page.getByRole('alert')).toContainText('65537 bytes long; a message is at most 65536');
  await expect(ann.composer).toHaveValue(long);
  await ann.composer.fill('');
  await ann.composer.press('Enter');
  await expect(question(ann)).toContainText('short');
  await ann.page.keyboard.press('Escape');
  await expect(question(ann)).toBeHidden();
  await expect(editing(ann)).toBeVisible();
  await expect(ann.composer).toBeFocused();
  await ann.page.getByRole('button', { name: 'Save' }).click();
  await question(ann).getByRole('button', { name: 'Delete' }).click();
  await expect(editing(ann)).toHaveCount(0);
  for (const room of [ann, bob]) await room.shows('Message deleted');
});

test('a message is deleted after a question, for everybody and for good', async ({ browser, baseURL }) => {
  const { name, ann, bob } = await annAndBob(browser, baseURL!);
  for (const text of ['one', 'two', 'three']) await ann.say(text);
  await bob.shows('one', 'two', 'three');
  await choose(bob, 'two', 'thumbs up');
  await expect(reaction(row(ann, 'two'), /^👍/)).toBeVisible();
  await choose(ann, 'two', 'Delete');
  await expect(question(ann)).toBeVisible();
  await expect(question(ann)).toContainText('two');
  await expect(question(ann).getByRole('button', { name: 'Cancel' })).toBeFocused();
  await axe(ann.page);
  await ann.page.keyboard.press('Enter');
  await expect(question(ann)).toBeHidden();
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();
  await bob.shows('one', 'two', 'three');

  await choose(ann, 'two', 'Delete');
  await question(ann).getByRole('button', { name: 'Delete' }).click();
  await expect(ann.composer).toBeFocused();
  const late = await Room.openAs(browser, 'Cleo', name, baseURL!);
  const isDeleted = async (room: Room) => {
    await room.shows('one', 'Message deleted', 'three');
    const message = row(room, 'Message deleted');
    await expect(actionsOf(message)).toHaveCount(0);
    await expect(message.getByRole('group', { name: 'Reactions' })).toHaveCount(0);
    await expect(message.getByText('(edited)')).toHaveCount(0);
    // It goes on under the author's name, and so does what follows.
    await expect(room.log.locator('.avatar:visible')).toHaveCount(1);
  };
  for (const room of [ann, bob, late]) await isDeleted(room);
  for (const room of [ann, bob]) {
    await room.page.reload();
    await room.isConnected();
    await isDeleted(room);
  }
});

test('both react and take it back, and it is counted', async ({ browser, baseURL }) => {
  const { name, ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('What do you think?');
  await bob.shows('What do you think?');
  const [forAnn, forBob] = [row(ann, 'What do'), row(bob, 'What do')];
  await choose(bob, 'What do', 'thumbs up');
  await expect(reaction(forBob, '👍, 1 reaction: you')).toHaveAttribute('aria-pressed', 'true');
  await expect(reaction(forAnn, '👍, 1 reaction: Bob')).toHaveAttribute('aria-pressed', 'false');
  await reaction(forAnn, /^👍/).click();
  await expect(reaction(forAnn, '👍, 2 reactions: you, Bob')).toHaveAttribute('aria-pressed', 'true');
  await expect(reaction(forBob, '👍, 2 reactions: you, Ann')).toHaveText(/2/);
  await choose(ann, 'What do', 'celebration');
  await expect(reaction(forBob, '🎉, 1 reaction: Ann')).toBeVisible();

  const late = await Room.openAs(browser, 'Cleo', name, baseURL!);
  const seen = row(late, 'What do');
  await expect(reaction(seen, '👍, 2 reactions: Ann (guest), Bob (guest)')).toHaveAttribute('title', 'Ann (guest), Bob (guest)');
  await expect(reaction(seen, '🎉, 1 reaction: Ann')).toBeEnabled();
  await axe(late.page);

  // In the menu it is pressed, and pressing it takes it away.
  await forAnn.hover();
  await actionsOf(forAnn).click();
  await expect(menu(ann).getByRole('button', { name: 'celebration' })).toHaveAttribute('aria-pressed', 'true');
  await menu(ann).getByRole('button', { name: 'celebration' }).click();
  for (const message of [forAnn, forBob, seen]) await expect(reaction(message, /^🎉/)).toHaveCount(0);
  await reaction(forAnn, /^👍/).click();
  await reaction(forBob, '👍, 1 reaction: you').click();
  for (const message of [forAnn, forBob, seen]) await expect(message.getByRole('group', { name: 'Reactions' })).toHaveCount(0);
  await late.page.reload();
  await late.isConnected();
  await expect(late.page.getByRole('group', { name: 'Reactions' })).toHaveCount(0);
});

test('the keyboard stays with a reaction when another one comes before it', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  await ann.say('What do you think?');
  await choose(ann, 'What do', 'thumbs up');
  const message = row(ann, 'What do');
  await reaction(message, /^👍/).focus();
  // Each stands before those that were there.
  for (const [name, emoji] of [['celebration', '🎉'], ['heart', '❤️']] as const) {
    await choose(bob, 'What do', name);
    await expect(reaction(message, `${emoji}, 1 reaction: Bob`)).toBeVisible();
    await expect(reaction(message, '👍, 1 reaction: you')).toBeFocused();
  }
  await expect(message.locator('.reaction')).toHaveText([/❤️/, /🎉/, /👍/]);
  await choose(bob, 'What do', 'thumbs up');
  await expect(reaction(message, '👍, 2 reactions: you, Bob')).toBeFocused();
  await ann.page.keyboard.press('Enter');
  await expect(reaction(message, '👍, 1 reaction: Bob')).toBeFocused();
  await choose(bob, 'What do', 'celebration');
  await expect(message.locator('.reaction')).toHaveText([/❤️/, /👍/]);
  await expect(reaction(message, '👍, 1 reaction: Bob')).toBeFocused();
});

test('sockets that drop in the middle of changes lose none of them and keep their order', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('from Bob');
  const drops = await dropping(page, /"(send|edit|delete|react)"/, 4);
  const ann = await Room.open(page, name);
  for (const text of ['first', 'second', 'third']) await ann.say(text);
  await choose(ann, 'first', 'Edit');
  await ann.composer.fill('first, edited');
  await ann.composer.press('Enter');
  await choose(ann, 'from Bob', 'thumbs up');
  await ann.composer.fill('fourth');
  await ann.composer.press('Enter');
  await choose(ann, 'second', 'Delete');
  await question(ann).getByRole('button', { name: 'Delete' }).click();
  await choose(ann, 'first, edited', 'Edit');
  await ann.composer.fill('first, edited twice');
  await ann.composer.press('Enter');
  const texts = ['from Bob', 'first, edited twice', 'Message deleted', 'third', 'fourth'];
  await ann.shows(...texts);
  await expect(page.locator('.changing, .pending')).toHaveCount(0, { timeout: 30_000 });
  expect(drops()).toBeGreaterThan(2);
  await bob.shows(...texts);
  await expect(bob.page.getByRole('button', { name: /^👍, 1 reaction/ })).toBeVisible();
  await page.reload();
  await ann.shows(...texts);
});

test('what could not be changed yet shows, survives a reload and is done then', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await ann.say('one');
  await ann.say('two');
  await bob.shows('one', 'two');
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  await ann.composer.press('ArrowUp');
  await ann.composer.fill('two, edited');
  await ann.composer.press('Enter');
  await ann.shows('one', 'two, edited');
  await expect(row(ann, 'two, edited')).toHaveClass(/changing/);
  await choose(ann, 'one', 'thanks');
  await expect(reaction(row(ann, 'one'), /^🙏, 1 reaction: you$/)).toBeVisible();
  await bob.shows('one', 'two');
  await page.reload();
  await ann.isConnected();
  await ann.shows('one', 'two, edited');
  await bob.shows('one', 'two, edited');
  await expect(reaction(row(bob, 'one'), /^🙏/)).toBeVisible();
  await expect(page.locator('.changing')).toHaveCount(0);
});

test('what the server refuses is said beside the composer, and an edited text is offered again', async ({ page }) => {
  const name = freshRoom();
  let refuses = true;
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      const { id, ...command } = JSON.parse(message.toString()) as { id: number; edit?: unknown; delete?: unknown; react?: unknown };
      if (refuses && (command.edit ?? command.delete ?? command.react)) {
        socket.send(JSON.stringify({ id, error: { code: 'forbidden', message: 'no changes today', retry_after_ms: null } }));
      } else {
        server.send(message);
      }
    });
  });
  const room = await Room.open(page, name);
  const problem = page.getByRole('alert');
  await room.say('said');
  await choose(room, 'said', 'thumbs up');
  await expect(problem).toHaveText('Not changed: no changes today');
  await expect(page.getByRole('group', { name: 'Reactions' })).toHaveCount(0);
  await choose(room, 'said', 'Delete');
  await question(room).getByRole('button', { name: 'Delete' }).click();
  await expect(problem).toHaveText('Not deleted: no changes today');
  await room.shows('said');
  await room.composer.fill('a draft');
  await expect(problem).toHaveCount(0);
  await choose(room, 'said', 'Edit');
  await room.composer.fill('said differently');
  await room.composer.press('Enter');
  await room.shows('said');
  await page.getByRole('button', { name: 'Edit again' }).click();
  await expect(problem).toHaveText('Your edit was not saved: no changes today');
  await expect(editing(room)).toBeVisible();
  await expect(room.composer).toHaveValue('said differently');
  await axe(page);
  refuses = false;
  await room.composer.press('Enter');
  await room.shows('said differently');
  await expect(problem).toHaveCount(0);
  await expect(room.composer).toHaveValue('a draft');
});

test('too many changes at once are made a little later', async ({ page }) => {
  const server = await Server.start({ env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '2' } });
  const room = await Room.open(page, freshRoom(), server.url);
  await room.say('0');
  for (let edit = 1; edit <= 14; edit += 1) {
    await room.composer.press('ArrowUp');
    await expect(room.composer).toHaveValue(String(edit - 1));
    await room.composer.fill(String(edit));
    await room.composer.press('Enter');
  }
  await expect(page.locator('.changing')).toHaveCount(0, { timeout: 30_000 });
  await room.shows('14');
  await page.reload();
  await room.shows('14');
});

test('everything is done with the keyboard alone', async ({ browser, baseURL }) => {
  const { ann, bob } = await annAndBob(browser, baseURL!);
  const keys = ann.page.keyboard;
  await ann.say('one');
  await bob.say('two');
  await ann.say('three');
  await ann.shows('one', 'two', 'three');
  await expect(ann.composer).toBeFocused();
  // One stop for Tab, the last message; arrows lead on from there.
  await keys.press('Shift+Tab');
  await expect(actionsOf(row(ann, 'three'))).toBeFocused();
  await keys.press('ArrowUp');
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();
  await keys.press('ArrowUp');
  await keys.press('ArrowUp');
  await expect(actionsOf(row(ann, 'one'))).toBeFocused();
  await keys.press('ArrowDown');
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();

  // The menu has the keyboard, and gives it back.
  await keys.press('Enter');
  await expect(menu(ann).getByRole('button', { name: 'thumbs up' })).toBeFocused();
  await axe(ann.page);
  await keys.press('Escape');
  await expect(menu(ann)).toBeHidden();
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();
  await keys.press('Space');
  await expect(menu(ann).getByRole('button', { name: 'thumbs up' })).toBeFocused();
  await keys.press('ArrowRight');
  await expect(menu(ann).getByRole('button', { name: 'heart' })).toBeFocused();
  await keys.press('ArrowLeft');
  await keys.press('ArrowLeft');
  await expect(menu(ann).getByRole('button', { name: 'Mark unread from here' })).toBeFocused();
  await keys.press('ArrowLeft');
  await expect(menu(ann).getByRole('button', { name: 'looking' })).toBeFocused();
  await keys.press('Enter');
  await expect(menu(ann)).toBeHidden();
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();
  await expect(reaction(row(bob, 'two'), '👀, 1 reaction: Ann')).toBeVisible();

  // The reaction stands before the button; when it goes, the keyboard stays in the row.
  await keys.press('Shift+Tab');
  await expect(reaction(row(ann, 'two'), /^👀/)).toBeFocused();
  await keys.press('Enter');
  await expect(reaction(row(ann, 'two'), /^👀/)).toHaveCount(0);
  await expect(actionsOf(row(ann, 'two'))).toBeFocused();

  // Edit.
  const inMenu = () => expect(menu(ann).getByRole('button', { name: 'thumbs up' })).toBeFocused();
  await keys.press('ArrowUp');
  await keys.press('Enter');
  await inMenu();
  await keys.press('ArrowLeft');
  await keys.press('ArrowLeft');
  await expect(menu(ann).getByRole('button', { name: 'Edit' })).toBeFocused();
  await keys.press('Enter');
  await expect(ann.composer).toBeFocused();
  await keys.press('End');
  await keys.type(', edited');
  await keys.press('Enter');
  await bob.shows('one, edited', 'two', 'three');

  // Delete.
  await keys.press('Shift+Tab');
  await keys.press('Enter');
  await inMenu();
  await keys.press('ArrowLeft');
  await expect(menu(ann).getByRole('button', { name: 'Delete' })).toBeFocused();
  await keys.press('Enter');
  await expect(question(ann).getByRole('button', { name: 'Cancel' })).toBeFocused();
  await keys.press('Escape');
  await expect(question(ann)).toBeHidden();
  await expect(actionsOf(row(ann, 'three'))).toBeFocused();
  await keys.press('Enter');
  await inMenu();
  await keys.press('ArrowLeft');
  await keys.press('Enter');
  await expect(question(ann).getByRole('button', { name: 'Cancel' })).toBeFocused();
  await keys.press('Tab');
  await keys.press('Enter');
  await bob.shows('one, edited', 'two', 'Message deleted');
});

test('what is changed further up moves nothing for a reader, and is not news', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  await ann.say('short');
  await page.goto('/');
  await fill(page, name, Array.from({ length: 45 }, (_, i) => `message ${i + 1}`));
  const bob = await Room.open(page, name);
  await bob.scrollUp(600);
  await expect(bob.jump).toHaveText('Jump to latest');
  const anchor = bob.messages.filter({ hasText: /message 28$/ });
  await expect(anchor).toBeInViewport();
  const before = (await anchor.boundingBox())!;
  const isInPlace = async () => {
    const now = (await anchor.boundingBox())!;
    expect(Math.abs(now.y - before.y)).toBeLessThanOrEqual(1);
  };
  const first = bob.messages.first();
  const height = async () => (await first.boundingBox())!.height;
  const low = await height();
  await ann.scrollToTop();
  await choose(ann, 'short', 'Edit');
  await ann.composer.fill('a\nmuch\nlonger\ntext');
  await ann.composer.press('Enter');
  await expect(first).toContainText('longer');
  expect(await height()).toBeGreaterThan(low + 40);
  await isInPlace();
  await choose(ann, 'longer', 'thumbs up');
  await expect(reaction(first, /^👍/)).toBeAttached();
  await isInPlace();
  await choose(ann, 'longer', 'Delete');
  await question(ann).getByRole('button', { name: 'Delete' }).click();
  await expect(first).toContainText('Message deleted');
  await isInPlace();
  await expect(bob.jump).toHaveText('Jump to latest');
});

test('in the past too a message is shown as it is, after a time of which too much is missing', async ({ browser, page }) => {
  const server = await Server.start({
    env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0', CONFAB_STORE__DURABILITY: 'process', CONFAB_LIMITS__BACKLOG_BYTES: '0' },
  });
  const name = freshRoom();
  const many = (count: number) => Array.from({ length: count }, (_, i) => `message ${i + 1}`);
  const ann = await Room.openAs(browser, 'Ann', name, server.url);
  await ann.say('as it was');
  const other = await (await browser.newContext()).newPage();
  await other.goto(server.url);
  await fill(other, name, many(600));
  const bob = await Room.open(page, name, server.url);
  const asItWas = bob.log.getByText('as it was');
  while ((await asItWas.count()) === 0) {
    const first = (await bob.texts())[0]!;
    await bob.scrollToTop();
    await expect(bob.log.locator('.text').first()).not.toHaveText(first);
  }
  await bob.scrollToTop();
  await expect(bob.log.getByRole('link', { name: 'Later messages' })).toBeAttached();
  const shown = (await bob.texts()).length;
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  await command(ann.page, name, 'edit', [{ text: 'as it is' }]);
  // More than the answer to a join has.
  await fill(other, name, Array.from({ length: 700 }, () => 'x'.repeat(1_000)));
  await page.getByRole('button', { name: 'Connect' }).click();
  await bob.isConnected();
  await expect(bob.log.locator('.text').first()).toHaveText('as it is');
  await expect(row(bob, 'as it is').getByText('(edited)')).toBeVisible();
  expect((await bob.texts()).length).toBe(shown);
});

test('a room without history has no such actions, and pages of the past have them all', async ({ page }) => {
  const server = await Server.start({ env: { CONFAB_ROOMS: '[{"match":"passing*","history":"none"},{"match":"*"}]' } });
  const passing = await Room.open(page, 'passing', server.url);
  await passing.say('not kept');
  await passing.shows('not kept');
  await passing.messages.first().hover();
  await expect(page.getByRole('button', { name: 'Message actions' })).toHaveCount(0);
  await passing.composer.press('ArrowUp');
  await expect(editing(passing)).toHaveCount(0);

  const kept = await Room.open(page, 'kept', server.url);
  for (const text of ['one', 'two']) await kept.say(text);
  await choose(kept, 'one', 'thumbs up');
  await expect(reaction(row(kept, 'one'), /^👍/)).toBeEnabled();
  await page.goto(`${server.url}/room/kept/?before=2`);
  await kept.shows('one');
  await choose(kept, 'one', 'heart');
  await expect(reaction(row(kept, 'one'), /^❤️/)).toBeEnabled();
  await expect(page.locator('.changing')).toHaveCount(0);
  await axe(page);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`on a phone everything is within reach of a finger (${colorScheme})`, async ({ browser, baseURL }) => {
    const context = await browser.newContext({
      baseURL: baseURL!,
      viewport: { width: 320, height: 640 },
      hasTouch: true,
      isMobile: true,
      colorScheme,
    });
    const page = await context.newPage();
    const name = freshRoom();
    const room = await Room.open(page, name);
    const say = async (text: string) => {
      await room.composer.fill(text);
      await room.send.tap();
      await expect(page.locator('.message.pending')).toHaveCount(0);
    };
    await say('👩‍👩‍👧‍👦'.repeat(60));
    await say('one '.repeat(30));
    const message = room.messages.last();
    const button = actionsOf(message);
    await expect(button).toBeVisible();
    const box = (await button.boundingBox())!;
    expect(box.width).toBeGreaterThanOrEqual(43);
    expect(box.height).toBeGreaterThanOrEqual(35);
    await button.tap();
    await expect(menu(room)).toBeInViewport({ ratio: 1 });
    // Who has a menu open at the end is still there.
    await page.locator('.log').dispatchEvent('scroll');
    await expect(page.getByRole('button', { name: /^Jump to latest/ })).toHaveCount(0);
    await axe(page);
    await menu(room).getByRole('button', { name: 'celebration' }).tap();
    await reaction(message, '🎉, 1 reaction: you').tap();
    await expect(reaction(message, /^🎉/)).toHaveCount(0);
    await button.tap();
    await menu(room).getByRole('button', { name: 'Edit' }).tap();
    await room.composer.fill('edited by hand');
    await page.getByRole('button', { name: 'Save' }).tap();
    await expect(message).toContainText('edited by hand');
    await expect(message.getByText('(edited)')).toBeVisible();
    await button.tap();
    await menu(room).getByRole('button', { name: 'Delete' }).tap();
    await expect(question(room)).toBeInViewport({ ratio: 1 });
    await question(room).getByRole('button', { name: 'Delete' }).tap();
    await expect(message).toContainText('Message deleted');
    // The keyboard of the screen stays away.
    await expect(room.composer).not.toBeFocused();
    expect(await isTooWide(page)).toBe(false);
    await axe(page);
  });
}

for (const width of [320, 360]) {
  test(`on a phone ${width} px wide the button of a message does not stand upon what it says`, async ({ browser, baseURL }) => {
    const viewport = { width, height: 640 };
    const context = await browser.newContext({ baseURL: baseURL!, viewport, hasTouch: true, isMobile: true });
    const page = await context.newPage();
    await page.goto('/');
    await page.getByRole('button', { name: /^You are/ }).tap();
    await page.getByLabel('What others call you').fill('Somebody with a name that fills the line');
    await page.getByRole('button', { name: 'Save' }).tap();
    await expect(page.getByRole('button', { name: /^You are Somebody/ })).toBeVisible();
    const name = freshRoom();
    const room = await Room.open(page, name);
    // The first stands under the name, the second goes on; both are as wide as may be.
    for (const text of ['x'.repeat(100), 'y'.repeat(100)]) {
      await room.composer.fill(text);
      await room.send.tap();
      await expect(page.locator('.message.pending')).toHaveCount(0);
    }
    const words = Array.from({ length: 9 }, (_, i) => ({ emoji: `${'w'.repeat(29)}${i}`, on: true }));
    await command(page, name, 'react', words);
    await command(page, name, 'edit', [{ text: 'x'.repeat(120) }]);
    await expect(room.messages.first().getByText('(edited)')).toBeVisible();
    await expect(room.messages.first().locator('.reaction')).toHaveCount(9);
    for (const message of await room.messages.all()) {
      const act = (await actionsOf(message).boundingBox())!;
      expect(act.width).toBeGreaterThanOrEqual(44);
      expect(act.x + act.width).toBeLessThanOrEqual(width);
      for (const part of await message.locator('.text, .author, .edited, .reaction').all()) {
        const box = (await part.boundingBox())!;
        expect(box.x + box.width, await part.innerText()).toBeLessThanOrEqual(act.x);
      }
    }
  });
}

test('as many reactions as a message takes, and long ones, fit', async ({ browser, page }) => {
  const server = await Server.start({ env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '0' } });
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, server.url);
  await ann.say('Vote!');
  const bob = await Room.openAs(browser, 'Bob', name, server.url);
  // Words, which the menu does not have: each of the two puts as many as one person may.
  const words = Array.from({ length: 20 }, (_, i) => ({ emoji: `${'w'.repeat(30)}${i}`, on: true }));
  await command(ann.page, name, 'react', words.slice(0, 10));
  await command(bob.page, name, 'react', words.slice(10));
  await page.setViewportSize({ width: 320, height: 640 });
  const room = await Room.open(page, name, server.url);
  const buttons = room.messages.first().getByRole('group', { name: 'Reactions' }).getByRole('button');
  await expect(buttons).toHaveCount(20);
  expect(await isTooWide(page)).toBe(false);
  await axe(page);
  // One more is refused, which is said.
  await choose(room, 'Vote!', 'thumbs up');
  await expect(page.getByRole('alert')).toContainText('at most 20 different emoji');
  await expect(buttons).toHaveCount(20);
});
