import type { Connection } from '@temporalio/client';
import { ATTRIBUTES } from '../model/attribute.ts';

/** `INDEXED_VALUE_TYPE_*` of Temporal's API. */
const TYPES = { Keyword: 2, Int: 3 } as const;

/** Registers the search attributes that workflows set. Those that are there already are left as they are. */
export async function registerAttributes(connection: Connection, namespace: string): Promise<{ added: string[]; present: string[] }> {
  const before = await registered(connection, namespace);
  const wanted = Object.values(ATTRIBUTES);
  const missing = wanted.filter(({ name }) => !(name in before));
  if (missing.length > 0) {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, TYPES[type]])),
    });
  }
  return { added: missing.map(({ name }) => name), present: wanted.map(({ name }) => name).filter((name) => name in before) };
}

/** Whether workflows may set them: one that sets an attribute that nobody registered cannot go on. */
export async function attributesRegistered(connection: Connection, namespace: string): Promise<boolean> {
  const there = await registered(connection, namespace);
  return Object.values(ATTRIBUTES).every(({ name }) => name in there);
}

async function registered(connection: Connection, namespace: string): Promise<Record<string, unknown>> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return customAttributes ?? {};
}
