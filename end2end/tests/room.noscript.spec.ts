// With JavaScript off a room can be read and written in.

import { expect, test } from './fixtures.ts';

test('messages are readable, and a form sends', async ({ page }) => {
  const name = `noscript-${process.pid}-${Date.now()}`;
  await page.goto(`/room/${name}/`);
  await expect(page.getByText('Nothing has been said here yet')).toBeVisible();
  const log = page.getByRole('log').getByRole('listitem');
  for (const text of ['Hello from a form', 'two\nlines & <b>no markup</b>']) {
    await page.getByRole('textbox', { name: /^Message/ }).fill(text);
    await page.getByRole('button', { name: 'Send' }).click();
    await expect(log.last()).toContainText(text.split('\n')[0]!);
  }
  await expect(log).toHaveCount(2);
  await expect(page).toHaveURL(new RegExp(`/room/${name}/$`));
  await expect(page.getByRole('log').locator('.text').last()).toHaveText('two\nlines & <b>no markup</b>');
  await page.reload();
  await expect(log).toHaveCount(2);
});

test('somebody can take a name, and the room opens at its end', async ({ page }) => {
  const name = `noscript-${process.pid}-${Date.now()}-end`;
  await page.goto(`/room/${name}/`);
  await page.getByRole('button', { name: /^You are/ }).click();
  await page.getByLabel('What others call you').fill('Zoë');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page).toHaveURL(new RegExp(`/room/${name}/$`));
  for (let i = 1; i <= 55; i += 1) {
    const key = `${name}-${i}`.slice(0, 64);
    const response = await page.request.post(`/room/${name}/`, { form: { key, text: `message ${i}` }, maxRedirects: 0 });
    expect(response.status()).toBe(303);
  }
  await page.goto(`/room/${name}/`);
  const log = page.getByRole('log').getByRole('listitem');
  await expect(log).toHaveCount(50);
  await expect(log.last()).toContainText('message 55');
  await expect(log.last()).toBeInViewport({ ratio: 1 });
  await expect(log.last()).toContainText('Zoë');
  await page.getByRole('link', { name: 'Earlier messages' }).click();
  await expect(log).toHaveCount(5);
  await expect(log.first()).toContainText('message 1');
  await page.getByRole('link', { name: 'Later messages' }).click();
  await expect(log).toHaveCount(50);
  await expect(log.first()).toContainText('message 6');
  await expect(log.first()).toBeInViewport({ ratio: 1 });
  await expect(page.getByRole('link', { name: 'Later messages' })).toHaveCount(0);
  // These are the newest, as on the room's own page.
  await expect(page.getByRole('link', { name: 'Go to the latest' })).toHaveCount(0);
  await page.getByRole('link', { name: 'Earlier messages' }).click();
  await page.getByRole('link', { name: 'Go to the latest' }).click();
  await expect(page).toHaveURL(new RegExp(`/room/${name}/$`));
  await expect(log).toHaveCount(50);
  await expect(page.getByRole('button', { name: /here$/ })).toHaveCount(0);
});
