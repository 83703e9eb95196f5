// Who gives up who they are leaves nothing of it in the browser.

import { expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

test('who is signed out is somebody new in all tabs, and nothing that was written is left', async ({ page, context }) => {
  const name = freshRoom();
  const one = await Room.open(page, name);
  const other = await Room.open(await context.newPage(), name);
  const tabs = [one, other];
  const you = (room: Room) => room.page.getByRole('button', { name: /^You are/ });
  const before = await you(one).innerText();
  for (const tab of tabs) await tab.composer.fill('between us');
  const answer = await context.request.post('/me', { form: { forget: 'yes', next: '/' } });
  expect(answer.ok()).toBe(true);
  for (const tab of tabs) {
    await expect(you(tab)).not.toHaveText(before);
    await tab.isConnected();
    await expect(tab.composer).toHaveValue('');
    const kept = await tab.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    expect(kept).not.toContain('between us');
  }
  // Whoever they are now can talk.
  await one.say('hello');
  await other.shows('hello');
});
