// What a first visit costs: bytes by kind, and times where network and processor are slowed as on a cheap phone. Beside each page stands the
// same page without its program, which is what a static file would be. `cargo xtask bench first_visit` runs it; the machine should be idle.

import { type CDPSession, type Page, expect, test } from '@playwright/test';
import { Server } from '../tests/server.ts';
import { fill } from '../tests/room.ts';

/** How many messages the room has: as many as its page shows. */
const MESSAGES = 50;
/** Visits of each kind; the median of them is told. */
const VISITS = 5;
/** Visits that are looked at for jumps. */
const LOADS = Number(process.env.LOADS ?? 200);

type Slowness = { name: string; kbit?: number; latency?: number; slowdown: number };

/** As the developer tools of Chromium and as Lighthouse have them. */
const SLOWNESS: Slowness[] = [
  { name: 'as it is', slowdown: 1 },
  { name: 'Slow 4G, processor / 4', kbit: 1_600 * 0.9, latency: 562.5, slowdown: 4 },
  { name: 'Slow 3G, processor / 4', kbit: 400, latency: 2_000, slowdown: 4 },
];

type Visit = {
  /** Encoded bytes as they came, by kind. */
  bytes: Record<string, number>;
  /** Milliseconds since the visit began. */
  painted: number;
  alive: number;
  /** The longest task of the page, in milliseconds; 0 where none took 50. */
  longest: number;
  shift: number;
  /** Whether what one writes into was there when the page was first painted. */
  whole: boolean;
};

declare global {
  interface Window {
    seen: { longest: number; shift: number; alive: number; composer: number };
  }
}

/** Runs in the page, before all else. */
function watch(): void {
  const seen = { longest: 0, shift: 0, alive: 0, composer: 0 };
  window.seen = seen;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.longest = Math.max(seen.longest, entry.duration);
  }).observe({ type: 'longtask', buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.shift += (entry as PerformanceEntry & { value: number }).value;
  }).observe({ type: 'layout-shift', buffered: true });
  new MutationObserver(() => {
    if (document.querySelector('#text')) seen.composer ||= performance.now();
    if (document.querySelector('.alive')) seen.alive ||= performance.now();
  }).observe(document, { subtree: true, childList: true, attributes: true });
}

async function slow(client: CDPSession, { kbit, latency, slowdown }: Slowness): Promise<void> {
  const throughput = kbit === undefined ? -1 : (kbit * 1_000) / 8;
  await client.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: latency ?? 0,
    downloadThroughput: throughput,
    uploadThroughput: throughput,
  });
  await client.send('Emulation.setCPUThrottlingRate', { rate: slowdown });
}

/** Visits an address with nothing kept from before. */
async function visit(page: Page, address: string, slowness: Slowness, isRoom: boolean, hasProgram: boolean): Promise<Visit> {
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  await client.send('Network.setCacheDisabled', { cacheDisabled: true });
  const kinds = new Map<string, string>();
  const bytes: Record<string, number> = {};
  client.on('Network.responseReceived', ({ requestId, response }) => kinds.set(requestId, response.mimeType));
  client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const kind = kinds.get(requestId) ?? 'other';
    bytes[kind] = (bytes[kind] ?? 0) + encodedDataLength;
  });
  await slow(client, slowness);
  await page.goto(address, { waitUntil: 'load' });
  if (hasProgram && isRoom) {
    await page.waitForFunction(() => window.seen.alive > 0);
    await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  }
  const seen = await page.evaluate(async () => {
    // What was drawn last is looked at too.
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const [paint] = performance.getEntriesByName('first-contentful-paint');
    return { painted: paint?.startTime ?? 0, ...window.seen };
  });
  await client.detach();
  const whole = !isRoom || (seen.composer > 0 && seen.composer <= seen.painted);
  return { bytes, painted: seen.painted, alive: seen.alive, longest: seen.longest, shift: seen.shift, whole };
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const rounded = (ms: number) => Math.round(ms).toLocaleString('en');

test('a first visit', async ({ browser }) => {
  test.setTimeout(3_600_000);
  const server = await Server.start({ env: { CONFAB_LIMITS__CONNECTIONS_PER_ADDRESS: '0' } });
  const writer = await browser.newPage({ baseURL: server.url });
  await writer.goto('/');
  const texts = Array.from({ length: MESSAGES }, (_, n) => `Message ${n + 1}: tea is at four, and who comes brings what they like to eat.`);
  await fill(writer, 'first', texts);
  await writer.close();

  const anew = async <T>(hasProgram: boolean, use: (page: Page) => Promise<T>): Promise<T> => {
    const context = await browser.newContext({ baseURL: server.url });
    const page = await context.newPage();
    await page.addInitScript(watch);
    if (!hasProgram) await page.route(/\.(js|wasm)$/, (route) => route.abort());
    const got = await use(page);
    await context.close();
    return got;
  };

  console.log('\nbytes as they come, by kind (gzip or brotli, headers included)');
  for (const address of ['/', '/room/first/', '/search/']) {
    const { bytes } = await anew(true, (page) => visit(page, address, SLOWNESS[0]!, address.startsWith('/room'), true));
    const all = Object.values(bytes).reduce((sum, one) => sum + one, 0);
    const parts = Object.entries(bytes).map(([kind, one]) => `${kind} ${one.toLocaleString('en')}`);
    console.log(`${address.padEnd(14)} ${all.toLocaleString('en').padStart(9)}: ${parts.join(', ')}`);
  }

  console.log(`\na room with ${MESSAGES} messages, medians of ${VISITS} visits, in ms: painted, alive, longest task; without its program: painted`);
  for (const slowness of SLOWNESS) {
    const visits: Visit[] = [];
    const bare: Visit[] = [];
    for (let n = 0; n < VISITS; n += 1) {
      visits.push(await anew(true, (page) => visit(page, '/room/first/', slowness, true, true)));
      bare.push(await anew(false, (page) => visit(page, '/room/first/', slowness, true, false)));
    }
    const of = (key: 'painted' | 'alive' | 'longest', all = visits) => rounded(median(all.map((one) => one[key]))).padStart(7);
    expect(visits.every((one) => one.whole), 'the composer is there at the first paint').toBe(true);
    console.log(`${slowness.name.padEnd(24)} ${of('painted')} ${of('alive')} ${of('longest')}; ${of('painted', bare)}`);
  }

  const shifts: number[] = [];
  for (let n = 0; n < LOADS; n += 1) {
    const { shift } = await anew(true, (page) => visit(page, '/room/first/', { name: '', slowdown: 4 }, true, true));
    if (shift > 0) shifts.push(shift);
  }
  console.log(`\n${LOADS} loads with the processor / 4: ${shifts.length} with a layout shift ${shifts.map((one) => one.toFixed(4)).join(' ')}`);
  await server.dispose();
});
