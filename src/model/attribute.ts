/**
 * The search attributes that workflows set, registered by `understudy setup`. A Temporal namespace has room for few of each type, so that
 * these serve every kind of workflow.
 */
export const ATTRIBUTES = {
  group: { name: 'UnderstudyGroup', type: 'Keyword' },
  kind: { name: 'UnderstudyKind', type: 'Keyword' },
  phase: { name: 'UnderstudyPhase', type: 'Keyword' },
  primary: { name: 'UnderstudyPrimary', type: 'Keyword' },
  cause: { name: 'UnderstudyCause', type: 'Keyword' },
  epoch: { name: 'UnderstudyEpoch', type: 'Int' },
} as const;
