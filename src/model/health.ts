export type CheckState = 'pass' | 'fail' | 'unknown';

/** One check's last result. */
export interface CheckResult {
  /** A critical one that fails makes its service unhealthy; another makes it degraded. */
  readonly critical: boolean;
  readonly state: CheckState;
  readonly words?: string;
  /** When it was looked at, by the wall clock. */
  readonly atMs: number;
  readonly value?: number;
}

/** `unknown`: too few fresh results to say. It is never counted as healthy or as unhealthy. */
export type Health = 'healthy' | 'degraded' | 'unhealthy' | 'unknown';

export interface HealthStatus {
  readonly service: string;
  readonly status: Health;
  readonly words: string;
  /** By the check's name. */
  readonly checks: Readonly<Record<string, CheckResult>>;
}
