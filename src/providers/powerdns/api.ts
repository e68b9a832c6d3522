import { z } from 'zod';
import type { PowerdnsConfig } from '../../model/config.ts';
import { askHttp, readJson } from '../http.ts';
import type { HttpLimits } from '../http.ts';
import type { Trouble } from '../provider.ts';
import { readSet } from '../record-sets.ts';
import type { RecordSet } from '../record-sets.ts';

const Zone = z.object({
  rrsets: z.array(z.object({ name: z.string(), type: z.string(), ttl: z.int(), records: z.array(z.object({ content: z.string() })) })),
});
const Refusal = z.object({ error: z.string() });

/** The zone's part of PowerDNS' HTTP API. @see https://doc.powerdns.com/authoritative/http-api/zone.html */
export class PowerdnsApi {
  readonly #url: string;
  readonly #where: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #limits: HttpLimits;

  constructor({ url, server, zone, timeoutMs }: PowerdnsConfig, key: string, signal: AbortSignal) {
    this.#url = `${url.replace(/\/+$/, '')}/api/v1/servers/${encodeURIComponent(server)}/zones/${encodeURIComponent(zone)}`;
    this.#where = new URL(url).host;
    this.#headers = { 'x-api-key': key, 'content-type': 'application/json' };
    this.#limits = { timeoutMs, signal };
  }

  /** All sets at that name; those of a disabled record too, which somebody keeps there. */
  async setsAt(name: string): Promise<{ readonly outcome: 'sets'; readonly sets: readonly RecordSet[] } | Trouble> {
    const answer = await askHttp(`${this.#url}?rrset_name=${encodeURIComponent(name)}`, { headers: this.#headers }, this.#limits);
    if (answer.outcome !== 'answer') return answer;
    if (answer.status !== 200) return this.#refusal(answer.status, answer.body);
    const zone = Zone.safeParse(readJson(answer.body));
    if (!zone.success) return { outcome: 'refused', words: `${this.#where} answered 200 with what is no zone of PowerDNS: is it its API?` };
    // A server before 4.6 knows no rrset_name and answers the whole zone.
    const sets = zone.data.rrsets.flatMap(
      (set) => readSet({ name: set.name, type: set.type, ttlSeconds: set.ttl, values: set.records.map(({ content }) => content) }) ?? [],
    );
    return { outcome: 'sets', sets: sets.filter((set) => set.name === name) };
  }

  /** Replaces the sets in one transaction, whatever is there. */
  async replace(sets: readonly RecordSet[]): Promise<{ readonly outcome: 'replaced' } | Trouble> {
    const rrsets = sets.map(({ name, type, ttlSeconds, values }) => ({
      name,
      type,
      ttl: ttlSeconds,
      changetype: 'REPLACE',
      records: values.map((content) => ({ content, disabled: false })),
    }));
    const answer = await askHttp(this.#url, { method: 'PATCH', headers: this.#headers, body: JSON.stringify({ rrsets }) }, this.#limits);
    if (answer.outcome !== 'answer') return answer;
    return answer.status === 204 ? { outcome: 'replaced' } : this.#refusal(answer.status, answer.body);
  }

  #refusal(status: number, body: string): Trouble {
    const said = Refusal.safeParse(readJson(body));
    const words = `${this.#where} answered ${status}${said.success ? ` (${said.data.error})` : ''}`;
    if (status === 401 || status === 403) return { outcome: 'key-refused', words };
    return { outcome: status >= 500 && !said.success ? 'unreachable' : 'refused', words };
  }
}
