import { Context } from '@temporalio/activity';
import type { Published, PublishAsk } from '../src/model/act.ts';
import { UnderstudyError } from '../src/model/error.ts';
import type { OwnedRecord } from '../src/model/record.ts';
import type { RecordProvider } from '../src/providers/provider.ts';

/** A change that the authoritative servers do not answer by then is reported as published, not yet verified, and looked at again. */
const VERIFY_LIMIT_MS = 3000;
const VERIFY_PAUSE_MS = 50;

/** Applies a record set by compare-and-set, then asks the authoritative servers until they answer it. */
export async function publishRecord(provider: RecordProvider, { record }: PublishAsk): Promise<Published> {
  const signal = Context.current().cancellationSignal;
  const applied = await provider.apply(record, signal);
  if (!('record' in applied)) return { outcome: applied.outcome, words: applied.words };
  const publishedAtMs = Date.now();
  const words = `${record.name} ${record.type} is ${record.values.join(', ')}`;
  for (const untilMs = performance.now() + VERIFY_LIMIT_MS; ;) {
    const verified = await provider.verify(record, signal);
    if (verified.outcome === 'verified')
      return { outcome: applied.outcome, words: `${words}, answered by ${verified.servers.join(', ')}`, publishedAtMs, verifiedAtMs: Date.now() };
    if (performance.now() > untilMs) return { outcome: applied.outcome, words: `${words}, but not verified: ${verified.words}`, publishedAtMs };
    await new Promise((resolve) => setTimeout(resolve, VERIFY_PAUSE_MS));
  }
}

export async function readRecord(
  provider: RecordProvider,
  name: string,
  type: OwnedRecord['type'],
): Promise<{ words: string; epoch?: number; values?: readonly string[] }> {
  const read = await provider.read(name, type, Context.current().cancellationSignal);
  if (read.outcome !== 'found') return { words: `${read.outcome}: ${read.words}` };
  const { found } = read;
  if (found.state === 'absent') return { words: `${name} ${type} does not exist` };
  if (found.state === 'unowned') return { words: `${name} ${type} is ${found.values.join(', ')}, and nobody's that we know`, values: found.values };
  return {
    words: `${name} ${type} is ${found.record.values.join(', ')}, owned by ${found.record.owner}, epoch ${found.record.epoch}`,
    values: found.record.values,
    epoch: found.record.epoch,
  };
}

/** @throws UnderstudyError `ConfigInvalid` where this worker's configuration lacks the provider */
export function pick(providers: ReadonlyMap<string, RecordProvider>, name: string): RecordProvider {
  const provider = providers.get(name);
  if (provider === undefined) {
    throw new UnderstudyError(
      'ConfigInvalid',
      `this worker knows no record provider ${JSON.stringify(name)}, only ${[...providers.keys()].join(', ') || 'none'}. Next: give the workers the configuration that was applied, and restart them.`,
      { provider: name },
    );
  }
  return provider;
}
