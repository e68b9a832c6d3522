import type { ChangeResourceRecordSetsCommandOutput, ResourceRecordSet, Route53Client } from '@aws-sdk/client-route-53';
import { decideChange, normaliseName } from '../../decide/change.ts';
import type { Route53Config } from '../../model/config.ts';
import { UnderstudyError } from '../../model/error.ts';
import type { OwnedRecord, RecordType } from '../../model/record.ts';
import { nameInZone, recordInZone } from '../in-zone.ts';
import { inTurn } from '../in-turn.ts';
import { markerName } from '../marker.ts';
import type { Applied, Read, RecordProvider, Verified } from '../provider.ts';
import { judge } from '../record-sets.ts';
import type { ResolveSecret } from '../rfc2136/rfc2136.ts';
import { batchOf, judgeSets, readName } from './sets.ts';
import type { Seen } from './sets.ts';
import { troubleOf } from './trouble.ts';
import type { RequestTrouble } from './trouble.ts';

type Sdk = typeof import('@aws-sdk/client-route-53');
type Asked<T> = { readonly outcome: 'answer'; readonly answer: T } | RequestTrouble;

/** A batch that is refused though all is as read is not refused because of a race. */
const MOST_CONTRADICTIONS = 3;
const MOST_WEIGHT = 255;

/**
 * Amazon Route 53. One batch deletes record and marker exactly as they were read and creates them as wanted: Route 53 does all of it or
 * nothing, and deletes only what is as told, so that it is a compare-and-set. It answers 5 requests a second for an account: the writers
 * of one process take turns.
 *
 * @see https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 */
export class Route53Provider implements RecordProvider {
  readonly kind = 'route53';
  readonly compareAndSet = 'atomic';
  readonly #config: Route53Config;
  readonly #zone: string;
  readonly #resolveSecret: ResolveSecret;
  /** Ids of this process's own changes that were not yet seen everywhere, by record. */
  readonly #pending = new Map<string, string>();

  constructor(config: Route53Config, resolveSecret: ResolveSecret) {
    this.#config = config;
    this.#zone = normaliseName(config.zone);
    this.#resolveSecret = resolveSecret;
  }

