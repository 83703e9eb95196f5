// Two people in a room, from the first visit to what happens when the network or the server goes away.

import { Server, axe, expect, test } from './fixtures.ts';
import { Room, dropping, fill, freshRoom } from './room.ts';

test('the first visit is rendered by the server', async ({ page, request, baseURL }) => {
  const name = freshRoom();
  await page.goto('/');
  await fill(page, name, ['one', 'two', 'three']);
  const html = await (await request.get(`${baseURL}/room/${name}/`)).text();
  const markup = html.slice(html.indexOf('<ol'), html.indexOf('</ol>'));
  expect(['one', 'two', 'three'].map((text) => markup.indexOf(`>${text}<`)).every((at, i, all) => at > (all[i - 1] ?? 0))).toBe(true);
  const room = await Room.open(page, name);
  await room.shows('one', 'two', 'three');
});

test('what one says the other sees at once, both ways', async ({ browser, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.openAs(browser, 'Ann', name, baseURL!);
  const bob = await Room.openAs(browser, 'Bob 王', name, baseURL!);
  await ann.say('Hello Bob');
  await bob.shows('Hello Bob');
  await bob.say('Hello Ann');
  for (const room of [ann, bob]) {
    await room.shows('Hello Bob', 'Hello Ann');
    await expect(room.messages.nth(0)).toContainText('Ann');
    await expect(room.messages.nth(1)).toContainText('Bob 王');
  }
  await expect(ann.page.getByRole('status').getByText('Bob 王 (guest): Hello Ann')).toBeAttached();
  await axe(ann.page);
  await axe(bob.page);
});

test('an own message is there before the server has answered, once', async ({ page }) => {
  const name = freshRoom();
  const held: (() => void)[] = [];
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    // The answer to the message, and the message as it comes to everybody.
    const isHeld = (frame: string) => frame.includes('"ok":{"offset":') || frame.includes('"event":{"type":"message"');
    server.onMessage((message) => {
      if (isHeld(message.toString())) held.push(() => socket.send(message));
      else socket.send(message);
    });
  });
  const room = await Room.open(page, name);
  await room.composer.fill('Is this shown?');
  await room.composer.press('Enter');
  await room.shows('Is this shown?');
  await expect(page.locator('.message.pending')).toBeVisible();
  await expect.poll(() => held.length).toBe(2);
  held.forEach((pass) => pass());
  await expect(page.locator('.message.pending')).toHaveCount(0);
  await room.shows('Is this shown?');
});

test('a socket that drops in the middle neither loses nor doubles a message', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  const drops = await dropping(page, /"send"/, 7);
  const ann = await Room.open(page, name);
  const texts = Array.from({ length: 20 }, (_, i) => `message ${i + 1}`);
  for (const text of texts) {
    await ann.composer.fill(text);
    await ann.composer.press('Enter');
  }
  await expect(page.locator('.message.pending')).toHaveCount(0, { timeout: 30_000 });
  expect(drops()).toBeGreaterThan(1);
  await ann.shows(...texts);
  await bob.shows(...texts);
  await page.reload();
  await ann.shows(...texts);
});

test('what is said while a socket is down is there when it is back, once', async ({ browser, page, baseURL, problems }) => {
  problems.allow(/WebSocket connection to .* failed: .*ERR_INTERNET_DISCONNECTED/);
  const name = freshRoom();
  const sockets: { close: (options: { code: number }) => Promise<void> }[] = [];
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    sockets.push({
      close: async (options) => {
        // The page's end first: between the two it would say something into a socket that only looks open.
        await socket.close(options);
        await server.close();
      },
    });
  });
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await bob.say('before');
  await ann.shows('before');
  await page.context().setOffline(true);
  await sockets[0]!.close({ code: 4000 });
  await expect(page.getByText('Connecting…')).toBeVisible();
  for (const text of ['during 1', 'during 2', 'during 3']) await bob.say(text);
  await page.context().setOffline(false);
  await ann.isConnected();
  await ann.shows('before', 'during 1', 'during 2', 'during 3');
});

