/** Stands in for the package's payload converters: what crosses the simulated wire is copied as the JSON that it would be. */
export const encodeToPayloads = (_converter: unknown, ...values: unknown[]): Promise<unknown[]> => Promise.resolve(values);
export const decodeArrayFromPayloads = (_converter: unknown, payloads: unknown[] | undefined): Promise<unknown[]> => Promise.resolve(payloads ?? []);
export const encodeErrorToFailure = (_converter: unknown, error: unknown): Promise<unknown> => Promise.resolve(error);
