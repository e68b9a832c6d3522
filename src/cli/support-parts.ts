import { open, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Desk } from '../client/desk.ts';
import { listIncidents } from '../client/incidents.ts';
import { lookAtGroup } from '../client/look.ts';
import { summarise } from '../decide/report.ts';
import { renderMarkdown } from '../decide/report-markdown.ts';
import { GuardClient } from '../guard/client.ts';
import type { Config, MemberLocal } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { groupWorkflowId } from '../model/name.ts';
import { REDACTED, Redactor } from '../runtime/redact.ts';
import { examineMachine } from './doctor-checks.ts';
import { CliError } from './exit.ts';
import { configOf, withDesk } from './operator.ts';
import { globalsOf } from './output.ts';
import type { Program } from './program.ts';

/** A file of the bundle, or why there is none. */
export type Part = { readonly name: string; readonly text: string } | { readonly name: string; readonly why: string };

export interface Wanted {
  readonly incidents: number;
  readonly logs: readonly string[];
  readonly databaseLogs: boolean;
}

const TAIL_BYTES = 512 * 1024;

/** All that the bundle holds, its secrets taken out. What cannot be had costs its own part and no other. */
export async function collectParts(command: Program, wanted: Wanted): Promise<Part[]> {
  const parts: Part[] = [];
  let config: Config | undefined;
  const attempt = async (name: string, work: () => Promise<Part[]>): Promise<void> => {
    try {
      parts.push(...(await work()));
    } catch (error) {
      if (!isForeseen(error)) throw error;
      parts.push({ name, why: error.message.split('\n')[0] ?? '' });
    }
  };
  await attempt('config.json', async () => {
    config = await configOf(command);
    return config === undefined ? [{ name: 'config.json', why: 'no configuration was named, and none lies here' }] : [json('config.json', config)];
  });
  await attempt('doctor.json', async () => [
    json('doctor.json', await examineMachine({ configFile: globalsOf(command).config, configNamed: config !== undefined, measure: false })),
  ]);
  await attempt('what Temporal knows', () => withDesk(command, ({ desk }) => fromTemporal(desk, wanted, attempt), config));
  for (const [group, { local }] of Object.entries(config?.groups ?? {}))
    for (const [member, place] of Object.entries(local))
      await attempt(`members/${group}-${member}`, () => fromMember(`members/${group}-${member}`, place, wanted));
  for (const file of wanted.logs) await attempt(`logs/${path.basename(file)}`, async () => [{ name: `logs/${path.basename(file)}`, text: await tailOf(file) }]);
  const redactor = Redactor.of(config);
  const manifest = {
    at: new Date().toISOString(),
    host: hostname(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    // Names alone: what they hold is nobody's business.
    environment: Object.keys(process.env).filter((name) => /^(UNDERSTUDY|TEMPORAL)_/.test(name)),
    files: parts.flatMap((part) => ('text' in part ? [part.name] : [])),
    missing: parts.flatMap((part) => ('why' in part ? [{ what: part.name, why: part.why }] : [])),
  };
  return [json('manifest.json', manifest), ...parts].map((part) =>
    'text' in part ? { ...part, text: redactor.scrub(part.text) } : { ...part, why: redactor.scrub(part.why) },
  );
}

const json = (name: string, data: unknown): Part => ({ name, text: `${JSON.stringify(data, null, 2)}\n` });

function isForeseen(error: unknown): error is Error {
  return (
    error instanceof UnderstudyError || error instanceof CliError || (error instanceof Error && ('trouble' in error || 'syscall' in error || 'code' in error))
  );
}

async function fromTemporal(desk: Desk, { incidents }: Wanted, attempt: (name: string, work: () => Promise<Part[]>) => Promise<void>): Promise<Part[]> {
  const groups = await desk.groups();
  for (const group of groups) {
    await attempt(`status/${group}.json`, async () => [json(`status/${group}.json`, await lookAtGroup(desk, group))]);
    await attempt(`histories/group-${group}.json`, () => historyOf(desk, groupWorkflowId(group)));
    await attempt(`incidents/${group}.json`, async () => {
      const list = await listIncidents(desk, group, Math.max(incidents, 20));
      for (const { id } of list.incidents.slice(0, incidents)) {
        await attempt(`reports/${fileOf(id)}.json`, () => reportOf(desk, id));
        await attempt(`histories/${fileOf(id)}.json`, () => historyOf(desk, id));
      }
      return [json(`incidents/${group}.json`, list)];
    });
  }
  return [];
}

const fileOf = (workflowId: string): string => workflowId.replaceAll('/', '-');

async function reportOf(desk: Desk, id: string): Promise<Part[]> {
  const incident = await desk.incident(id);
  return [json(`reports/${fileOf(id)}.json`, { incident, facts: summarise(incident) }), { name: `reports/${fileOf(id)}.md`, text: renderMarkdown(incident) }];
}

/** As it is stored: what was encrypted stays so, and can be replayed by whoever has the key. */
async function historyOf(desk: Desk, id: string): Promise<Part[]> {
  const history = await desk.call(`the history of ${id}`, () => desk.workflows.getHandle(id).fetchHistory());
  return [{ name: `histories/${fileOf(id)}.json`, text: historyToJSON(history) }];
}

/** What lies on this machine of a member; of one that lives elsewhere there is nothing to be had. */
async function fromMember(at: string, { stateDir }: MemberLocal, { databaseLogs }: Wanted): Promise<Part[]> {
  const state = JSON.parse(await readFile(path.join(stateDir, 'agent.json'), 'utf8')) as { held?: { token?: string } };
  // With it the lease could be renewed.
  const held = state.held === undefined ? {} : { held: { ...state.held, token: REDACTED } };
  const guard = await GuardClient.connect({ stateDir, own: false }).then(
    (client) => {
      client.close();
      return client.status as unknown;
    },
    (error: unknown) => {
      if (error instanceof UnderstudyError) return { unreachable: error.message };
      throw error;
    },
  );
  const logs = ['guard.log', ...(databaseLogs ? ['postgres.log'] : [])];
  return [
    json(`${at}/agent.json`, { ...state, ...held }),
    json(`${at}/guard.json`, guard),
    ...(await Promise.all(logs.map(async (name): Promise<Part> => ({ name: `${at}/${name}`, text: await tailOf(path.join(stateDir, name)) })))),
  ];
}

/** The end of a file, from the beginning of a line. */
async function tailOf(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - from);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await handle.close();
  }
}
