import type { CommandUnknownOpts } from '@commander-js/extra-typings';

/** The program, or a command that others hang below. */
export type Program = CommandUnknownOpts;

/** Each command's file exports one of these, named `register`, and loads what is heavy only when the command runs. */
export type Register = (program: Program) => void | Promise<void>;

/** The end of every command's help. */
export function example(...lines: readonly string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}
