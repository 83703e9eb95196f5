// What each page loads: the program, which is the same for all, and the page itself, in bytes as they come. What they are made of stands in
// docs/performance.md.

import { expect, test } from './fixtures.ts';
import { fill } from './room.ts';

/** The most that the program of a page may come to: WebAssembly, JavaScript and styles, without the heads of the answers. */
const PROGRAM = 235_000;
/** The most that each page may come to, which for a room is one with fifty messages. */
const PAGES: Record<string, number> = { '/': 8_000, '/room/budget/': 12_000, '/search/': 4_000 };

for (const [address, most] of Object.entries(PAGES)) {
  test(`${address} loads no more than it may`, async ({ page }) => {
    await page.goto('/');
    await fill(page, 'budget', Array.from({ length: 50 }, (_, n) => `Message ${n + 1}: tea is at four, and who comes brings what they like to eat.`));
    await page.goto('about:blank');
    await page.goto(address);
    // The last of what is loaded makes the page alive.
    await page.waitForFunction(() => performance.getEntriesByType('resource').some((entry) => entry.name.endsWith('.wasm') && (entry as PerformanceResourceTiming).responseEnd > 0));
    const loaded = await page.evaluate(() => {
      const bytes = (entries: PerformanceEntryList) => entries.reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0);
      const program = performance.getEntriesByType('resource').filter(({ name }) => /\.(wasm|js|css)$/.test(name));
      return { program: bytes(program), kinds: program.length, page: bytes(performance.getEntriesByType('navigation')) };
    });
    expect(loaded.kinds).toBe(3);
    expect(loaded.program).toBeGreaterThan(0);
    expect(loaded.program).toBeLessThanOrEqual(PROGRAM);
    expect(loaded.page).toBeGreaterThan(0);
    expect(loaded.page).toBeLessThanOrEqual(most);
  });
}
