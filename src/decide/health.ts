import type { Health } from '../model/health.ts';
import type { Verdict } from '../model/verdict.ts';

/** One named check of a service, as it stands. */
export interface CheckStanding {
  readonly name: string;
  /** Where it fails, the service is unhealthy; one that is not makes it degraded. */
  readonly critical: boolean;
  readonly verdict: Verdict;
  /** Of the last look that counted. */
  readonly seenAtMs?: number;
  readonly words?: string;
}

export interface HealthDecision {
  readonly status: Health;
  /** The checks that make it so. */
  readonly because: readonly string[];
  readonly words: string;
}

/**
 * The one status of a service.
 *
 * What is known to be broken is said even where something else is not known. It is healthy only where every check is fresh and good: a critical one that is not
 * known makes the whole unknown, which counts neither as healthy nor as unhealthy; one that is not critical leaves it to the others, and is named.
 *
 * @param freshMs a look that is older says nothing any more; a verdict without a look never did
 */
export function decideHealth(checks: readonly CheckStanding[], { freshMs, nowMs }: { readonly freshMs: number; readonly nowMs: number }): HealthDecision {
  const known = checks.map((check) => (isFresh(check, freshMs, nowMs) ? check : { ...check, verdict: 'unknown' as const }));
  const named = (of: readonly CheckStanding[]): string =>
    of.map(({ name, words }) => (words === undefined || words === '' ? name : `${name} (${words})`)).join(', ');
  const status = (kind: Health, of: readonly CheckStanding[], words: string): HealthDecision => ({ status: kind, because: of.map(({ name }) => name), words });

  const failing = known.filter(({ verdict }) => verdict === 'down');
  const critical = failing.filter((check) => check.critical);
  if (critical.length > 0) return status('unhealthy', critical, `fails: ${named(critical)}`);
  const unseen = known.filter(({ verdict }) => verdict === 'unknown');
  const unseenCritical = unseen.filter((check) => check.critical);
  if (unseenCritical.length > 0) return status('unknown', unseenCritical, `not known: ${named(unseenCritical)}`);
  if (failing.length > 0) return status('degraded', failing, `fails, and is not critical: ${named(failing)}`);
  if (unseen.length === known.length) return status('unknown', unseen, unseen.length === 0 ? 'it has no checks' : `not known: ${named(unseen)}`);
  const rest = unseen.length === 0 ? '' : `; not known, and not critical: ${named(unseen)}`;
  return status('healthy', [], `${known.length - unseen.length} of ${known.length} checks pass${rest}`);
}

/** A clock that went backwards makes no look fresh for ever: what is said to come from the future is not believed either. */
function isFresh({ verdict, seenAtMs }: CheckStanding, freshMs: number, nowMs: number): boolean {
  return verdict !== 'unknown' && seenAtMs !== undefined && Math.abs(nowMs - seenAtMs) <= freshMs;
}
