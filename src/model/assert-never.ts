/** Lets the compiler prove a switch complete; at run time it names the case that a newer version has sent. */
export function assertNever(value: never): never {
  throw new Error(`unknown case, perhaps from a newer version: ${JSON.stringify(value)}`);
}
