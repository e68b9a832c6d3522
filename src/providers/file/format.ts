import type { RecordSet } from '../record-sets.ts';

/** What a file holds. What is no record, such as a comment, is kept as it is, at the head. */
export interface Content {
  readonly head: readonly string[];
  readonly sets: readonly RecordSet[];
}

export interface Format {
  /** @throws ContentError where a person, or another program, wrote what we cannot keep */
  parse(text: string): Content;
  print(content: Content): string;
}

/** The file is not of the form that we write: it is left alone. */
export class ContentError extends Error {
  override readonly name = 'ContentError';
}
