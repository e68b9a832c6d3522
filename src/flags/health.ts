import { assertNever } from '../model/assert-never.ts';
import type { CheckState, Health, HealthStatus } from '../model/health.ts';

/** What a load balancer is answered where a service's health is unknown. */
export type UnknownHealth = 200 | 503;

export interface HealthAnswer {
  readonly code: 200 | 503;
  /** Of the type `application/health+json`. */
  readonly body: Buffer;
}

type Word = 'pass' | 'warn' | 'fail';

/**
 * A service's health as load balancers and dashboards read it.
 *
 * Unknown is neither healthy nor unhealthy, and a load balancer knows only the two. It keeps the server (200, `warn`) unless told otherwise: observers who see
 * nothing see nothing of all services at once, and 503 would take every server out for that.
 *
 * @param detailed with the checks and words; without, the status alone, for whoever shows no key
 * @see draft-inadarei-api-health-check-06
 */
export function healthAnswer(health: HealthStatus, unknownIs: UnknownHealth, detailed: boolean): HealthAnswer {
  const status = wordOf(health.status, unknownIs);
  const short = { status, serviceId: health.service, understudy: health.status };
  const checks = Object.entries(health.checks).map(([name, { critical, state, words, atMs, value }]) => [
    name,
    [
      {
        status: checkWord(state, critical),
        time: new Date(atMs).toISOString(),
        critical,
        ...(words === undefined ? {} : { output: words }),
        ...(value === undefined ? {} : { observedValue: value }),
      },
    ],
  ]);
  const whole = detailed ? { ...short, output: health.words, checks: Object.fromEntries(checks) as object } : short;
  return { code: status === 'fail' ? 503 : 200, body: Buffer.from(`${JSON.stringify(whole)}\n`) };
}

function wordOf(status: Health, unknownIs: UnknownHealth): Word {
  switch (status) {
    case 'healthy':
      return 'pass';
    case 'degraded':
      return 'warn';
    case 'unhealthy':
      return 'fail';
    case 'unknown':
      return unknownIs === 200 ? 'warn' : 'fail';
    default:
      return assertNever(status);
  }
}

function checkWord(state: CheckState, critical: boolean): Word {
  if (state === 'pass') return 'pass';
  return state === 'fail' && critical ? 'fail' : 'warn';
}
