import { UnderstudyError } from '../model/error.ts';
import type { OwnedRecord, RecordType } from '../model/record.ts';

/**
 * A TXT record beside each record says whose it is: `_understudy.<type>.<name>`, so that it can stand beside a CNAME too, with
 * the text `v=1 owner=<namespace>/<group> epoch=<n>`. What is not plain in an owner's name is percent-encoded.
 */
export const markerName = (name: string, type: RecordType): string => `_understudy.${type.toLowerCase()}.${name}`;

export interface Marker {
  readonly owner: string;
  readonly epoch: number;
}

/** @throws UnderstudyError `BadInput` where the owner does not fit */
export function markerText({ owner, epoch }: Pick<OwnedRecord, 'owner' | 'epoch'>): string {
  const text = `v=1 owner=${owner.split('/').map(encodeURIComponent).join('/')} epoch=${epoch}`;
  if (owner === '' || text.length > 255)
    throw new UnderstudyError('BadInput', `the owner ${JSON.stringify(owner)} does not fit in a marker of 255 characters`, { owner });
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new UnderstudyError('BadInput', `${epoch} is no epoch`, { epoch });
  return text;
}

/** Undefined where there is not exactly one marker of a form that we know: then the record is nobody's that we know. */
export function readMarkerTexts(texts: readonly string[]): Marker | undefined {
  const [only, ...more] = texts;
  if (only === undefined || more.length > 0) return undefined;
  const parts = /^v=1 owner=(\S+) epoch=(\d{1,15})$/.exec(only);
  if (parts === null) return undefined;
  try {
    return { owner: decodeURIComponent(parts[1]!), epoch: Number(parts[2]) };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
