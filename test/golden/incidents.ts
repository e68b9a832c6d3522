import { elect, recordElection } from '../../src/decide/election.ts';
import type { Incident, IncidentOutcome, Step } from '../../src/model/incident.ts';
import { election, frozen, silent } from '../decide/world.ts';

/** 2026-03-01 12:00:00 UTC */
export const ZERO = 1_772_366_400_000;

const step = (name: Step['name'], from: number, to: number | undefined, member?: string, outcome: Step['outcome'] = 'done', words?: string): Step => ({
  name,
  startedAtMs: ZERO + from,
  outcome,
  ...(to === undefined ? {} : { endedAtMs: ZERO + to }),
  ...(member === undefined ? {} : { member }),
  ...(words === undefined ? {} : { words }),
});

const input = election();
const round = recordElection(input, elect(input), ZERO + 40);

export const failedOver: Incident = {
  id: 'failover/orders/8',
  group: 'orders',
  kind: 'failover',
  epoch: 8,
  cause: { kind: 'crashed', words: 'the server process ended by signal 9', knownAtMs: ZERO },
  actor: { kind: 'policy' },
  before: { primary: 'pg-a', epoch: 7, rule: input.rule, last: { timeline: 1, lsn: '0/5000000', ageMs: 200 } },
  evidence: [
    { atMs: ZERO - 2, by: 'agent of pg-a', words: 'the server process ended by signal 9' },
    { atMs: ZERO + 35, by: 'agent of pg-b', words: 'receiver gone, place 0/5000000' },
  ],
  elections: [round],
  steps: [
    step('inspect', 3, 38),
    step('elect', 38, 40),
    step('promote', 41, 180, 'pg-b'),
    step('publish', 181, 190),
    step('verify', 190, 255),
    step('first-write', 181, 240, 'pg-b'),
  ],
  records: [{ name: 'primary.orders.example.', type: 'A', provider: 'dns', outcome: 'applied', publishedAtMs: ZERO + 190, verifiedAtMs: ZERO + 255, attempts: 1 }],
  loss: { kind: 'none', words: 'no acknowledged write is lost: whatever 1 of pg-b, pg-c confirmed is on the new primary' },
  outcome: { outcome: 'done', primary: 'pg-b', epoch: 8, timeline: 2 },
};

export const switchedOver: Incident = {
  ...failedOver,
  id: 'switchover/orders/8',
  kind: 'switchover',
  cause: { kind: 'operator', words: 'asked for by ann', knownAtMs: ZERO },
  actor: { kind: 'person', name: 'ann', reason: 'new kernel | reboot <tonight>' },
  before: { primary: 'pg-a', epoch: 7, rule: input.rule, last: { timeline: 1, lsn: '0/5000028', exact: true } },
  evidence: [],
  steps: [
    step('check', 0, 30),
    step('checkpoint', 30, 900),
    step('step-down', 910, 1010, 'pg-a'),
    step('promote', 1010, 1130, 'pg-b', 'already'),
    step('publish', 1131, 1140),
    step('first-write', 1131, 1160, 'pg-b'),
    step('verify', 1140, undefined, undefined, 'running'),
  ],
  records: [
    { name: 'primary.orders.example.', type: 'A', provider: 'dns', outcome: 'applied', publishedAtMs: ZERO + 1140, verifiedAtMs: ZERO + 1150, attempts: 1 },
    { name: '_postgresql._tcp.orders.example.', type: 'SRV', provider: 'dns', outcome: 'foreign-owner', words: 'belongs to other/shop', attempts: 4 },
  ],
  loss: { kind: 'none', words: 'nothing is lost: the old primary was stopped in order at 0/5000028, and the new one has all of it' },
};

const tooFew = election({ answers: [frozen('pg-b'), silent('pg-c')] });

export const nobodyFit: Incident = {
  ...failedOver,
  cause: { kind: 'lease-expired', words: 'no heartbeat of the primary within its lease of 1000 ms: its node, its network or its agent is gone', knownAtMs: ZERO },
  elections: [recordElection(tooFew, elect(tooFew), ZERO + 540), recordElection(tooFew, elect(tooFew), ZERO + 2040)],
  steps: [step('inspect', 3, 503), step('elect', 503, 540, undefined, 'failed', 'too few answers')],
  records: [],
  loss: { kind: 'none', words: 'nobody was promoted' },
  outcome: { outcome: 'nobody-fit', words: elect(tooFew).words },
};

/** Other ends are told in the same words everywhere. */
export const otherEnds: IncidentOutcome[] = [
  { outcome: 'running' },
  { outcome: 'given-back', primary: 'pg-a', words: 'pg-b did not catch up in time' },
  { outcome: 'primary-lives', words: 'pg-b still receives' },
  { outcome: 'restarted', words: 'promoting pg-b would lose up to 256 bytes' },
  { outcome: 'observed', wouldPromote: 'pg-b', words: 'would have failed over to pg-b, because the server process ended' },
  { outcome: 'observed', wouldPromote: null, words: 'nobody would have been promoted: no member is fit' },
  { outcome: 'not-approved', words: 'nobody answered within 1 min' },
  { outcome: 'refused', words: 'pg-b is 16 MB behind' },
  { outcome: 'failed', words: 'every candidate died' },
];
