import { decideChange, normaliseName } from '../../decide/change.ts';
import type { Rfc2136Config, SecretRef } from '../../model/config.ts';
import type { OwnedRecord, RecordType } from '../../model/record.ts';
import { nameInZone, recordInZone } from '../in-zone.ts';
import type { Applied, Read, RecordProvider, Trouble, Verified } from '../provider.ts';
import { judge as judgeFound } from '../record-sets.ts';
import { query, update } from './ask.ts';
import { makeChangeSet } from './change-set.ts';
import { sayServer } from './exchange.ts';
import type { Limits } from './exchange.ts';
import { look } from './look.ts';
import type { Seen } from './look.ts';
import { RCODE, rcodeName } from './message.ts';
import { TYPE } from './rdata.ts';
import { makeKey } from './tsig.ts';
import type { TsigKey } from './tsig.ts';

/** Reads the secret that a configuration names (I9). @throws UnderstudyError `SecretMissing` */
export type ResolveSecret = (ref: SecretRef) => string | Promise<string>;

/** A server that says a prerequisite does not hold, and answers as before when asked, is not racing us. */
const MOST_CONTRADICTIONS = 3;

/** DNS UPDATE (RFC 2136) signed with TSIG (RFC 8945), as BIND, Knot, PowerDNS and our development server speak it. */
export class Rfc2136Provider implements RecordProvider {
  readonly kind = 'rfc2136';
  readonly compareAndSet = 'atomic';
  readonly #config: Rfc2136Config;
  readonly #zone: string;
  readonly #resolveSecret: ResolveSecret;

  constructor(config: Rfc2136Config, resolveSecret: ResolveSecret) {
    this.#config = config;
    this.#zone = normaliseName(config.zone);
    this.#resolveSecret = resolveSecret;
  }

  async read(name: string, type: RecordType, signal: AbortSignal): Promise<Read> {
    const seen = await this.#look(nameInZone(name, this.#zone), type, await this.#key(), this.#limits(signal));
    return seen.outcome === 'seen' ? { outcome: 'found', found: seen.found } : seen;
  }

  async apply(raw: OwnedRecord, signal: AbortSignal): Promise<Applied> {
    const wanted = recordInZone(raw, this.#zone);
    const [key, limits] = [await this.#key(), this.#limits(signal)];
    let last: Seen | undefined;
    let raced = false;
    let contradictions = 0;
    // Each turn but the first follows a change by somebody else, and the highest epoch ends it.
    for (;;) {
      const seen = await this.#look(wanted.name, wanted.type, key, limits);
      if (seen.outcome !== 'seen') return seen;
      if (last !== undefined && sameSets(seen, last)) contradictions += 1;
      else raced = last !== undefined;
      const change = decideChange(seen.found, wanted, raced);
      if (change.change === 'already') return { outcome: 'already', record: wanted };
      if (change.change === 'lost-race' || change.change === 'foreign-owner')
        return { outcome: change.change, found: seen.found, words: `${wanted.name} ${wanted.type}: ${change.words}` };
      const sent = await this.#send(seen, wanted, key, limits);
      if (sent.outcome === 'applied') return { outcome: 'applied', record: wanted };
      if (sent.outcome !== 'changed-meanwhile') return sent;
      if (contradictions >= MOST_CONTRADICTIONS)
        return {
          outcome: 'refused',
          words: `${sayServer(this.#config.server)} answered ${sent.rcode} to the update of ${wanted.name} ${wanted.type}, though it shows what the update asks for: another type may stand at that name`,
        };
      last = seen;
    }
  }

  async verify(raw: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    const wanted = recordInZone(raw, this.#zone);
    const [key, limits] = [await this.#key(), this.#limits(signal)];
    const { server, secondaries } = this.#config;
    // A secondary serves the public and need not know our key.
    const looks = [
      this.#look(wanted.name, wanted.type, key, limits),
      ...secondaries.map((secondary) => look(secondary, wanted.name, wanted.type, undefined, limits)),
    ];
    const servers = [server, ...secondaries].map(sayServer);
    const answers = (await Promise.all(looks)).map((seen, index) => judge(seen, wanted, servers[index]!));
    const trouble = answers.find((answer): answer is Trouble => answer.outcome !== 'verified' && answer.outcome !== 'not-yet');
    if (trouble !== undefined) return trouble;
    const late = answers.filter((answer) => answer.outcome === 'not-yet');
    if (late.length > 0) return { outcome: 'not-yet', words: late.map(({ words }) => words).join('; ') };
    return { outcome: 'verified', servers };
  }

  async #look(name: string, type: RecordType, key: TsigKey, limits: Limits): Promise<Seen | Trouble> {
    const seen = await look(this.#config.server, name, type, key, limits);
    return seen.outcome === 'seen' ? seen : this.#explain(seen, limits);
  }

  /**
   * Knot answers a zone that it does not hold as a key that it does not know, since its keys belong to zones: a question without a key
   * tells the two apart.
   */
  async #explain(trouble: Trouble, limits: Limits): Promise<Trouble> {
    if (trouble.outcome !== 'key-refused') return trouble;
    const plain = await query(this.#config.server, this.#zone, TYPE.SOA, undefined, limits);
    if (plain.outcome !== 'answer') return trouble;
    const { reply } = plain;
    if (reply.authoritative && reply.answer.some((record) => record.type === TYPE.SOA && record.name.toLowerCase() === this.#zone)) return trouble;
    return {
      outcome: 'refused',
      words: `${trouble.words}; asked without a key it shows no zone ${this.#zone} (${rcodeName(reply.rcode)}): it does not hold that zone, or answers nobody without a key that it knows`,
    };
  }

  async #send(
    seen: Seen,
    wanted: OwnedRecord,
    key: TsigKey,
    limits: Limits,
  ): Promise<{ outcome: 'applied' } | { outcome: 'changed-meanwhile'; rcode: string } | Trouble> {
    const { prerequisites, updates } = makeChangeSet(seen, wanted);
    const answer = await update(this.#config.server, { name: this.#zone, type: TYPE.SOA }, prerequisites, updates, key, limits);
    if (answer.outcome !== 'answer') return this.#explain(answer, limits);
    const rcode = rcodeName(answer.reply.rcode);
    switch (answer.reply.rcode) {
      case RCODE.NOERROR:
        return { outcome: 'applied' };
      case RCODE.NXRRSET:
      case RCODE.YXRRSET:
      case RCODE.NXDOMAIN:
      case RCODE.YXDOMAIN:
        return { outcome: 'changed-meanwhile', rcode };
      default:
        return {
          outcome: 'refused',
          words: `${sayServer(this.#config.server)} answered ${rcode} to the update of ${wanted.name} ${wanted.type} in zone ${this.#zone}`,
        };
    }
  }

  /** Read each time, so that a changed secret needs no restart. */
  async #key(): Promise<TsigKey> {
    const { name, algorithm, secret } = this.#config.tsig;
    return makeKey(name, algorithm, await this.#resolveSecret(secret));
  }

  #limits(signal: AbortSignal): Limits {
    return { timeoutMs: this.#config.timeoutMs, signal };
  }
}

function judge(seen: Seen | Trouble, wanted: OwnedRecord, server: string): Verified {
  if (seen.outcome !== 'seen') return seen;
  return judgeFound(seen.found, wanted, server);
}

function sameSets(a: Seen, b: Seen): boolean {
  const text = ({ values, marker, found }: Seen): string =>
    JSON.stringify([found, ...[values, marker].map((set) => set.map(({ rdata }) => rdata.toString('hex')).sort())]);
  return text(a) === text(b);
}
