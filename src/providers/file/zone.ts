import { readSet } from '../record-sets.ts';
import type { RecordSet } from '../record-sets.ts';
import { ContentError } from './format.ts';
import type { Content, Format } from './format.ts';

const HINT = 'write one record a line, such as `db.example.com. 5 IN A 10.0.0.1`; `named-compilezone -o - ZONE FILE` puts a zone in that form';

/**
 * A zone file in the form that `named-compilezone` prints: one record a line with absolute name, TTL, class and type (RFC 1035, 5.1).
 * It is a whole zone with its SOA, whose serial rises with each change, or records alone for `$INCLUDE` in another file.
 */
export const zoneFormat: Format = {
  parse(text) {
    const head: string[] = [];
    const sets = new Map<string, RecordSet>();
    for (const [index, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue;
      if (line.trimStart().startsWith(';')) {
        head.push(line);
        continue;
      }
      const set = parseLine(line, index + 1);
      const key = `${set.name} ${set.type}`;
      const before = sets.get(key);
      sets.set(key, before === undefined ? set : { ...before, values: [...before.values, ...set.values] });
    }
    return { head, sets: [...sets.values()] };
  },

  print({ head, sets }: Content) {
    const soaFirst = [...sets].sort((a, b) => Number(b.type === 'SOA') - Number(a.type === 'SOA'));
    const lines = soaFirst.flatMap(({ name, type, ttlSeconds, values }) =>
      values.map((value) => `${name}\t${ttlSeconds} IN ${type} ${type === 'SOA' ? raiseSerial(value) : value}`),
    );
    return [...head, ...lines, ''].join('\n');
  },
};

function parseLine(line: string, number: number): RecordSet {
  const bad = (why: string): ContentError => new ContentError(`line ${number} ${why}: ${HINT}`);
  const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, '');
  if (/[();"]/.test(bare)) throw bad('has a bracket, a comment or an open quote');
  const parts = /^(\S+\.)\s+(\d{1,10})\s+IN\s+([A-Za-z0-9]+)\s+(\S.*?)\s*$/i.exec(line);
  if (parts === null) throw bad('is not in the form that Understudy writes');
  const set = readSet({ name: parts[1]!, type: parts[3]!, ttlSeconds: Number(parts[2]), values: [parts[4]!] });
  if (set === undefined) throw bad(`has a name that is no host's: ${parts[1]}`);
  return set;
}

/** By one, and never 0, which some secondaries take for the start (RFC 1982). */
function raiseSerial(soa: string): string {
  const words = soa.split(/\s+/);
  const serial = Number(words[2]);
  if (!Number.isInteger(serial)) throw new ContentError(`the SOA record has no serial: ${soa}`);
  return words.with(2, String((serial + 1) % 2 ** 32 || 1)).join(' ');
}
