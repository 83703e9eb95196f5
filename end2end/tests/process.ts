// A program that a test runs beside the browser: how it is started, ended, and cleared away.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** How long a program may take to start or to end. */
const PATIENCE_MS = 15_000;

/**
 * A port on which nobody listens now. Below those that the system gives to outgoing connections: a client that tries to
 * reach a program that was killed could be given the very port, and would reach itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch {
    return false;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}

/** An empty folder, for one program. */
export function freshData(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'confab-end2end-'));
}

/** What to run. */
type Command = {
  program: string;
  args: string[];
  env?: Record<string, string>;
};

/** A program that listens on a port of 127.0.0.1 and has a folder of its own. */
export abstract class Program {
  /** Those that were started and not yet disposed of, in this worker. */
  static readonly all = new Set<Program>();

  private process: ChildProcess | undefined;
  private output = '';

  protected constructor(
    readonly port: number,
    protected readonly data: string,
  ) {
    Program.all.add(this);
  }

  protected abstract readonly command: Command;

  /** Whether it is ready now. */
  protected abstract answers(): Promise<boolean>;

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
    if (how !== 0) throw new Error(`${this.command.program} ended with ${how} instead of 0\n${this.output}`);
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
    Program.all.delete(this);
  }

  /** Starts it and waits until it answers. */
  protected async run(): Promise<void> {
    const { program, args, env } = this.command;
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.process = child;
    const collect = (text: Buffer) => (this.output += text.toString());
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));

    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.answers())) {
      if (failure) throw failure;
      if (hasEnded(child)) throw new Error(`${program} ended before it answered\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`${program} does not answer\n${this.output}`);
      await pause(20);
    }
  }

  /** The exit status, or the signal that ended it. A program that ignores the signal is killed. */
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
