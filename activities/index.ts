import type { Client } from '@temporalio/client';
import type { ControlActs } from '../src/model/act.ts';
import type { RecordProvider } from '../src/providers/provider.ts';
import { formerIncidents } from '../src/runtime/running-incidents.ts';
import { named } from './failure.ts';
import { pick, publishRecord, readRecord } from './record.ts';

/** What every worker registers on the control queue. The members' own acts are registered by their agents (src/agent/agent.ts). */
export function controlActs(providers: ReadonlyMap<string, RecordProvider>, client: Client): ControlActs {
  return {
    formerIncidents: ({ group }) => named(() => formerIncidents(client, group)),
    publishRecord: (ask) => named(() => publishRecord(pick(providers, ask.provider), ask)),
    readRecord: ({ provider, name, type }) => named(() => readRecord(pick(providers, provider), name, type)),
  };
}
