import { z } from 'zod';

const JsonSchema = z.json();

/** A feature's value: a switch, a word, a number, or plain JSON. */
export const FlagValueSchema = z.union([z.boolean(), z.string(), z.number(), z.record(z.string(), JsonSchema)]);
export type FlagValue = z.infer<typeof FlagValueSchema>;

/** What a service offers right now, as it was last announced. */
export const ServiceFlagsSchema = z.strictObject({
  service: z.string().min(1),
  /** The level's name: `full`, `degraded`, or what the configuration calls it. */
  level: z.string().min(1),
  /** 0 to 100; left out where nothing was read yet. */
  score: z.number().optional(),
  /** By the flag's key. */
  features: z.record(z.string().min(1), FlagValueSchema),
  /** Rises with each change, so that of two announcements the later one is known whatever order they come in. */
  revision: z.int().nonnegative(),
  /** When the level began, by the wall clock: for people, never for a rule. */
  sinceMs: z.number(),
  pinned: z.strictObject({ by: z.string(), reason: z.string(), untilMs: z.number() }).optional(),
});
export type ServiceFlags = z.infer<typeof ServiceFlagsSchema>;

/** The flag that every service has besides its features: its level's name. */
export const LEVEL_FLAG = 'understudy.level';

/** Every flag of a service. The level is ours to tell: a feature of the same key is not heard. */
export function allFlags({ level, features }: ServiceFlags): Map<string, FlagValue> {
  return new Map([...Object.entries(features), [LEVEL_FLAG, level]]);
}

/** The value's name: a switch is on or off, anything else is what its level gives. */
export function variantOf(value: FlagValue, level: string): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : level;
}
