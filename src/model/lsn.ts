/**
 * A place in a write-ahead log, as PostgreSQL writes it: `16/B374D848`, two hexadecimal halves of 64 bits.
 *
 * It travels as text, since payloads hold no bigint.
 *
 * @see PostgreSQL manual, "pg_lsn Type"
 */
export type Lsn = string;

const SHAPE = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** @throws RangeError where the text is no LSN */
export function lsnToBigInt(lsn: Lsn): bigint {
  const halves = SHAPE.exec(lsn);
  if (halves === null) throw new RangeError(`not an LSN: ${JSON.stringify(lsn)}`);
  return (BigInt(`0x${halves[1]}`) << 32n) | BigInt(`0x${halves[2]}`);
}

/** Negative where `a` lies before `b`, zero where they are the same, else positive. */
export function compareLsn(a: Lsn, b: Lsn): number {
  const difference = lsnToBigInt(a) - lsnToBigInt(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The least place beyond this one: a standby that has it has more than what begins at `lsn`. */
export function beyond(lsn: Lsn): Lsn {
  const next = lsnToBigInt(lsn) + 1n;
  return `${(next >> 32n).toString(16).toUpperCase()}/${(next & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** How many bytes `behind` lacks to reach `ahead`; zero where it lacks none. */
export function lagBytes(ahead: Lsn, behind: Lsn): number {
  const difference = lsnToBigInt(ahead) - lsnToBigInt(behind);
  return difference > 0n ? Number(difference) : 0;
}
