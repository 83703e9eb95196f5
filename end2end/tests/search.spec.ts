// Finding what was said.

import { Server, axe, expect, test } from './fixtures.ts';
import { fill, freshRoom } from './room.ts';
import type { Page } from '@playwright/test';

/** Opens the page of a search until it finds something: the index follows a moment behind. */
async function find(page: Page, address: string): Promise<void> {
  await expect(async () => {
    await page.goto(address);
    await expect(page.getByRole('main').getByRole('listitem').first()).toBeVisible({ timeout: 1 });
  }).toPass();
}

test('what was said in any room is found, and leads to its place', async ({ page }) => {
  const server = await Server.start();
  const [first, second] = [freshRoom(), freshRoom()];
  await page.goto(server.url);
  const texts = Array.from({ length: 60 }, (_, i) => (i === 29 ? 'Grüner Tee, 我们喝茶' : `message ${i + 1}`));
  await fill(page, first, texts);
  await fill(page, second, ['no tee here']);
  await find(page, `${server.url}/search/?q=tee&room=${second}`);
  await page.goto(server.url);
  await page.getByRole('searchbox', { name: 'Search all rooms' }).fill('TEE');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page).toHaveURL(`${server.url}/search/?q=TEE`);
  await expect(page).toHaveTitle('Search · Confab');
  const hits = page.getByRole('main').getByRole('listitem');
  await expect(hits).toHaveCount(2);
  await expect(page.getByRole('main').getByRole('status')).toHaveText('The 2 messages that fit best:');
  await expect(hits.locator('mark')).toHaveText([/^tee$/i, /^tee$/i]);
  await axe(page);
  await page.getByRole('searchbox', { name: 'Search all rooms' }).fill('喝茶');
  await page.getByRole('searchbox', { name: 'Search all rooms' }).press('Enter');
  await expect(hits).toHaveCount(1);
  await expect(hits.locator('mark')).toHaveText('喝茶');
  await hits.getByRole('link').click();
  await expect(page).toHaveURL(`${server.url}/room/${first}/?around=30#message-30`);
  const hit = page.getByRole('log').getByText('Grüner Tee');
  await expect(hit).toBeInViewport({ ratio: 1 });
  // What stands before it is in sight as well; and the room is as live here as at its end.
  await expect(page.getByText('message 29', { exact: true })).toBeInViewport({ ratio: 1 });
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  await axe(page);
  await page.getByRole('textbox', { name: /^Message/ }).fill('found it');
  await page.getByRole('textbox', { name: /^Message/ }).press('Enter');
  await expect(page.getByText('found it', { exact: true })).toBeInViewport();
});

test('a new name leads back to what was found', async ({ page }) => {
  await page.goto('/search/?q=a%20%26%20b');
  await page.getByRole('button', { name: /^You are/ }).click();
  await page.getByLabel('What others call you').fill('Zoë');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page).toHaveURL(/\/search\/\?q=a%20%26%20b$/);
  await expect(page.getByRole('searchbox', { name: 'Search all rooms' })).toHaveValue('a & b');
  await expect(page.getByRole('button', { name: 'You are Zoë' })).toBeVisible();
});

test.describe('far to the east', () => {
  test.use({ timezoneId: 'Pacific/Kiritimati' });

  test('the times of what was found are those of the reader', async ({ page }) => {
    const room = freshRoom();
    await page.goto('/');
    await fill(page, room, ['Sencha']);
    await find(page, `/search/?q=sencha&room=${room}`);
    const time = page.getByRole('main').getByRole('listitem').locator('time');
    const at = new Date((await time.getAttribute('datetime'))!);
    const reader = { timeZone: 'Pacific/Kiritimati', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    const clock = at.toLocaleTimeString('en-GB', reader);
    await expect(time).toHaveText(new RegExp(`^\\d+ \\w{3} \\d{4} ${clock}$`));
    await expect(time).toHaveAttribute('title', new RegExp(` ${clock}:\\d{2}$`));
  });
});

test('a room is searched from its bar', async ({ page }) => {
  const room = freshRoom();
  await page.goto('/');
  await fill(page, room, ['Café au lait', 'Darjeeling']);
  await find(page, `/search/?q=darjeeling&room=${room}`);
  await page.goto(`/room/${room}/`);
  await page.getByRole('link', { name: 'Search in this room' }).click();
  await expect(page).toHaveURL(new RegExp(`/search/\\?room=${room}$`));
  await expect(page.getByText('A message is found that has all words')).toBeVisible();
  await axe(page);
  const field = page.getByRole('searchbox', { name: `Search in ${room}` });
  await field.fill('cafe');
  await field.press('Enter');
  await expect(page.getByRole('main').getByRole('listitem')).toHaveText([/Café au lait/]);
  await expect(field).toHaveValue('cafe');
  await page.getByRole('link', { name: `Back to ${room}` }).click();
  await expect(page).toHaveURL(new RegExp(`/room/${room}/$`));
});

test('the way to the search is there on a phone, and the bar does not overflow', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 640 });
  await page.goto(`/room/${freshRoom()}/`);
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Search in this room' })).toBeInViewport({ ratio: 1 });
  await expect(page.getByRole('button', { name: /^You are/ })).toBeInViewport({ ratio: 1 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
});

test('a search that finds nothing or is too long says so', async ({ page, problems }) => {
  problems.allow(/status of 422/);
  await page.goto(`/search/?q=${freshRoom()}nowhere`);
  await expect(page.getByRole('main').getByRole('status')).toHaveText('Nothing was found.');
  await axe(page);
  await page.goto(`/search/?q=${'x'.repeat(257)}`);
  await expect(page.getByText('a search has at most 256')).toBeVisible();
  await expect(page.getByRole('searchbox')).toHaveAccessibleDescription(/at most 256/);
  await axe(page);
});
