import { expect, test } from './fixtures.ts';

test('the server says that it is well', async ({ request }) => {
  const answer = await request.get('/healthz');
  expect(answer.status()).toBe(200);
});
