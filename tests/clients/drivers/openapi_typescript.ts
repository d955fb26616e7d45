import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const api = createClient<paths>({ baseUrl: process.env.TMF_URL });

function must<T>(answer: { data?: T; error?: unknown }): NonNullable<T> {
  if (answer.data === undefined || answer.data === null) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function same(value: unknown, expected: unknown): void {
  if (value !== expected) throw new Error(`${value} is not ${expected}`);
}

async function step(resource: string, run: (done: string[]) => Promise<void>): Promise<void> {
  const done: string[] = [];
  try {
    await run(done);
    console.log(JSON.stringify({ resource, done }));
  } catch (error) {
    console.log(JSON.stringify({ resource, error: String(error) }));
  }
}

declare const process: { env: Record<string, string | undefined> };

// STEPS
