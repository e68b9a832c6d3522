/** Stands in for what only shows: people look at it, and nothing is decided by it. */
export const showGroup = (_status: unknown, _attributes: unknown, before: unknown): unknown => before;
export const showIncident = (): void => {};
export const attributesAtStart = (): undefined => undefined;
export const isExecutable = (): boolean => true;
export const judgeFence = (): object => ({ fence: 'kernel', realtime: true });
