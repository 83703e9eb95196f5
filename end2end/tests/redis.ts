// A Redis of a test's own, for nodes that are one server together. It keeps nothing on the disk: what it has is lost with it.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Program, freePort, freshData } from './process.ts';

const execute = promisify(execFile);

export type Backend = 'channels_redis.core' | 'channels_redis.pubsub';

export class Redis extends Program {
  protected readonly command;

  private constructor(port: number, data: string) {
    super(port, data);
    const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', data, '--save', ''];
    this.command = { program: 'redis-server', args };
  }

  /** Starts a server on a free port and waits until it answers. */
  static async start(): Promise<Redis> {
    const redis = new Redis(await freePort(), await freshData());
    await redis.run();
    return redis;
  }

  /** The settings of a node behind it. */
  settings(backend: Backend): Record<string, string> {
    return {
      CONFAB_CHANNEL_LAYERS__DEFAULT__BACKEND: backend,
      CONFAB_CHANNEL_LAYERS__DEFAULT__HOSTS: JSON.stringify([`redis://127.0.0.1:${this.port}/0`]),
    };
  }

  /** How many nodes get what is sent to the group now. */
  async nodesIn(group: string, backend: Backend): Promise<number> {
    if (backend === 'channels_redis.core') return Number(await this.ask('ZCARD', `asgi:group:${group}`));
    // The channel's name and the number, a line each.
    return Number((await this.ask('PUBSUB', 'NUMSUB', `asgi__group__${group}`)).split('\n')[1]);
  }

  protected async answers(): Promise<boolean> {
    return (await this.ask('PING').catch(() => '')) === 'PONG';
  }

  private async ask(...words: string[]): Promise<string> {
    return (await execute('redis-cli', ['-p', String(this.port), ...words])).stdout.trim();
  }
}
