// Windows that are short: on its side, with the keyboard of a screen, at 400 %. What is said comes first.

import { expect, test } from './fixtures.ts';
import { Room, fill, freshRoom } from './room.ts';

// At 400 % a window of 1,280 by 800 has 320 by 200 pixels of CSS.
for (const [width, height, rows] of [[1_000, 300, 3], [360, 320, 3], [320, 200, 1]] as const) {
  test(`in a window of ${width} by ${height} one reads and writes`, async ({ page }) => {
    const name = freshRoom();
    await page.setViewportSize({ width, height });
    await page.goto('/');
    await fill(page, name, Array.from({ length: 60 }, (_, n) => `message ${n + 1}`));
    const room = await Room.open(page, name);
    const whole = () =>
      room.log.evaluate((log) => {
        const { top, bottom } = log.getBoundingClientRect();
        const isWhole = ({ top: above, bottom: below }: DOMRect) => above >= top - 0.5 && below <= bottom + 0.5;
        return [...log.querySelectorAll('.message .text')].filter((text) => isWhole(text.getBoundingClientRect())).length;
      });
    expect(await whole()).toBeGreaterThanOrEqual(rows);
    await expect(room.messages.last().locator('.text')).toBeInViewport({ ratio: 1 });
    // A long draft leaves room for what it answers.
    await room.composer.fill('one\ntwo\nthree\nfour\nfive\nsix\nseven');
    await expect.poll(whole).toBeGreaterThanOrEqual(1);
    await expect(room.send).toBeInViewport({ ratio: 1 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });
}