for (const how of ['kill', 'stop'] as const) {
  test(`a server that goes away (${how}) in the middle of sending loses and doubles nothing`, async ({ browser, problems }) => {
    problems.allow(/WebSocket connection to .* failed/);
    const server = await Server.start();
    const name = freshRoom();
    const ann = await Room.openAs(browser, 'Ann', name, server.url);
    const bob = await Room.openAs(browser, 'Bob', name, server.url);
    const texts = Array.from({ length: 30 }, (_, i) => `message ${i + 1}`);
    for (const [i, text] of texts.entries()) {
      await ann.composer.fill(text);
      await ann.composer.press('Enter');
      if (i === 14) {
        await server[how]();
        await expect(ann.page.getByText('Connecting…')).toBeVisible();
      }
      if (i === 20) await server.restart();
    }
    await expect(ann.page.locator('.message.pending')).toHaveCount(0, { timeout: 45_000 });
    await bob.isConnected();
    await ann.shows(...texts);
    await bob.shows(...texts);
    await bob.page.reload();
    await bob.shows(...texts);
  });
}

test('the connection can be closed and opened again', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  await bob.say('Ann does not see this');
  await ann.composer.fill('This waits');
  await ann.composer.press('Enter');
  await expect(page.locator('.message.pending')).toBeVisible();
  await ann.shows('This waits');
  await page.getByRole('button', { name: 'Connect' }).click();
  await ann.isConnected();
  await ann.shows('Ann does not see this', 'This waits');
  await bob.shows('Ann does not see this', 'This waits');
});

test('Enter sends, Shift+Enter does not, and neither does the Enter that ends a composition', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  await room.composer.focus();
  await page.keyboard.type('first');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second');
  await expect(room.composer).toHaveValue('first\nsecond');
  await expect(room.messages).toHaveCount(0);
  for (const init of [{ isComposing: true, keyCode: 13 }, { isComposing: false, keyCode: 229 }]) {
    await room.composer.evaluate((area, init) => {
      area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init }));
    }, init);
  }
  await expect(room.messages).toHaveCount(0);
  await page.keyboard.press('Enter');
  await room.shows('first\nsecond');
  await expect(room.composer).toHaveValue('');
  await expect(room.composer).toBeFocused();
  await room.composer.fill('   \n ');
  await page.keyboard.press('Enter');
  await expect(room.composer).toHaveValue('   \n ');
  await expect(room.messages).toHaveCount(1);
});

test('long, foreign and hostile texts are shown as they are', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, '<b>Bob</b>', name, baseURL!);
  const texts = [
    '<script>document.title = "broken"</script><img src=x onerror="document.title=\'broken\'">',
    '</script><!-- --></textarea>&amp;&lt;',
    'שלום, this is mixed עברית',
    'العربية فقط',
    '👩‍👩‍👧‍👦🏳️‍🌈 🦀 中文 日本語 한국어',
    'x'.repeat(3_000),
    'ä'.repeat(32_768),
  ];
  for (const text of texts) await bob.say(text);
  await ann.shows(...texts);
  await page.reload();
  await ann.isConnected();
  expect(await ann.texts()).toEqual(texts);
  // What is further down than the page has landed is counted.
  await expect(page).toHaveTitle(/^(\(\d+\) )?room-/);
  await expect(ann.messages.first()).toContainText('<b>Bob</b>');
  await expect(ann.log.locator('.text').nth(2)).toHaveCSS('direction', 'rtl');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  expect(wide).toBe(false);
});

test('a text over the bound is not sent and not lost', async ({ page }) => {
  const room = await Room.open(page, freshRoom());
  const text = 'x'.repeat(65_537);
  await room.composer.fill(text);
  await room.send.click();
  await expect(page.getByRole('alert')).toContainText('65537 bytes long; a message is at most 65536');
  await expect(room.composer).toHaveValue(text);
  await room.composer.fill(text.slice(1));
  await room.send.click();
  await room.shows(text.slice(1));
});

