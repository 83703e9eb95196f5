// Browser tests of the release build. One server is shared by all tests, which use rooms of their own; `Server` in
// tests/server.ts starts further ones. Files named *.noscript.spec.ts run with JavaScript off, those named *.bfcache.spec.ts in a browser
// that keeps pages for the way back, as people's browsers do and Playwright's does not.

import { defineConfig, devices } from '@playwright/test';
import { freePort, freshData } from './tests/process.ts';
import { CONFAB, serveArguments } from './tests/server.ts';

// The workers read this file again and must see the same server. Names that begin with CONFAB_ are settings of the server.
process.env.END2END_PORT ??= String(await freePort());
process.env.END2END_DATA ??= await freshData();
const port = Number(process.env.END2END_PORT);
const data = process.env.END2END_DATA;
const baseURL = `http://127.0.0.1:${port}`;
const quote = (word: string) => `'${word.replaceAll("'", String.raw`'\''`)}'`;

const launchOptions = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  globalTeardown: './tests/teardown.ts',
  forbidOnly: Boolean(process.env.CI),
  fullyParallel: true,
  workers: 2,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  // The second is read by `cargo xtask test`.
  reporter: [['list'], ['json', { outputFile: 'test-results/report.json' }]],

  use: {
    ...devices['Desktop Chrome'],
    baseURL,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions,
  },

  projects: [
    { name: 'chromium', testIgnore: ['**/*.noscript.spec.ts', '**/*.bfcache.spec.ts'] },
    { name: 'no-script', testMatch: '**/*.noscript.spec.ts', use: { javaScriptEnabled: false } },
    {
      name: 'kept-pages',
      testMatch: '**/*.bfcache.spec.ts',
      use: { launchOptions: { ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] } },
    },
  ],

  webServer: {
    // `exec`: the signal that ends it goes to the server and not to a shell.
    command: `exec ${[CONFAB, ...serveArguments(port, data)].map(quote).join(' ')}`,
    url: `${baseURL}/healthz`,
    reuseExistingServer: false,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 30_000,
    gracefulShutdown: { signal: 'SIGTERM', timeout: 10_000 },
  },
});
