/** Workflow ids, activity ids and task queues: one place makes them, since histories are compared by them. */
export const groupWorkflowId = (group: string): string => `group/${group}`;
export const failoverWorkflowId = (group: string, epoch: number): string => `failover/${group}/${epoch}`;
export const switchoverWorkflowId = (group: string, epoch: number): string => `switchover/${group}/${epoch}`;

export const rollId = (group: string, turn: number): string => `roll/${group}/${turn}`;

/** The agent of a member polls this queue, and nobody else does. */
export const memberQueue = (group: string, member: string): string => `member/${group}/${member}`;

/** Workflow workers, and the activities that need no member. */
export const CONTROL_QUEUE = 'understudy';

/** The owner that a group writes beside its records. */
export const recordOwner = (namespace: string, group: string): string => `${namespace}/${group}`;

/** What a name of a group or a member may be: it stands in queue names, file names, slot names and DNS labels. */
export const NAME_PATTERN = /^[a-z]([a-z0-9-]{0,46}[a-z0-9])?$/;

/** How the failure begins of a query that came between events and the task that handles them: asked again in a moment, it is answered. */
export const BETWEEN_TASKS = 'between two tasks: events have arrived that no worker has handled yet';
