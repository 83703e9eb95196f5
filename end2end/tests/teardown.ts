import { rm } from 'node:fs/promises';

/** Removes the data of the shared server. */
export default async function teardown(): Promise<void> {
  const data = process.env.END2END_DATA;
  if (data) await rm(data, { recursive: true, force: true });
}
