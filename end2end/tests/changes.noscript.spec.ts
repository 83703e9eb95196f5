// With JavaScript off, what was done to messages is shown, and nothing pretends that more can be done.

import { expect, test } from './fixtures.ts';
import { Room } from './room.ts';

test('what was edited, deleted and reacted to is shown', async ({ browser, page, baseURL }) => {
  const name = `noscript-changes-${process.pid}-${Date.now()}`;
  const context = await browser.newContext({ baseURL: baseURL!, javaScriptEnabled: true });
  const ann = await Room.open(await context.newPage(), name);
  for (const text of ['one', 'two', 'three']) await ann.say(text);
  const choose = async (text: string, action: string) => {
    const message = ann.messages.filter({ hasText: text });
    await message.hover();
    await message.getByRole('button', { name: 'Message actions' }).click();
    await ann.page.getByRole('group', { name: 'Message actions' }).getByRole('button', { name: action }).click();
  };
  await choose('one', 'Edit');
  await ann.composer.fill('one, edited');
  await ann.composer.press('Enter');
  await choose('two', 'Delete');
  await ann.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await choose('three', 'heart');
  await expect(ann.page.locator('.changing')).toHaveCount(0);

  const room = new Room(page);
  await page.goto(`/room/${name}/`);
  await room.shows('one, edited', 'Message deleted', 'three');
  await expect(room.messages.first().getByText('(edited)')).toBeVisible();
  await expect(room.messages.last().getByRole('button', { name: /^❤️, 1 reaction/ })).toBeDisabled();
  await expect(page.getByRole('button', { name: 'Message actions' })).toHaveCount(0);
});
