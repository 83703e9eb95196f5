// Browser tests of the release build. One server is shared by all tests, which use rooms of their own; `Server` in
// tests/server.ts starts further ones. Files named *.noscript.spec.ts run with JavaScript off.

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
    launchOptions: {
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
    },
  },

  projects: [
    { name: 'chromium', testIgnore: '**/*.noscript.spec.ts' },
    { name: 'no-script', testMatch: '**/*.noscript.spec.ts', use: { javaScriptEnabled: false } },
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