test('too many messages at once go out a little later, in their order', async ({ page }) => {
  const name = freshRoom();
  const server = await Server.start({ env: { CONFAB_LIMITS__MESSAGES_PER_SECOND: '5' } });
  const ann = await Room.open(page, name, server.url);
  const texts = Array.from({ length: 30 }, (_, i) => `message ${i + 1}`);
  for (const text of texts) {
    await ann.composer.fill(text);
    await ann.composer.press('Enter');
  }
  await expect(page.locator('.message.pending')).toHaveCount(0, { timeout: 30_000 });
  await ann.shows(...texts);
});

test('a draft survives a reload and is gone once sent', async ({ page }) => {
  const name = freshRoom();
  const room = await Room.open(page, name);
  await room.composer.fill('half a thought');
  await page.reload();
  await room.isConnected();
  await expect(room.composer).toHaveValue('half a thought');
  await room.composer.press('Enter');
  await room.shows('half a thought');
  await page.reload();
  await room.isConnected();
  await expect(room.composer).toHaveValue('');
});

test('what could not be sent yet survives a reload and is sent then, once', async ({ browser, page, baseURL }) => {
  const name = freshRoom();
  const ann = await Room.open(page, name);
  const bob = await Room.openAs(browser, 'Bob', name, baseURL!);
  await page.getByRole('button', { name: 'Close connection' }).click();
  await expect(page.getByText('Connection closed')).toBeVisible();
  for (const text of ['first', 'second']) {
    await ann.composer.fill(text);
    await ann.composer.press('Enter');
  }
  await ann.shows('first', 'second');
  await expect(bob.messages).toHaveCount(0);
  await page.reload();
  await ann.isConnected();
  await ann.shows('first', 'second');
  await bob.shows('first', 'second');
  await expect(page.locator('.message.pending')).toHaveCount(0);
  await page.reload();
  await ann.isConnected();
  await ann.shows('first', 'second');
  await bob.shows('first', 'second');
});

test('a room fits a phone, in both colour schemes', async ({ browser, baseURL }) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await browser.newContext({ baseURL: baseURL!, viewport: { width: 360, height: 640 }, colorScheme });
    const page = await context.newPage();
    const room = await Room.open(page, 'a-room-with-a-name-as-long-as-the-name-of-a-room-may-be-64-chars');
    await room.say('a word');
    await expect(room.send).toBeInViewport({ ratio: 1 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    expect(wide).toBe(false);
    await axe(page);
  }
});

test('an error that is about nothing the page has asked for stops nothing', async ({ page }) => {
  const strays: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'warning') strays.push(message.text());
  });
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      if (/"send"/.test(message.toString())) {
        const error = { code: 'rate_limited', message: 'a stray', retry_after_ms: 3_600_000 };
        for (const id of [1_000_000, null]) socket.send(JSON.stringify({ id, error }));
      }
      server.send(message);
    });
  });
  const room = await Room.open(page, freshRoom());
  for (const text of ['one', 'two']) await room.say(text);
  await room.shows('one', 'two');
  await expect(page.getByRole('alert')).toHaveCount(0);
  expect(strays.filter((text) => text.includes('a stray'))).toHaveLength(4);
});

test('a join that cannot be done now is tried again, and a refused one is said', async ({ page }) => {
  const refusals = [
    { code: 'unavailable', message: 'not now', retry_after_ms: 10 },
    { code: 'forbidden', message: 'not for you', retry_after_ms: null },
  ];
  let joins = 0;
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      const { id, join } = JSON.parse(message.toString()) as { id: number; join?: { topic: string } };
      const isRoom = join?.topic.startsWith('room/');
      const error = isRoom && refusals[joins];
      joins += isRoom ? 1 : 0;
      if (error) socket.send(JSON.stringify({ id, error }));
      else server.send(message);
    });
  });
  const room = await Room.open(page, freshRoom());
  await expect(page.getByRole('alert')).toHaveText('Not joined: not for you');
  expect(joins).toBe(2);
  await page.getByRole('button', { name: 'Close connection' }).click();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await room.say('here now');
  await room.shows('here now');
});
