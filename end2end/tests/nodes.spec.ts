// Two servers behind one Redis. Each has a store of its own, so what the other's people say is shown, where it came, and not
// kept.

import { Server, expect, test } from './fixtures.ts';
import { type Backend, Redis } from './redis.ts';
import { Room, freshRoom } from './room.ts';

const BACKENDS: Backend[] = ['channels_redis.core', 'channels_redis.pubsub'];

/** The texts of one person, in the order in which they stand. */
const saidBy = (room: Room, person: string) =>
  room.messages.filter({ has: room.page.getByText(person, { exact: true }) }).locator('.text');

/** Waits until both servers work and get what is sent to the room. */
async function together(servers: Server[], redis: Redis, room: string, backend: Backend): Promise<void> {
  for (const server of servers) await expect.poll(() => server.readiness()).toBe('ready\n');
  await expect.poll(() => redis.nodesIn(room, backend)).toBe(servers.length);
}

for (const backend of BACKENDS) {
  test.describe(backend, () => {
    for (const history of ['none', 'store']) {
      test(`two people on two servers talk with each other, history ${history}`, async ({ browser }) => {
        const redis = await Redis.start();
        const env = { ...redis.settings(backend), CONFAB_ROOMS: `[{"match": "*", "history": "${history}"}]` };
        const servers = [await Server.start({ env }), await Server.start({ env })] as const;
        const name = freshRoom();
        const ann = await Room.openAs(browser, 'Ann', name, servers[0].url);
        const bob = await Room.openAs(browser, 'Bob', name, servers[1].url);
        await together([...servers], redis, name, backend);

        await ann.say('Hello Bob');
        await bob.shows('Hello Bob');
        await bob.say('Hello Ann');
        await ann.shows('Hello Bob', 'Hello Ann');
        await ann.say('How are you?');
        await bob.shows('Hello Bob', 'Hello Ann', 'How are you?');
        await ann.shows('Hello Bob', 'Hello Ann', 'How are you?');
        for (const room of [ann, bob]) {
          for (const [i, person] of ['Ann', 'Bob', 'Ann'].entries()) {
            await expect(room.messages.nth(i)).toContainText(person);
            await expect(room.messages.nth(i).locator('time')).toHaveCount(1);
          }
        }
        // The one after the other, as fast as they go.
        const texts = Array.from({ length: 20 }, (_, i) => `message ${i + 1}`);
        for (const text of texts) {
          await ann.composer.fill(text);
          await ann.composer.press('Enter');
        }
        await bob.shows('Hello Bob', 'Hello Ann', 'How are you?', ...texts);
        await ann.shows('Hello Bob', 'Hello Ann', 'How are you?', ...texts);
      });
    }

    test('people stay connected and talk on when Redis is killed and comes back', async ({ browser }) => {
      const redis = await Redis.start();
      const env = redis.settings(backend);
      const servers = [await Server.start({ env }), await Server.start({ env })] as const;
      const name = freshRoom();
      const ann = await Room.openAs(browser, 'Ann', name, servers[0].url);
      const cleo = await Room.openAs(browser, 'Cleo', name, servers[0].url);
      const bob = await Room.openAs(browser, 'Bob', name, servers[1].url);
      const everybody = [ann, cleo, bob];
      await together([...servers], redis, name, backend);
      // A page whose connection is lost opens another one.
      let opened = 0;
      for (const room of everybody) room.page.on('websocket', () => (opened += 1));

      await ann.say('Ann before');
      await bob.say('Bob before');
      for (const room of everybody) {
        await expect(saidBy(room, 'Ann')).toHaveText(['Ann before']);
        await expect(saidBy(room, 'Bob')).toHaveText(['Bob before']);
      }

      await redis.kill();
      for (const server of servers) await expect.poll(() => server.readiness()).toContain('the channel layer is in trouble');
      await ann.say('Ann meanwhile');
      await bob.say('Bob meanwhile');
      await expect(saidBy(cleo, 'Ann')).toHaveText(['Ann before', 'Ann meanwhile']);
      await expect(saidBy(bob, 'Bob')).toHaveText(['Bob before', 'Bob meanwhile']);

      await redis.restart();
      await together([...servers], redis, name, backend);
      await ann.say('Ann after');
      await bob.say('Bob after');
      for (const room of [ann, cleo]) {
        await expect(saidBy(room, 'Ann')).toHaveText(['Ann before', 'Ann meanwhile', 'Ann after']);
        // What Bob said meanwhile is in the store of his server alone.
        await expect(saidBy(room, 'Bob')).toHaveText(['Bob before', 'Bob after']);
      }
      await expect(saidBy(bob, 'Bob')).toHaveText(['Bob before', 'Bob meanwhile', 'Bob after']);
      await expect(saidBy(bob, 'Ann')).toHaveText(['Ann before', 'Ann after']);
      for (const room of everybody) await room.isConnected();
      expect(opened).toBe(0);
    });
  });
}
