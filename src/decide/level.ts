import { inWords } from './hold.ts';
import type { Score } from './score.ts';

/** A level of service and the least score that makes it; the best one first, the last one has none. */
export interface LevelRule {
  readonly name: string;
  /** Left out for the last one: every score makes at least that. */
  readonly from?: number;
}

export const DEFAULT_LEVELS: readonly LevelRule[] = [
  { name: 'full', from: 80 },
  { name: 'degraded', from: 60 },
  { name: 'minimal', from: 40 },
  { name: 'offline' },
];

export interface Recovery {
  /** For so long the score must have made a better level without a break. */
  readonly afterMs: number;
  /** One level at a time, each after that long; else at once to what the score makes. */
  readonly step: 'one' | 'all';
}

/** Said by an operator: this level, whatever the score is. */
export interface Pin {
  readonly level: string;
  readonly by: string;
  readonly reason: string;
  readonly untilMs: number;
}

/** A service's level and what a next decision must know: plain data, which a workflow carries along. */
export interface LevelState {
  readonly level: string;
  readonly sinceMs: number;
  /** Since when every score has made a better level than this one. */
  readonly betterSinceMs?: number;
  readonly pin?: Pin;
}

export interface LevelInput {
  readonly state: LevelState | undefined;
  readonly score: Score;
  readonly levels: readonly LevelRule[];
  readonly recovery: Recovery;
  readonly nowMs: number;
}

export interface LevelDecision {
  readonly state: LevelState;
  /** Told once: the level is another one than before. */
  readonly changed: boolean;
  readonly words: string;
  /** When the same question may have another answer though no reading changes. */
  readonly askAgainAtMs?: number;
}

/**
 * The level that follows. Down at once, up only after sustained health. A missing reading holds the level and begins the wait for a better one anew:
 * nobody knows that it was well meanwhile. Before anything is known it is the best one: what cannot be seen sheds no feature (I3). A pin outranks every score,
 * until its end.
 */
export function decideLevel({ state, score, levels, recovery, nowMs }: LevelInput): LevelDecision {
  const pin = state?.pin !== undefined && state.pin.untilMs > nowMs ? state.pin : undefined;
  const settle = (next: Omit<LevelState, 'pin'>, words: string, askAgainAtMs?: number): LevelDecision => ({
    state: { ...next, ...(pin === undefined ? {} : { pin }) },
    changed: next.level !== state?.level,
    words,
    ...(askAgainAtMs === undefined ? {} : { askAgainAtMs }),
  });
  const stay = (words: string, betterSinceMs?: number, askAgainAtMs?: number): LevelDecision => {
    const { level, sinceMs } = state ?? { level: levels[0]?.name ?? '', sinceMs: nowMs };
    return settle({ level, sinceMs, ...(betterSinceMs === undefined ? {} : { betterSinceMs }) }, words, askAgainAtMs);
  };

  if (pin !== undefined) {
    const words = `${pin.by} has pinned it to ${pin.level} for another ${inWords(pin.untilMs - nowMs)}: ${pin.reason}`;
    return pin.level === state?.level ? stay(words, undefined, pin.untilMs) : settle({ level: pin.level, sinceMs: nowMs }, words, pin.untilMs);
  }
  if (!score.known) return stay(state === undefined ? `${score.words}: nothing is known yet` : `${score.words}: ${state.level} is held`);
  const wanted = levelOf(score.score, levels);
  if (state === undefined) return settle({ level: wanted, sinceMs: nowMs }, `a score of ${score.score} makes ${wanted}`);
  const [now, next] = [rank(levels, state.level), rank(levels, wanted)];
  if (next === now) return stay(`a score of ${score.score} makes ${wanted}`);
  if (next > now) return settle({ level: wanted, sinceMs: nowMs }, `a score of ${score.score} makes ${wanted}: ${because(score)}`);

  // A clock that went backwards begins the wait anew rather than ends it.
  const betterSinceMs = Math.min(state.betterSinceMs ?? nowMs, nowMs);
  const leftMs = betterSinceMs + recovery.afterMs - nowMs;
  if (leftMs > 0) return stay(`a score of ${score.score} makes ${wanted}, and must for another ${inWords(leftMs)}`, betterSinceMs, nowMs + leftMs);
  const level = recovery.step === 'all' ? wanted : (levels[now - 1]?.name ?? wanted);
  const words = `a score of ${score.score} has made a better level for ${inWords(nowMs - betterSinceMs)}: ${level}`;
  return level === wanted ? settle({ level, sinceMs: nowMs }, words) : settle({ level, sinceMs: nowMs, betterSinceMs: nowMs }, words, nowMs + recovery.afterMs);
}

/** The best level whose limit this score reaches. */
export function levelOf(score: number, levels: readonly LevelRule[]): string {
  return levels.find(({ from }) => from === undefined || score >= from)?.name ?? lowest(levels);
}

const lowest = (levels: readonly LevelRule[]): string => levels.at(-1)?.name ?? '';

/** A level that the configuration no longer has counts as the worst: it is left only upwards, by the rules. */
function rank(levels: readonly LevelRule[], name: string): number {
  const at = levels.findIndex((level) => level.name === name);
  return at < 0 ? levels.length : at;
}

function because(score: Extract<Score, { known: true }>): string {
  return score.minus.map(({ points, words }) => `-${points} ${words}`).join(', ');
}
