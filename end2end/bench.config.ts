// The benches of the browser: one page at a time.

import { defineConfig } from '@playwright/test';
import tests from './playwright.config.ts';

const { launchOptions } = tests.use ?? {};

export default defineConfig({
  testDir: 'benches',
  outputDir: 'test-results',
  workers: 1,
  retries: 0,
  reporter: 'list',
  use: { launchOptions, viewport: { width: 412, height: 823 } },
});
