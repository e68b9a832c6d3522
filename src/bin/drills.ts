/**
 * Real faults on real parts, in a network that can be cut: `npm run drills`. Starts itself once more in namespaces of its own.
 *
 *     node dist/src/bin/drills.js [--only PATTERN] [--list] [-o json] [--lease 2s] [--docs FILE]
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DRILLS } from '../drills/drills.ts';
import { runInside, whyNotHere } from '../drills/inside.ts';
import { playAll } from '../drills/play-all.ts';
import { parseDuration } from '../model/units.ts';

const USAGE = 'usage: npm run drills [-- --only PATTERN] [--list] [-o json] [--lease DURATION] [--docs FILE]';

function usage(words: string): never {
  process.stderr.write(`drills: ${words}\n${USAGE}\n`);
  process.exit(64);
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        only: { type: 'string' },
        list: { type: 'boolean', default: false },
        output: { type: 'string', short: 'o', default: 'table' },
        lease: { type: 'string', default: '2s' },
        docs: { type: 'string' },
        inside: { type: 'string' },
      },
    }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

const values = readArguments();
const leaseMs = parseDuration(values.lease);
if (leaseMs === undefined) usage(`--lease ${values.lease} is no duration, such as 2s`);
const pattern = new RegExp(values.only ?? '', 'i');
const chosen = DRILLS.filter(({ name, kind }) => pattern.test(`${kind}: ${name}`));
if (values.list) for (const { kind, name } of chosen) process.stdout.write(`${kind}: ${name}\n`);
else if (chosen.length === 0) usage(`no drill is called like ${values.only}; --list names them all`);
else if (values.inside === undefined) {
  const why = await whyNotHere();
  if (why !== undefined) {
    process.stderr.write(`drills: ${why}\n`);
    process.exitCode = 1;
  } else process.exitCode = await runInside(path.resolve(process.argv[1] ?? ''), process.argv.slice(2));
} else process.exit(await playAll({ dir: values.inside, drills: chosen, all: DRILLS, leaseMs, format: values.output, docs: values.docs }));
