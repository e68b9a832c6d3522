import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Logger } from 'pino';
import { Agent } from '../agent/agent.ts';
import { Member, pause } from '../agent/member.ts';
import { serveMetrics } from '../agent/metrics-server.ts';
import { refuseOtherCluster, StateFile } from '../agent/state-file.ts';
import { isTransient } from '../agent/task.ts';
import { openDriver } from '../database/index.ts';
import { UnderstudyError } from '../model/error.ts';
import { loadConfig } from '../runtime/config.ts';
import { connect, type Connected } from '../runtime/connection.ts';
import { openLog } from '../runtime/log.ts';
import { claimStateDir } from '../runtime/private-files.ts';
import { resolveSecret } from '../runtime/secret.ts';
import { findPostgres } from '../runtime/tools/postgres.ts';
import { runDirectly } from './direct.ts';

const ASK_LIMIT_MS = 2000;
const ASK_PAUSE_MS = 200;

export interface AgentOptions {
  readonly config: string;
  readonly group: string;
  readonly member: string;
  /** `spawn`: start a guard where none runs. `external`: systemd does. */
  readonly guard: 'spawn' | 'external';
  /** Belong to the Temporal cluster that it is connected to, though it belonged to another one before. */
  readonly claimAnew: boolean;
}

/** `node agent.js --config understudy.yaml --group orders --member pg-a`: the agent beside one member's database. */
export async function runAgent(o: AgentOptions): Promise<void> {
  const config = await loadConfig(o.config);
  const group = config.groups[o.group];
  if (group === undefined) throw new UnderstudyError('BadInput', `${o.config} has no group ${o.group}; it has ${Object.keys(config.groups).join(', ')}`);
  const spec = group.spec.members.find(({ name }) => name === o.member);
  const local = group.local[o.member];
  if (spec === undefined || local === undefined) {
    throw new UnderstudyError('BadInput', `group ${o.group} has no member ${o.member}; it has ${group.spec.members.map(({ name }) => name).join(', ')}`);
  }
  claimStateDir(local.stateDir);
  const log = await openLog({ name: 'agent', fields: { group: o.group, member: o.member } });
  // A restarted agent must not wait for a server that is away while its primary's lease runs out.
  const known = o.claimAnew ? undefined : (await StateFile.peek(local.stateDir))?.cluster;
  const temporal = await connect({
    temporal: config.temporal,
    purpose: 'agent',
    lazily: known !== undefined,
    warn: (error) => log.warn({ err: error }, 'certificates were not renewed: the last ones that fit stand'),
  });
  const cluster = known ?? (await clusterOf(temporal));
  const tools = await findPostgres({ fetch: true, ...(group.postgres.bin === undefined ? {} : { bin: group.postgres.bin }) });
  const driver = openDriver(group.spec.database, {
    group: o.group,
    member: spec,
    members: group.spec.members,
    local,
    postgres: group.postgres,
    binDir: tools.binDir,
    resolveSecret,
    log,
  });
  const member = await Member.open({
    group: o.group,
    spec,
    driver,
    openState: () => StateFile.open(local.stateDir, cluster, o.claimAnew),
    guard: { stateDir: local.stateDir, logFile: path.join(local.stateDir, 'guard.log'), spawn: o.guard === 'spawn' },
    log,
  });
  const agent = new Agent(member, temporal, log);
  if (local.metrics !== undefined) serveMetrics(local.metrics, () => member.metrics.text(), log);
  const stop = (): void => agent.stop();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const { fence, fenceWords } = member.guard.status;
  log.info({ fence, fenceWords, postgres: tools.version }, 'agent ready');
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, group: o.group, member: o.member, fence })}\n`);
  await agent.run(known === undefined ? undefined : verify(temporal, known, log));
  process.exit(0);
}

async function clusterOf({ connection, namespace }: Connected): Promise<string> {
  const { clusterId } = await connection.workflowService.getClusterInfo({});
  return `${clusterId}/${namespace}`;
}

/** Asks for as long as it takes. @throws UnderstudyError `WrongCluster` where another server answers */
async function verify(temporal: Connected, belongsTo: string, log: Logger): Promise<void> {
  for (let told = false; ;) {
    try {
      refuseOtherCluster(belongsTo, await temporal.connection.withDeadline(Date.now() + ASK_LIMIT_MS, () => clusterOf(temporal)));
      return;
    } catch (error) {
      if (!isTransient(error)) throw error;
      if (!told) log.warn({ err: error }, 'Temporal does not answer: no order is taken until it does');
      told = true;
      await pause(ASK_PAUSE_MS);
    }
  }
}

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: 'understudy.yaml' },
      group: { type: 'string' },
      member: { type: 'string' },
      guard: { type: 'string', default: 'spawn' },
      'claim-anew': { type: 'boolean', default: false },
    },
  });
  await runDirectly(async () => {
    const { config, group, member, guard, 'claim-anew': claimAnew } = values;
    if (group === undefined || member === undefined) throw new UnderstudyError('BadInput', 'say which member this is. Next: --group orders --member pg-a');
    await runAgent({ config, group, member, guard: guard === 'external' ? 'external' : 'spawn', claimAnew });
  });
}
