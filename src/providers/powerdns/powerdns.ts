import type { HostPort, PowerdnsConfig } from '../../model/config.ts';
import { normaliseName } from '../../decide/change.ts';
import type { OwnedRecord, RecordType } from '../../model/record.ts';
import { nameInZone, recordInZone } from '../in-zone.ts';
import { inTurn } from '../in-turn.ts';
import { markerName } from '../marker.ts';
import type { Applied, Read, RecordProvider, Trouble, Verified } from '../provider.ts';
import { foundIn, judge, setsOf, stepTowards } from '../record-sets.ts';
import type { RecordSet } from '../record-sets.ts';
import { sayServer } from '../rfc2136/exchange.ts';
import { look } from '../rfc2136/look.ts';
import type { ResolveSecret } from '../rfc2136/rfc2136.ts';
import { PowerdnsApi } from './api.ts';

/** Each turn but the first follows a write that was overwritten at once. */
const MOST_TURNS = 5;

/**
 * PowerDNS by its HTTP API. A change replaces whatever is there, so that comparing and writing are two calls: within one process they
 * are taken in turn, two workers may still overwrite each other. Each change is read back. `rfc2136` with the same server has no such gap.
 */
export class PowerdnsProvider implements RecordProvider {
  readonly kind = 'powerdns';
  readonly compareAndSet = 'racy';
  readonly #config: PowerdnsConfig;
  readonly #zone: string;
  readonly #resolveSecret: ResolveSecret;

  constructor(config: PowerdnsConfig, resolveSecret: ResolveSecret) {
    this.#config = config;
    this.#zone = normaliseName(config.zone);
    this.#resolveSecret = resolveSecret;
  }

  async read(raw: string, type: RecordType, signal: AbortSignal): Promise<Read> {
    const name = nameInZone(raw, this.#zone);
    const seen = await this.#look(await this.#api(signal), name, type);
    return seen.outcome === 'sets' ? { outcome: 'found', found: foundIn(seen.sets, name, type) } : seen;
  }

  async apply(raw: OwnedRecord, signal: AbortSignal): Promise<Applied> {
    const wanted = recordInZone(raw, this.#zone);
    const fresh = setsOf(wanted);
    const api = await this.#api(signal);
    return inTurn(`${this.#config.url} ${wanted.name}`, async () => {
      for (let turn = 0; turn < MOST_TURNS; turn += 1) {
        const seen = await this.#look(api, wanted.name, wanted.type);
        if (seen.outcome !== 'sets') return seen;
        const step = stepTowards(seen.sets, wanted, turn > 0);
        // What was written in the turn before is there: this is the reading back.
        if (!step.write) return step.applied.outcome === 'already' && turn > 0 ? { outcome: 'applied', record: wanted } : step.applied;
        const written = await api.replace(fresh);
        if (written.outcome !== 'replaced') return written;
      }
      return {
        outcome: 'refused',
        words: `${wanted.name} ${wanted.type} was written ${MOST_TURNS} times, and each time something else stood there when it was read back`,
      };
    });
  }

  /** By the API, and by DNS from each server that is named: a server may answer from its cache for a while. */
  async verify(raw: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    const wanted = recordInZone(raw, this.#zone);
    const read = await this.read(wanted.name, wanted.type, signal);
    const own = read.outcome === 'found' ? judge(read.found, wanted, new URL(this.#config.url).host) : read;
    const answers = [own, ...(await Promise.all(this.#config.answering.map((server) => this.#ask(server, wanted, signal))))];
    const trouble = answers.find((answer): answer is Trouble => answer.outcome !== 'verified' && answer.outcome !== 'not-yet');
    if (trouble !== undefined) return trouble;
    const late = answers.flatMap((answer) => (answer.outcome === 'not-yet' ? [answer.words] : []));
    if (late.length > 0) return { outcome: 'not-yet', words: late.join('; ') };
    return { outcome: 'verified', servers: answers.flatMap((answer) => (answer.outcome === 'verified' ? answer.servers : [])) };
  }

  async #ask(server: HostPort, wanted: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    const seen = await look(server, wanted.name, wanted.type, undefined, { timeoutMs: this.#config.timeoutMs, signal });
    return seen.outcome === 'seen' ? judge(seen.found, wanted, sayServer(server)) : seen;
  }

  /** Record and marker are two questions, so what looks half written is asked again. */
  async #look(api: PowerdnsApi, name: string, type: RecordType): Promise<{ outcome: 'sets'; sets: readonly RecordSet[] } | Trouble> {
    const marker = markerName(name, type);
    const [values, mark] = await Promise.all([api.setsAt(name), api.setsAt(marker)]);
    if (values.outcome !== 'sets') return values;
    if (mark.outcome !== 'sets') return mark;
    if (values.sets.length === 0 || mark.sets.length > 0) return { outcome: 'sets', sets: [...values.sets, ...mark.sets] };
    const again = await api.setsAt(marker);
    return again.outcome === 'sets' ? { outcome: 'sets', sets: [...values.sets, ...again.sets] } : again;
  }

  /** The key is read each time, so that a changed one needs no restart. */
  async #api(signal: AbortSignal): Promise<PowerdnsApi> {
    signal.throwIfAborted();
    return new PowerdnsApi(this.#config, await this.#resolveSecret(this.#config.key), signal);
  }
}
