import type { PrometheusProbeConfig } from '../model/probe.ts';
import { bounded } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import { HttpExchange, parseUrl } from './http-exchange.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { atPath } from './json-path.ts';
import type { Look, Probe } from './probe.ts';
import { meaningOf } from './trouble.ts';

/**
 * Reads one number by an instant query.
 *
 * @see Prometheus documentation, "HTTP API", instant queries
 */
export class PrometheusProbe implements Probe {
  readonly kind = 'prometheus';
  readonly #config: PrometheusProbeConfig;
  readonly #exchange: HttpExchange;

  /** @throws UnderstudyError `ConfigInvalid` for a URL that is none */
  constructor(config: PrometheusProbeConfig) {
    this.#config = config;
    const url = parseUrl(config.url);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/api/v1/query`;
    url.searchParams.set('query', config.query);
    this.#exchange = new HttpExchange(url, 'GET', {});
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => {
      const onlyUnknown = neverDown(ending);
      return this.#exchange.start(onlyUnknown, (answer) => {
        const found = judge(answer);
        onlyUnknown.settle(found.outcome === 'up' ? found : { ...found, words: `${this.#exchange.who}: ${found.words}` });
      });
    });
  }

  async close(): Promise<void> {
    this.#exchange.close();
  }
}

/** Prometheus is a way to see, as the network is: where it fails we are blind, and nobody is down (I3). */
function neverDown(ending: Ending): Ending {
  ending.at('beginning', 'ours');
  return {
    settle: (found) => ending.settle(found.outcome === 'down' ? { outcome: 'unknown', words: found.words } : found),
    fail: (who, error) => ending.settle({ outcome: 'unknown', words: `${who}: ${meaningOf(error).words}` }),
    at: (stage) => ending.at(stage, 'ours'),
  };
}

function judge({ status, body, cut }: HttpAnswer): Found {
  const unknown = (words: string): Found => ({ outcome: 'unknown', words });
  if (cut) return unknown('its answer is larger than 1 MB');
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return unknown(`answered ${status} with what is no JSON`);
    throw error;
  }
  if (atPath(answer, 'status') !== 'success') return unknown(`answered ${status}: ${JSON.stringify(atPath(answer, 'error')) ?? 'no success'}`);
  const type = atPath(answer, 'data.resultType');
  const result = atPath(answer, 'data.result');
  if (type === 'vector' && Array.isArray(result) && result.length !== 1)
    return unknown(result.length === 0 ? 'has no such series now' : `has ${result.length} series, where one is needed`);
  const text = atPath(answer, type === 'vector' ? 'data.result.0.value.1' : 'data.result.1');
  const value = typeof text === 'string' && type !== 'string' ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? { outcome: 'up', value } : unknown(`gave ${JSON.stringify(text) ?? 'nothing'}, no number to read`);
}
