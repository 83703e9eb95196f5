// The `test` of all specs. A console error, an exception or a failed request on any page of any context fails the test that
// caused it, unless `problems.allow` expects it. Programs that a test started are ended after it.

import AxeBuilder from '@axe-core/playwright';
import { type BrowserContext, type Page, test as base, expect } from '@playwright/test';
import { Problems } from './problems.ts';
import { Program } from './process.ts';
import { Server } from './server.ts';

export { expect, Server };

type Fixtures = {
  /** What the pages of this test have got wrong so far. */
  problems: Problems;
  /** Ends the programs that this test started; shows what they printed when it failed. */
  programs: void;
};

// Fixtures are torn down in the reverse of the order in which they need each other: first the pages are closed, then their
// problems are looked at, and then the programs are ended.
export const test = base.extend<Fixtures>({
  programs: [
    // Playwright wants the braces: it reads from them what a fixture needs.
    async ({}, use, testInfo) => {
      await use();
      for (const program of Program.all) {
        await program.dispose();
        if (testInfo.status !== testInfo.expectedStatus) {
          await testInfo.attach(`program on port ${program.port}`, { body: program.log, contentType: 'text/plain' });
        }
      }
    },
    { auto: true },
  ],

  problems: [
    async ({ browser, programs }, use) => {
      void programs;
      const problems = new Problems();
      const watch = (context: BrowserContext) => problems.watch(context);
      browser.on('context', watch);
      await use(problems);
      browser.off('context', watch);
      // Those that the test opened for other people and left open.
      for (const context of browser.contexts()) await context.close();
      expect.soft(problems.unexpected, 'problems on the pages of this test').toEqual([]);
    },
    { auto: true },
  ],
});

/**
 * Fails when axe finds anything wrong with the page as it is now, or with the parts of it that `include` selects.
 *
 * What fades in is looked at when it is all there: half faded in, its text has half the contrast.
 */
export async function axe(page: Page, include: string[] = []): Promise<void> {
  await page.evaluate(async () => {
    // A button that fades in late starts while others are waited for, so the page is asked until nothing moves.
    const moving = () => document.getAnimations().filter((one) => one.playState === 'running');
    for (let some = moving(); some.length > 0; some = moving()) await Promise.allSettled(some.map((one) => one.finished));
  });
  const builder = new AxeBuilder({ page });
  for (const part of include) builder.include(part);
  const { violations } = await builder.analyze();
  const found = violations.map(({ id, help, nodes }) => ({ id, help, at: nodes.map((node) => node.html) }));
  expect(found, 'what axe finds').toEqual([]);
}
