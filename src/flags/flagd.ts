import path from 'node:path';
import type { Logger } from 'pino';
import { allFlags, type FlagValue, type ServiceFlags, variantOf } from '../model/flag.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import type { FlagStore } from './store.ts';

/** Readable by everybody, whatever the umask is. */
const MODE = 0o644;

/** @see https://flagd.dev/schema/v0/flags.json */
export interface FlagdFile {
  readonly $schema: string;
  readonly flags: Readonly<Record<string, { state: 'ENABLED'; variants: Record<string, FlagValue>; defaultVariant: string }>>;
  readonly metadata: Readonly<Record<string, string | number>>;
}

/** A service's flags as flagd, and OpenFeature's flagd providers in their file mode, read them. */
export function flagdFileOf(service: ServiceFlags): FlagdFile {
  const flags = [...allFlags(service)].map(([key, value]) => {
    const variant = variantOf(value, service.level);
    const variants: Record<string, FlagValue> = typeof value === 'boolean' ? { on: true, off: false } : { [variant]: value };
    return [key, { state: 'ENABLED' as const, variants, defaultVariant: variant }] as const;
  });
  return {
    $schema: 'https://flagd.dev/schema/v0/flags.json',
    flags: Object.fromEntries(flags),
    metadata: { service: service.service, level: service.level, revision: service.revision },
  };
}

/** A name that stays inside its directory. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Keeps one file for each service in a directory, `<service>.flagd.json`, readable by everybody, from now until it is stopped. A file stays where its service is
 * forgotten: whoever reads it goes on with the last that was known.
 *
 * @returns ends it, once what was begun is written
 */
export function keepFlagdFiles(store: FlagStore, directory: string, log: Logger): () => Promise<void> {
  const written = new Map<string, number>();
  const waiting = new Set(store.services());
  const write = async (): Promise<void> => {
    for (const service of waiting) {
      waiting.delete(service);
      const flags = store.get(service)?.flags;
      // How fresh it is does not show in the file.
      if (flags === undefined || written.get(service) === flags.revision) continue;
      if (!PLAIN.test(service)) {
        log.error({ service }, 'this name makes no file name: no flagd file is kept for it');
        continue;
      }
      const file = path.join(directory, `${service}.flagd.json`);
      try {
        await writeDurably(file, `${JSON.stringify(flagdFileOf(flags), undefined, 2)}\n`, MODE, (fresh) => fresh.chmod(MODE));
        written.set(service, flags.revision);
      } catch (error) {
        log.error({ err: error, file }, 'the flagd file is not written; it will be at the next change');
      }
    }
  };
  let writing = write();
  const leave = store.subscribe((service) => {
    // Whatever comes next is another file, even with the number of the last.
    if (store.get(service) === undefined) written.delete(service);
    waiting.add(service);
    writing = writing.then(write);
  });
  return async () => {
    leave();
    await writing;
  };
}
