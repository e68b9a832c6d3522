import { readIfThere, removeFile, writeWhole } from './file.ts';
import type { Place } from './place.ts';

/** What was begun on the data directory in place and is not finished. `found` began with an empty one, so nothing is lost with it. */
export type Torn = 'found' | 'clone' | 'rewind';

/** The mark is on disk before the first byte of the data is touched, and goes after the last. */
export async function markTorn(place: Place, by: Torn): Promise<void> {
  const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await writeWhole(place.tornFile, `${by}\n`, { name: '', uid, gid, drop: false });
}

export async function unmarkTorn(place: Place): Promise<void> {
  await removeFile(place.tornFile);
}

export async function readTorn(place: Place): Promise<Torn | undefined> {
  const text = (await readIfThere(place.tornFile))?.trim();
  if (text === undefined) return undefined;
  // A mark that cannot be read is still a mark: the careful reading of it is the one that asks for a clone.
  return text === 'found' || text === 'rewind' ? text : 'clone';
}
