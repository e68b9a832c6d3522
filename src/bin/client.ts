/**
 * Starts a group and signals a failover, with `@temporalio/client` alone: to be read and copied.
 *
 * Try it beside `understudy local up`, whose group it then finds running (its first line tells Temporal's address):
 *
 *     TEMPORAL_ADDRESS=127.0.0.1:7233 node dist/src/bin/client.js
 *
 * A group of your own needs a worker (`understudy worker`) and an agent beside each member (`understudy agent`). `understudy apply` does the
 * same from a checked configuration, and shows the difference first: prefer it wherever you can.
 */
import { Client, Connection } from '@temporalio/client';

const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233' });
const client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] ?? 'default' });

// What the group is: plain numbers, no secrets. Members' addresses are where clients and the other members reach their databases.
const name = process.argv[2] ?? 'orders';
const member = (letter: string, port: number) => ({ name: `pg-${letter}`, host: '127.0.0.1', port, priority: 100 });
const rules = { mode: 'automatic', approval: 'none', minIntervalMs: 600_000, maxPerDay: 5, maxLagBytes: 0, switchoverMaxLagBytes: 16_777_216 };
const limits = { answerWithinMs: 500, approvalWithinMs: 300_000, restartWithinMs: 10_000, stopWithinMs: 10_000, hungAfterMs: 10_000 };
const spec = {
  name,
  database: 'postgres',
  leaseMs: 3000,
  members: [member('a', 5433), member('b', 5434), member('c', 5435)],
  durability: { mode: 'sync', confirm: 1 },
  policy: { ...rules, ...limits },
  records: [],
};

// A group that runs already is left as it is, and its handle is returned.
const group = await client.workflow.start('failoverGroup', {
  workflowId: `group/${name}`,
  taskQueue: 'understudy',
  workflowTaskTimeout: '2s',
  workflowIdConflictPolicy: 'USE_EXISTING',
  args: [{ spec }],
});

interface Status {
  readonly phase: string;
  readonly primary: string | null;
  readonly members: { phase: string }[];
  readonly incidents: { id: string; outcome: string; endedAtMs?: number }[];
}
const until = async (reached: (status: Status) => boolean): Promise<Status> => {
  for (;;) {
    const status = await group.query<Status>('status');
    if (reached(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};

const before = await until(({ phase, members }) => phase === 'steady' && members.some((one) => one.phase === 'following'));
process.stdout.write(`${name} is steady: ${before.primary} is the primary\n`);
await group.signal('failover', { by: 'client.ts', reason: 'to see how a failover goes' });
const last = ({ incidents }: Status) => incidents.at(-1);
const after = last(await until((status) => last(status)?.id !== last(before)?.id && last(status)?.endedAtMs !== undefined));
process.stdout.write(`${after?.id}: ${after?.outcome}\n`);
await connection.close();
