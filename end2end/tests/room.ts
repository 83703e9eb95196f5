// A room as a person sees it: the parts of its page, by role, and a few things that people do there.

import { type Browser, type Locator, type Page, expect } from '@playwright/test';

let rooms = 0;

/** A name that no other test uses. */
export function freshRoom(): string {
  rooms += 1;
  return `room-${process.pid}-${Date.now()}-${rooms}`;
}

export class Room {
  readonly log: Locator;
  readonly messages: Locator;
  readonly composer: Locator;
  readonly send: Locator;
  readonly jump: Locator;

  constructor(readonly page: Page) {
    this.log = page.getByRole('log');
    this.messages = this.log.getByRole('listitem');
    this.composer = page.getByRole('textbox', { name: /^Message/ });
    this.send = page.getByRole('button', { name: 'Send' });
    this.jump = page.getByRole('button', { name: /^Jump to latest/ });
  }

  /** Opens the room in a page and waits until it is live. */
  static async open(page: Page, name: string, base = ''): Promise<Room> {
    await page.goto(`${base}/room/${name}/`);
    const room = new Room(page);
    await room.isConnected();
    return room;
  }

  /** Opens the room as somebody else: another browser context has other cookies. */
  static async openAs(browser: Browser, person: string, name: string, base: string): Promise<Room> {
    const context = await browser.newContext({ baseURL: base });
    const page = await context.newPage();
    await page.goto('/');
    await page.getByRole('button', { name: /^You are/ }).click();
    await page.getByLabel('What others call you').fill(person);
    await page.getByRole('button', { name: 'Save' }).click();
    return Room.open(page, name);
  }

  async isConnected(): Promise<void> {
    await expect(this.page.getByText('Connected', { exact: true })).toBeVisible();
  }

  /** Says something and waits until the server has accepted it. */
  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press('Enter');
    await expect(this.page.locator('.message.pending')).toHaveCount(0);
  }

  /** Scrolls to so many pixels above the end. */
  async scrollUp(pixels: number): Promise<void> {
    await this.log.evaluate((log, pixels) => (log.scrollTop = log.scrollHeight - log.clientHeight - pixels), pixels);
  }

  /** Scrolls to the beginning of what is shown. */
  async scrollToTop(): Promise<void> {
    await this.log.evaluate((log) => (log.scrollTop = 0));
  }

  /** The texts on the page, in their order. */
  texts(): Promise<string[]> {
    return this.log.locator('.text').allTextContents();
  }

  async shows(...texts: string[]): Promise<void> {
    await expect(this.log.locator('.text')).toHaveText(texts);
  }
}

/** Says something in each of these rooms, in their order, by their forms. */
export async function sayInEach(page: Page, base: string, rooms: string[]): Promise<void> {
  for (const room of rooms) {
    const answer = await page.request.post(`${base}/room/${room}/`, { form: { key: 'k', text: 'hello' }, maxRedirects: 0 });
    expect(answer.status()).toBe(303);
  }
}

/** Says many things over a plain socket, in order and fast, and waits until all have come back. */
export function fill(page: Page, room: string, texts: string[]): Promise<void> {
  return page.evaluate(
    ([room, texts]) =>
      new Promise<void>((resolve, reject) => {
        const socket = new WebSocket(`ws://${location.host}/room/${room}/`);
        let back = 0;
        socket.onopen = () => texts.forEach((text) => socket.send(text));
        socket.onmessage = () => {
          back += 1;
          if (back === texts.length) socket.close();
        };
        socket.onclose = (event) => (back === texts.length ? resolve() : reject(new Error(`closed: ${event.code} ${event.reason}`)));
      }),
    [room, texts] as const,
  );
}

/**
 * Has the sockets of the page's room drop at the commands that match: of each `every` of them one is lost, and of another only its
 * answer is. Gives how often that has happened so far.
 */
export async function dropping(page: Page, commands: RegExp, every: number): Promise<() => number> {
  let drops = 0;
  let asked = 0;
  await page.routeWebSocket(/\/ws\//, (socket) => {
    const server = socket.connectToServer();
    let alive = true;
    const drop = () => {
      alive = false;
      drops += 1;
      void server.close();
      void socket.close({ code: 4000, reason: 'dropped by the test' });
    };
    socket.onMessage((message) => {
      if (!alive) return;
      const counts = commands.test(message.toString());
      asked += counts ? 1 : 0;
      if (counts && asked % every === 0) return drop();
      server.send(message);
      if (counts && asked % every === Math.floor(every / 2)) drop();
    });
    server.onMessage((message) => {
      if (alive) socket.send(message);
    });
  });
  return () => drops;
}
