import { closeSync, openSync, writeSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { HostPort } from '../model/config.ts';
import type { ReaderLook } from './reader-log.ts';
import { WRITES_TABLE } from './writer.ts';
import { monotonicNs } from './writer-log.ts';

/** Looks at every member all the time, as a client that trusts no name does: who says that it is open, and what does it show? */
export interface ReaderOptions {
  readonly user: string;
  readonly database: string;
  readonly logFile: string;
  readonly members: readonly HostPort[];
  /** The writer whose rows are looked for. */
  readonly by: string;
  readonly periodMs: number;
  readonly limitMs: number;
}

/** What is written is looked for every so many looks only: it is the dearer question. */
const TOP_EVERY = 10;
const LOOK = `select pg_is_in_recovery() as recovering,
  case when pg_is_in_recovery() then 0 else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline`;
const TOP = `select max(id) as top from ${WRITES_TABLE} where by = $1`;

export async function runReader(options: ReaderOptions, stop: AbortSignal): Promise<void> {
  const file = openSync(options.logFile, 'a', 0o644);
  const note = (look: ReaderLook): void => {
    writeSync(file, `${JSON.stringify(look)}\n`);
  };
  await Promise.all(options.members.map((member) => watch(member, options, note, stop)));
  closeSync(file);
}

async function watch(member: HostPort, options: ReaderOptions, note: (look: ReaderLook) => void, stop: AbortSignal): Promise<void> {
  let link: { client: pg.Client; socket: net.Socket; broken: boolean } | undefined;
  for (let turn = 0; !stop.aborted; turn += 1) {
    const askedNs = monotonicNs();
    try {
      link ??= await connect(member, options);
      if (link.broken) throw new Error('the connection has ended');
      const { rows } = await link.client.query<{ recovering: boolean; timeline: number }>({ name: 'look', text: LOOK });
      const ns = monotonicNs();
      const open = rows[0]?.recovering === false;
      const top = open && turn % TOP_EVERY === 0 ? await topOf(link.client, options.by) : undefined;
      note({ askedNs, ns, port: member.port, open, timeline: rows[0]?.timeline ?? 0, ...(top === undefined ? {} : { top }) });
    } catch {
      // Whatever the reason, it does not answer: nothing was seen, and nothing is noted.
      link?.socket.destroy();
      link = undefined;
    }
    const nextMs = options.periodMs - (monotonicNs() - askedNs) / 1e6;
    if (nextMs > 0 && !stop.aborted) await sleep(nextMs);
  }
  link?.socket.destroy();
}

async function topOf(client: pg.Client, by: string): Promise<number | undefined> {
  const { rows } = await client.query<{ top: string | null }>({ name: 'top', text: TOP, values: [by] });
  const top = rows[0]?.top;
  return top === null || top === undefined ? undefined : Number(top);
}

async function connect({ host, port }: HostPort, { user, database, limitMs }: ReaderOptions) {
  // A socket of our own, since only destroying it ends a connection to a server that is frozen.
  const socket = new net.Socket();
  const client = new pg.Client({
    host,
    port,
    user,
    database,
    application_name: 'reader',
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
    stream: () => socket,
  });
  const link = { client, socket, broken: false };
  client.on('error', () => (link.broken = true));
  try {
    await client.connect();
    return link;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
