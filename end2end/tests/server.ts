// A confab server of a test's own, for tests that kill or restart it or need other settings than the shared one.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The release build; `cargo xtask test` says where it is. */
export const CONFAB = process.env.CONFAB ?? resolve(import.meta.dirname, '../../target/release/confab');

/** A port on which nobody listens now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** An empty data folder, for one server. */
export function freshData(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'confab-end2end-'));
}

/** The arguments with which a test server is run. */
export function serveArguments(port: number, data: string): string[] {
  return ['serve', '--listen', `127.0.0.1:${port}`, '--data', data];
}

type Options = {
  /** Settings, as `CONFAB_LIMITS__MESSAGES_PER_SECOND: '0'`. */
  env?: Record<string, string>;
};

/** How long a server may take to start or to end. */
const PATIENCE_MS = 15_000;

export class Server {
  /** Those that were started and not yet disposed of, in this worker. */
  static readonly all = new Set<Server>();

  private process: ChildProcess | undefined;
  private output = '';

  private constructor(
    readonly port: number,
    private readonly data: string,
    private readonly env: Record<string, string>,
  ) {}

  /** Starts a server on a free port, with a data folder of its own, and waits until it answers. */
  static async start(options: Options = {}): Promise<Server> {
    const server = new Server(await freePort(), await freshData(), options.env ?? {});
    Server.all.add(server);
    await server.run();
    return server;
  }

  /** Its address, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What it has printed, in all its lives. */
  get log(): string {
    return this.output;
  }

  /** Ends it as a crash does, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends it as an operator does; fails unless it ends well. */
  async stop(): Promise<void> {
    const how = await this.end('SIGTERM');
    if (how !== 0) throw new Error(`the server ended with ${how} instead of 0\n${this.output}`);
  }

  /** Starts it again, on the same port and data; stops it first if it runs. */
  async restart(): Promise<void> {
    if (this.process) await this.stop();
    await this.run();
  }

  /** Ends it if it runs and removes its data. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.data, { recursive: true, force: true });
    Server.all.delete(this);
  }

  private async run(): Promise<void> {
    const child = spawn(CONFAB, serveArguments(this.port, this.data), {
      env: { ...process.env, ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    const collect = (text: Buffer) => (this.output += text.toString());
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));

    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.answers())) {
      if (failure) throw failure;
      if (hasEnded(child)) throw new Error(`the server ended before it answered\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`the server does not answer\n${this.output}`);
      await pause(20);
    }
  }

  private async answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok;
    } catch {
      return false;
    }
  }

  /** The exit status, or the signal that ended it. A server that ignores the signal is killed. */
  private async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.pid === undefined) return null;
    if (!hasEnded(child)) {
      const ended = once(child, 'exit');
      child.kill(signal);
      const last = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      await ended;
      clearTimeout(last);
    }
    return child.exitCode ?? child.signalCode;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
