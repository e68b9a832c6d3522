import { z } from 'zod';
import type { RecordType } from '../../model/record.ts';
import { UnderstudyError } from '../../model/error.ts';
import { normaliseName } from '../../decide/change.ts';
import { markerName, markerText, readMarkerTexts } from '../marker.ts';
import { txtToText } from '../record-sets.ts';
import type { RecordSet } from '../record-sets.ts';
import { ContentError } from './format.ts';
import type { Content, Format } from './format.ts';

const VERSION = 1;
const TYPES = ['A', 'AAAA', 'CNAME', 'SRV'] as const satisfies readonly RecordType[];

const Kept = z.strictObject({
  name: z.string(),
  type: z.enum(TYPES),
  ttlSeconds: z.int().min(0),
  values: z.array(z.string()),
  /** Both or neither: a record without them is nobody's. */
  owner: z.string().min(1).optional(),
  epoch: z.int().min(0).optional(),
});
const File = z.strictObject({ version: z.literal(VERSION), records: z.array(Kept) });
type Kept = z.output<typeof Kept>;

/** `{ "version": 1, "records": [{ name, type, ttlSeconds, values, owner, epoch }] }`, for whatever program is to read it. */
export const jsonFormat: Format = {
  parse(text) {
    const parsed = File.safeParse(parseJson(text));
    if (!parsed.success) throw new ContentError(z.prettifyError(parsed.error).replaceAll('\n', ' '));
    return { head: [], sets: parsed.data.records.flatMap(toSets) };
  },

  print({ sets }: Content) {
    const of = (set: RecordSet): Kept | undefined => {
      if (!isKept(set.type)) return undefined;
      const marker = sets.find(({ name, type }) => type === 'TXT' && name === markerName(set.name, set.type as RecordType));
      const owner = marker === undefined ? undefined : readMarkerTexts(marker.values.map(txtToText));
      return { name: set.name, type: set.type, ttlSeconds: set.ttlSeconds, values: [...set.values], ...owner };
    };
    const records = sets.flatMap((set) => of(set) ?? []);
    return `${JSON.stringify({ version: VERSION, records }, null, 2)}\n`;
  },
};

const isKept = (type: string): type is RecordType => (TYPES as readonly string[]).includes(type);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ContentError(`it is no JSON (${(cause as Error).message})`, { cause });
  }
}

function toSets({ name: raw, type, ttlSeconds, values, owner, epoch }: Kept): RecordSet[] {
  const name = nameOf(raw);
  if ((owner === undefined) !== (epoch === undefined)) throw new ContentError(`${name} ${type} has an owner or an epoch, and not both`);
  const record = { name, type, ttlSeconds, values };
  if (owner === undefined || epoch === undefined) return [record];
  return [record, { name: markerName(name, type), type: 'TXT', ttlSeconds, values: [`"${markerText({ owner, epoch })}"`] }];
}

function nameOf(raw: string): string {
  try {
    return normaliseName(raw);
  } catch (cause) {
    if (cause instanceof UnderstudyError) throw new ContentError(cause.message, { cause });
    throw cause;
  }
}
