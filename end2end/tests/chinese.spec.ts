// The pages in Chinese, as somebody reads them whose browser asks for it: no words in Latin letters but a few, on pages and in the states that
// come about there; what assistive programs find; and that another choice is kept.

import { Server, axe, expect, test } from './fixtures.ts';
import type { Page } from '@playwright/test';

test.use({ locale: 'zh-CN', timezoneId: 'Asia/Shanghai' });

// What is called so, keys of a keyboard, the room that is suggested, and what those of the tests are called.
const LATIN = ['Confab', 'English', 'UTC', 'Enter', 'Shift', 'Escape', 'general', 'daily', 'build'];

/** What is shown or read out in Latin letters: text, names and hints of what can be seen. */
async function latin(page: Page): Promise<string[]> {
  const texts = await page.evaluate(() => {
    const found: string[] = [document.title];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const element = node instanceof Element ? node : node.parentElement!;
      if (element.closest('script, style, code, .version')) continue;
      if (node instanceof Element) {
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) found.push(node.getAttribute(name) ?? '');
      } else found.push(node.textContent ?? '');
    }
    return found;
  });
  // A guest who has not said how to be called is called so to everybody.
  const unnamed = /Guest( [0-9a-f]+)?/g;
  const words = texts.flatMap((text) => text.replace(unnamed, '').match(/[A-Za-z]{2,}/g) ?? []);
  return [...new Set(words.filter((word) => !LATIN.includes(word)))];
}

async function isChinese(page: Page) {
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  expect(await latin(page)).toEqual([]);
  await axe(page);
}

test('a room is in Chinese in all of its states', async ({ page, context, problems }) => {
  problems.allow(/403|404|422/);
  const server = await Server.start();
  const room = `${server.url}/room/daily/`;
  await page.goto(room);
  await expect(page.getByText('已连接', { exact: true })).toBeVisible();
  await expect(page.getByText('还没有消息。发出第一条吧。')).toBeVisible();
  await isChinese(page);

  // What is said, edited, answered with a reaction, and taken back.
  const composer = page.getByRole('textbox', { name: /^发送到/ });
  await composer.fill('大家好');
  await composer.press('Enter');
  const row = page.locator('.message', { hasText: '大家好' });
  await expect(row.locator('time')).toHaveAttribute('title', /^\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d:\d\d$/);
  await row.getByRole('button', { name: '消息操作' }).click();
  await isChinese(page);
  await page.getByRole('button', { name: '赞' }).click();
  await expect(page.getByRole('button', { name: '👍，1 个回应：你' })).toBeVisible();
  await row.getByRole('button', { name: '消息操作' }).click();
  await page.getByRole('button', { name: '编辑' }).click();
  await expect(page.getByText('Enter 保存，Escape 留待以后')).toBeVisible();
  await isChinese(page);
  await composer.fill('大家早上好');
  await composer.press('Enter');
  await expect(page.getByText('（已编辑）')).toBeVisible();
  await page.locator('.message').last().getByRole('button', { name: '消息操作' }).click();
  await page.getByRole('button', { name: '撤回' }).click();
  await expect(page.getByRole('heading', { name: '撤回这条消息？' })).toBeVisible();
  await isChinese(page);
  await page.getByRole('dialog').getByRole('button', { name: '撤回' }).click();
  await expect(page.getByText('消息已撤回')).toBeVisible();
  await isChinese(page);

  // Somebody else is there and writes.
  const other = await context.browser()!.newContext({ locale: 'zh-CN' });
  const theirs = await other.newPage();
  await theirs.goto(room);
  await expect(theirs.getByText('已连接', { exact: true })).toBeVisible();
  await theirs.getByRole('textbox', { name: /^发送到/ }).pressSequentially('你好');
  await expect(page.getByText('正在输入……')).toBeVisible();
  await isChinese(page);
  await other.close();

  // The list of people, one's own menu, and a connection that is closed.
  await page.getByRole('button', { name: '在线' }).click();
  await isChinese(page);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^你是/ }).click();
  await isChinese(page);
  await page.keyboard.press('Escape');
});

test('the list of rooms, searches and errors are in Chinese', async ({ page, problems }) => {
  problems.allow(/403|404|422/);
  const server = await Server.start();
  for (const path of ['/', '/?group=999', '/room/?group=%21', '/search/', '/search/?q=%E6%B2%A1%E6%9C%89', '/nothing']) {
    await page.goto(server.url + path);
    await isChinese(page);
  }
});

test('another language is chosen in the menu of a page and is kept', async ({ page }) => {
  await page.goto('/room/daily/');
  await page.getByRole('button', { name: /^你是/ }).click();
  await page.getByRole('button', { name: 'English' }).click();
  await expect(page).toHaveURL(/\/room\/daily\/$/);
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  for (const path of ['/', '/login']) {
    await page.goto(path);
    await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  }
  await page.getByRole('button', { name: '简体中文' }).click();
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await expect(page.getByRole('button', { name: '登录' })).toBeVisible();
});
