// The Django project of tests/django, and one site of it and a Confab: an nginx before both, set up as docs/django.md says.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Program, freePort, freshData } from './process.ts';
import { Server } from './server.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROJECT = join(ROOT, 'tests/django');
/** With the packages of tests/python/requirements.txt; `cargo xtask test` says where it is. */
const PYTHON = process.env.PEER_PYTHON ?? join(ROOT, 'target/python/bin/python');
/** Of the project's settings. */
const SECRET_KEY = 'of a project that only tests run';

class Django extends Program {
  protected readonly command;
  readonly database: string;
  private readonly env: Record<string, string>;

  private constructor(port: number, data: string) {
    super(port, data);
    this.database = join(data, 'db.sqlite3');
    this.env = {
      DATABASE: JSON.stringify({ ENGINE: 'django.db.backends.sqlite3', NAME: this.database }),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const args = ['-m', 'uvicorn', 'mysite.asgi:application', '--app-dir', PROJECT];
    this.command = {
      program: PYTHON,
      args: [...args, '--host', '127.0.0.1', '--port', String(port), '--lifespan', 'off'],
      env: this.env,
    };
  }

  /** Starts a project whose database has these people, who sign in with the password `first`. */
  static async start(people: object[]): Promise<Django> {
    const django = new Django(await freePort(), await freshData());
    await django.tell([{ do: 'migrate' }, ...people.map((fields) => ({ do: 'add', ...fields }))]);
    await django.run();
    return django;
  }

  /** Has Django do what these commands say, by the project's people.py. */
  async tell(commands: object[]): Promise<void> {
    const env = { ...process.env, ...this.env };
    const child = spawn(PYTHON, ['people.py'], { cwd: PROJECT, env, stdio: ['pipe', 'pipe', 'inherit'] });
    let answers = '';
    child.stdout.on('data', (text: Buffer) => (answers += text.toString()));
    const ended = once(child, 'close');
    child.stdin.end(commands.map((command) => `${JSON.stringify(command)}\n`).join(''));
    await ended;
    const failed = answers.split('\n').filter((line) => line.includes('"error"'));
    if (child.exitCode !== 0 || failed.length > 0) throw new Error(`people.py: ${child.exitCode} ${failed.join(' ')}`);
  }

  protected async answers(): Promise<boolean> {
    return isOk(`http://127.0.0.1:${this.port}/admin/login/`);
  }
}

class Nginx extends Program {
  protected readonly command;

  private constructor(port: number, data: string) {
    super(port, data);
    // Debian has it where only root's programs are.
    const path = `${process.env.PATH ?? ''}:/usr/sbin`;
    this.command = { program: 'nginx', args: ['-e', 'stderr', '-p', data, '-c', join(data, 'nginx.conf')], env: { PATH: path } };
  }

  static async before(confab: number, django: number): Promise<Nginx> {
    const nginx = new Nginx(await freePort(), await freshData());
    await writeFile(join(nginx.data, 'nginx.conf'), nginx.settings(confab, django));
    await nginx.run();
    return nginx;
  }

  private settings(confab: number, django: number): string {
    const shown = readFileSync(join(ROOT, 'docs/django.md'), 'utf8');
    const locations = shown.split('\n').filter((line) => line.startsWith('    location '));
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    return `daemon off; master_process off; pid ${this.data}/pid; error_log stderr; events {}
http {
    access_log off;
    ${temporary.map((kind) => `${kind}_temp_path ${this.data}/${kind};`).join(' ')}
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:${this.port};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        ${locations.join('\n').replaceAll('127.0.0.1:3000', `127.0.0.1:${confab}`).replaceAll('127.0.0.1:8000', `127.0.0.1:${django}`)}
    }
}
`;
  }

  protected async answers(): Promise<boolean> {
    return isOk(`http://127.0.0.1:${this.port}/admin/login/`);
  }
}

async function isOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false;
  }
}

/** One site of a project and a Confab that knows its people. */
export class Site {
  private constructor(
    readonly url: string,
    readonly django: Django,
  ) {}

  /** With these people. */
  static async start(people: object[]): Promise<Site> {
    const django = await Django.start(people);
    const server = await Server.start({
      env: {
        CONFAB_SERVER__TRUSTED_PROXIES: '["127.0.0.1"]',
        CONFAB_ACCOUNTS__DJANGO__SECRET_KEY: SECRET_KEY,
        CONFAB_ACCOUNTS__DJANGO__DATABASE: django.database,
        CONFAB_ACCOUNTS__DJANGO__LOGIN_URL: '/admin/login/',
      },
    });
    const nginx = await Nginx.before(server.port, django.port);
    return new Site(`http://127.0.0.1:${nginx.port}`, django);
  }
}
