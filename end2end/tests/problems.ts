// What goes wrong in a browser without a test looking at it: console errors, exceptions, requests that fail.

import type { BrowserContext } from '@playwright/test';

/** Collects the problems of every page of the contexts that it watches. */
export class Problems {
  private readonly seen: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Says that a problem belongs to this test, for instance `problems.allow(/WebSocket connection to .* failed/)`. */
  allow(...patterns: RegExp[]): void {
    this.allowed.push(...patterns);
  }

  /** What was seen and not allowed. */
  get unexpected(): string[] {
    return this.seen.filter((problem) => !this.allowed.some((pattern) => pattern.test(problem)));
  }

  watch(context: BrowserContext): void {
    context.on('console', (message) => {
      if (message.type() === 'error') this.seen.push(`console error: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => {
      this.seen.push(`exception: ${error.error().stack ?? error.error().message}`);
    });
    context.on('requestfailed', (request) => {
      const reason = request.failure()?.errorText ?? 'no reason';
      // The page that asked has gone: somebody navigated away or closed it.
      if (reason !== 'net::ERR_ABORTED') this.seen.push(`request failed: ${request.method()} ${request.url()}: ${reason}`);
    });
  }
}
