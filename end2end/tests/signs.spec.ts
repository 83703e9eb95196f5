// What people take for one sign is asked of the browser on its side and of tables of our own on the server's: both say the same.

import { expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

/** One sign each. */
const SIGNS = ['a', 'é', 'e\u0301', '王', '🦀', '🇩🇪', '👩‍👩‍👧‍👦', '👍🏽', '❤️', '🏳️‍🌈', '\u1112\u1161\u11ab', '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}', 'क्ष'];

test('the sign that stands for a name is the same from the server and from the page', async ({ page }) => {
  const room = freshRoom();
  await page.goto('/');
  for (const sign of SIGNS) {
    const answer = await page.request.post('/me', { form: { name: `${sign}${sign}x`, next: '/' }, maxRedirects: 0 });
    expect(answer.status()).toBe(303);
    const html = await (await page.request.get(`/room/${room}/`)).text();
    const fromServer = /popovertarget="me"[^]*?class="avatar"[^>]*>([^<]*)</.exec(html)![1];
    const alive = await Room.open(page, room);
    const name = (await page.locator('.me .name').textContent())!;
    const first = await page.evaluate((name) => [...new Intl.Segmenter().segment(name)][0]!.segment, name);
    expect(name).toBe(`${first}${first}x`);
    expect(fromServer).toBe(first.toUpperCase());
    // The page renders its own row with the browser's means.
    await alive.say('hello');
    await expect(alive.messages.last().locator('.avatar')).toHaveText(first.toUpperCase());
  }
});
