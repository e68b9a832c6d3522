import { UnderstudyError } from '../model/error.ts';
import type { HttpProbeConfig, JsonCondition } from '../model/probe.ts';
import { wallTimeMs } from '../runtime/clock.ts';
import { bounded } from './bounded.ts';
import type { Found } from './bounded.ts';
import { HttpExchange, parseUrl } from './http-exchange.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { atPath } from './json-path.ts';
import type { Look, Probe } from './probe.ts';

const ANY_SUCCESS = [[200, 299]] as const;
const DAY_MS = 86_400_000;

/** Asks a URL and holds the answer against every condition that was given. */
export class HttpProbe implements Probe {
  readonly kind = 'http';
  readonly #config: HttpProbeConfig;
  readonly #exchange: HttpExchange;
  readonly #matches: RegExp | undefined;

  /** @throws UnderstudyError `ConfigInvalid` for a URL or a regular expression that is none */
  constructor(config: HttpProbeConfig) {
    this.#config = config;
    this.#exchange = new HttpExchange(parseUrl(config.url), config.method ?? 'GET', config.headers ?? {}, config.tls);
    this.#matches = config.body?.matches === undefined ? undefined : parsePattern(config.body.matches);
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) =>
      this.#exchange.start(ending, (answer) => {
        const found = this.#judge(answer);
        ending.settle(found.outcome === 'up' ? found : { ...found, words: `${this.#exchange.who}: ${found.words}` });
      }),
    );
  }

  async close(): Promise<void> {
    this.#exchange.close();
  }

  #judge({ status, body, cut, certificateEndsMs }: HttpAnswer): Found {
    const { json, read, tls } = this.#config;
    if (!this.#isExpected(status)) return down(`answered ${status}`);
    if (tls?.expiresWithinMs !== undefined && certificateEndsMs !== undefined) {
      // A certificate ends by the wall clock, which is its clients' measure too.
      const leftMs = certificateEndsMs - wallTimeMs();
      if (leftMs < tls.expiresWithinMs)
        return down(`its certificate ends on ${new Date(certificateEndsMs).toISOString()}, in ${(leftMs / DAY_MS).toFixed(1)} days`);
    }
    if (this.#config.body === undefined && json === undefined && read === undefined) return { outcome: 'up' };
    if (cut) return down('its body is larger than 1 MB');
    const { contains } = this.#config.body ?? {};
    if (contains !== undefined && !body.includes(contains)) return down(`its body does not contain ${JSON.stringify(contains)}`);
    if (this.#matches !== undefined && !this.#matches.test(body)) return down(`its body does not match ${this.#matches}`);
    return json === undefined && read === undefined ? { outcome: 'up' } : judgeJson(body, json, read);
  }

  #isExpected(status: number): boolean {
    return (this.#config.status ?? ANY_SUCCESS).some((one) => (typeof one === 'number' ? status === one : status >= one[0] && status <= one[1]));
  }
}

const down = (words: string): Found => ({ outcome: 'down', words });

function judgeJson(body: string, json: JsonCondition | undefined, read: string | undefined): Found {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return down('its body is no JSON');
    throw error;
  }
  const complaint = json === undefined ? undefined : complaintOf(atPath(value, json.path), json);
  if (complaint !== undefined) return down(complaint);
  if (read === undefined) return { outcome: 'up' };
  const reading = atPath(value, read);
  // An answer without the reading is well-formed: the service works, and only the figure is not known.
  if (typeof reading !== 'number') return { outcome: 'unknown', words: `${read} is ${say(reading)}, no number to read` };
  return { outcome: 'up', value: reading };
}

function complaintOf(value: unknown, { path, equals, above, below }: JsonCondition): string | undefined {
  if (value === undefined) return `${path} is not in its body`;
  if (equals !== undefined && value !== equals) return `${path} is ${say(value)}, not ${say(equals)}`;
  if (above === undefined && below === undefined) return undefined;
  if (typeof value !== 'number') return `${path} is ${say(value)}, no number`;
  if (above !== undefined && value <= above) return `${path} is ${value}, not above ${above}`;
  if (below !== undefined && value >= below) return `${path} is ${value}, not below ${below}`;
  return undefined;
}

function say(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    throw new UnderstudyError('ConfigInvalid', `a probe's pattern is no regular expression: ${(error as Error).message}`, { matches: text }, error);
  }
}