  async read(raw: string, type: RecordType, signal: AbortSignal, setIdentifier?: string): Promise<Read> {
    const name = nameInZone(raw, this.#zone);
    const seen = await this.#with(signal, (ask) => look(ask, name, type, setIdentifier));
    return seen.outcome === 'answer' ? { outcome: 'found', found: seen.answer.found } : asTrouble(seen);
  }

  async apply(raw: OwnedRecord, signal: AbortSignal): Promise<Applied> {
    const wanted = this.#recordHere(raw);
    return inTurn(`route53 ${this.#config.zoneId} ${wanted.name}`, () => this.#with(signal, (ask) => this.#replace(ask, wanted)));
  }

  async #replace(ask: Ask, wanted: OwnedRecord): Promise<Applied> {
    let last: string | undefined;
    let contradictions = 0;
    for (;;) {
      const seen = await look(ask, wanted.name, wanted.type, wanted.routing?.setIdentifier);
      if (seen.outcome !== 'answer') return asTrouble(seen);
      const { found } = seen.answer;
      const text = JSON.stringify(seen.answer);
      if (text === last) contradictions += 1;
      const change = decideChange(found, wanted, last !== undefined && text !== last);
      if (change.change === 'already') return { outcome: 'already', record: wanted };
      if (change.change === 'lost-race' || change.change === 'foreign-owner')
        return { outcome: change.change, found, words: `${wanted.name} ${wanted.type}: ${change.words}` };
      const sent = await ask.change(seen.answer, wanted);
      if (sent.outcome === 'answer') {
        this.#pending.set(keyOf(wanted), sent.answer.ChangeInfo?.Id ?? '');
        return { outcome: 'applied', record: wanted };
      }
      if (sent.outcome !== 'changed-meanwhile') return sent;
      if (contradictions >= MOST_CONTRADICTIONS) return { outcome: 'refused', words: `${wanted.name} ${wanted.type}: ${sent.words}` };
      last = text;
    }
  }

  /** That it is there, and, of a change by this process, that all of Route 53's servers have it: `INSYNC`. */
  async verify(raw: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    const wanted = this.#recordHere(raw);
    return this.#with(signal, async (ask) => {
      const seen = await look(ask, wanted.name, wanted.type, wanted.routing?.setIdentifier);
      if (seen.outcome !== 'answer') return asTrouble(seen);
      const there = judge(seen.answer.found, wanted, 'Route 53');
      const id = this.#pending.get(keyOf(wanted));
      if (there.outcome !== 'verified' || id === undefined) return there;
      const state = await ask.changeState(id);
      if (state.outcome !== 'answer') return asTrouble(state);
      if (state.answer !== 'INSYNC')
        return { outcome: 'not-yet', words: `Route 53 has taken the change, and not all of its servers have it yet (${state.answer})` };
      this.#pending.delete(keyOf(wanted));
      return there;
    });
  }

  #recordHere({ routing, ...raw }: OwnedRecord): OwnedRecord {
    const record = recordInZone(raw, this.#zone);
    if (routing === undefined) return record;
    const { setIdentifier, policy } = routing;
    const bad = (words: string): UnderstudyError => new UnderstudyError('BadInput', `${record.name} ${record.type}: ${words}`, { name: record.name });
    if (!/^[\u0020-\u007e]{1,128}$/.test(setIdentifier)) throw bad(`${JSON.stringify(setIdentifier)} is no set identifier: 1 to 128 characters`);
    if (policy.kind === 'weighted' && !(Number.isInteger(policy.weight) && policy.weight >= 0 && policy.weight <= MOST_WEIGHT))
      throw bad(`${policy.weight} is no weight: a whole number from 0 to ${MOST_WEIGHT}`);
    if (policy.kind === 'geolocation' && (policy.continent === undefined) === (policy.country === undefined))
      throw bad('a geolocation is a continent or a country');
    return { ...record, routing };
  }

  /** The key is read each time, so that a changed one needs no restart; AWS' client is loaded by whoever needs it alone. */
  async #with<T>(signal: AbortSignal, act: (ask: Ask) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const sdk = await import('@aws-sdk/client-route-53');
    const { region, endpoint, credentials } = this.#config;
    const client = new sdk.Route53Client({
      region,
      maxAttempts: 1,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined
        ? {}
        : { credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: await this.#resolveSecret(credentials.secretAccessKey) } }),
    });
    try {
      return await act(new Ask(sdk, client, this.#config, signal));
    } finally {
      client.destroy();
    }
  }
}

const keyOf = ({ name, type, routing }: OwnedRecord): string => `${name} ${type} ${routing?.setIdentifier ?? ''}`;

/** Only a change can lose a race; where a question is answered so, it was refused. */
function asTrouble(trouble: RequestTrouble): Exclude<RequestTrouble, { outcome: 'changed-meanwhile' }> {
  return trouble.outcome === 'changed-meanwhile' ? { outcome: 'refused', words: trouble.words } : trouble;
}

/** Record and marker are two questions, so what looks half written is asked again. */
async function look(ask: Ask, name: string, type: RecordType, identifier: string | undefined): Promise<Asked<Seen>> {
  const markers = (): Promise<Asked<ResourceRecordSet[]>> => ask.setsAt(markerName(name, type));
  const [values, marker] = await Promise.all([ask.setsAt(name), markers()]);
  if (values.outcome !== 'answer') return values;
  if (marker.outcome !== 'answer') return marker;
  const seen = judgeSets([...values.answer, ...marker.answer], name, type, identifier);
  if (seen.found.state !== 'unowned' || seen.marker !== undefined) return { outcome: 'answer', answer: seen };
  const again = await markers();
  return again.outcome === 'answer' ? { outcome: 'answer', answer: judgeSets([...values.answer, ...again.answer], name, type, identifier) } : again;
}

/** The requests that are made, each within its time. */
class Ask {
  readonly #sdk: Sdk;
  readonly #client: Route53Client;
  readonly #config: Route53Config;
  readonly #signal: AbortSignal;

  constructor(sdk: Sdk, client: Route53Client, config: Route53Config, signal: AbortSignal) {
    this.#sdk = sdk;
    this.#client = client;
    this.#config = config;
    this.#signal = signal;
  }

  /** All sets at that name. They are listed from there on, and may take several pages. */
  async setsAt(name: string): Promise<Asked<ResourceRecordSet[]>> {
    const sets: ResourceRecordSet[] = [];
    let from: { StartRecordName: string; StartRecordType?: ResourceRecordSet['Type']; StartRecordIdentifier?: string | undefined } = { StartRecordName: name };
    let before: string | undefined;
    for (;;) {
      const start = from;
      const page = await this.#send((abortSignal) =>
        this.#client.send(new this.#sdk.ListResourceRecordSetsCommand({ HostedZoneId: this.#config.zoneId, ...start }), { abortSignal }),
      );
      if (page.outcome !== 'answer') return page;
      const first = JSON.stringify(page.answer.ResourceRecordSets?.[0]);
      if (first !== undefined && first === before) return { outcome: 'refused', words: `Route 53 lists the same page of ${name} again and again` };
      before = first;
      const { ResourceRecordSets = [], IsTruncated, NextRecordName, NextRecordType, NextRecordIdentifier } = page.answer;
      sets.push(...ResourceRecordSets.filter((set) => readName(set.Name ?? '').toLowerCase() === name));
      if (IsTruncated !== true || NextRecordName === undefined || readName(NextRecordName).toLowerCase() !== name) return { outcome: 'answer', answer: sets };
      from = { StartRecordName: NextRecordName, StartRecordType: NextRecordType, StartRecordIdentifier: NextRecordIdentifier };
    }
  }

  change(seen: Seen, wanted: OwnedRecord): Promise<Asked<ChangeResourceRecordSetsCommandOutput>> {
    const Changes = batchOf(seen, wanted);
    return this.#send((abortSignal) =>
      this.#client.send(new this.#sdk.ChangeResourceRecordSetsCommand({ HostedZoneId: this.#config.zoneId, ChangeBatch: { Changes } }), { abortSignal }),
    );
  }

  async changeState(id: string): Promise<Asked<string>> {
    const got = await this.#send((abortSignal) => this.#client.send(new this.#sdk.GetChangeCommand({ Id: id }), { abortSignal }));
    return got.outcome === 'answer' ? { outcome: 'answer', answer: got.answer.ChangeInfo?.Status ?? 'unknown' } : got;
  }

  async #send<T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<Asked<T>> {
    const { timeoutMs } = this.#config;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return { outcome: 'answer', answer: await send(AbortSignal.any([this.#signal, timeout])) };
    } catch (error) {
      this.#signal.throwIfAborted();
      const trouble = troubleOf(error, timeout.aborted, timeoutMs);
      if (trouble === undefined) throw error;
      return trouble;
    }
  }
}
