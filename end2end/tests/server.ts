// A confab server of a test's own, for tests that kill or restart it or need other settings than the shared one.

import { resolve } from 'node:path';
import { Program, freePort, freshData } from './process.ts';

/** The release build; `cargo xtask test` says where it is. */
export const CONFAB = process.env.CONFAB ?? resolve(import.meta.dirname, '../../target/release/confab');

/** The arguments with which a test server is run. */
export function serveArguments(port: number, data: string): string[] {
  return ['serve', '--listen', `127.0.0.1:${port}`, '--data', data];
}

type Options = {
  /** Settings, as `CONFAB_LIMITS__MESSAGES_PER_SECOND: '0'`. */
  env?: Record<string, string>;
};

export class Server extends Program {
  protected readonly command;

  private constructor(port: number, data: string, env: Record<string, string>) {
    super(port, data);
    this.command = { program: CONFAB, args: serveArguments(port, data), env };
  }

  /** Starts a server on a free port, with a data folder of its own, and waits until it answers. */
  static async start(options: Options = {}): Promise<Server> {
    const server = new Server(await freePort(), await freshData(), options.env ?? {});
    await server.run();
    return server;
  }

  /** Its address, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What `/readyz` answers: `ready`, or what is wrong. */
  async readiness(): Promise<string> {
    return (await fetch(`${this.url}/readyz`)).text();
  }

  protected async answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok;
    } catch {
      return false;
    }
  }
}
