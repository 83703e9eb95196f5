// People of a Django project who are the same people here, by its own cookie: both are one site behind one nginx.

import type { Page } from '@playwright/test';
import { Site } from './django.ts';
import { axe, expect, test } from './fixtures.ts';
import { Room, freshRoom } from './room.ts';

/** They may use Django's own administration. */
const ANN = { username: 'ann', first_name: 'Ann', last_name: 'Lee', is_staff: true, is_superuser: true };

async function signIn(page: Page, password: string) {
  await page.getByLabel('Username').fill('ann');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

test('who signs in and out at Django is that person here, and is gone', async ({ page, context, problems }) => {
  // The project serves no style sheets and no picture of its own.
  problems.allow(/\/static\//, /\/favicon\.ico/);
  const site = await Site.start([ANN]);
  const name = freshRoom();
  const address = `${site.url}/room/${name}/`;
  await page.goto(address);
  await expect(page.getByRole('button', { name: /^You are/ })).toBeVisible();

  await page.goto(`${site.url}/admin/login/?next=/room/${name}/`);
  await signIn(page, 'first');
  await expect(page).toHaveURL(address);
  const room = new Room(page);
  await room.isConnected();
  await expect(page.getByRole('button', { name: /^You are Ann Lee/ })).toBeVisible();
  await room.say('by an account of the project');
  await expect(room.messages.filter({ hasText: 'by an account' }).getByText('@ann')).toBeVisible();

  const admin = await context.newPage();
  await admin.goto(`${site.url}/admin/`);
  await admin.getByRole('button', { name: 'Log out' }).click();
  await expect(admin.getByRole('heading', { name: 'Logged out' })).toBeVisible();
  // Requests at once; what is open within its time.
  expect(await (await context.request.get(address)).text()).not.toContain('You are Ann Lee');
  await expect(page.getByRole('status').filter({ hasText: 'You were signed out' })).toBeVisible({ timeout: 30_000 });
  await axe(page);

  // The way back in, to where one was.
  await page.getByRole('link', { name: /^Sign in on the site/ }).click();
  await expect(page).toHaveURL(/\/admin\/login\/\?next=/);
  await signIn(page, 'first');
  await expect(page).toHaveURL(address);
  await room.isConnected();
  await expect(page.getByRole('button', { name: /^You are Ann Lee/ })).toBeVisible();
  await room.shows('by an account of the project');
  await room.messages.getByRole('button', { name: 'Message actions' }).press('Enter');
  await expect(page.getByRole('button', { name: 'Edit' }), 'it is their own').toBeVisible();
  await page.keyboard.press('Escape');

  // Another password there is the end of it here.
  await site.django.tell([{ do: 'password', username: 'ann', new: 'second' }]);
  await expect(page.getByRole('status').filter({ hasText: 'You were signed out' })).toBeVisible({ timeout: 30_000 });
  await page.getByRole('link', { name: /^Sign in on the site/ }).click();
  await signIn(page, 'second');
  await expect(page).toHaveURL(address);
  await expect(page.getByRole('button', { name: /^You are Ann Lee/ })).toBeVisible();
});
