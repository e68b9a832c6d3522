import type { FoundRecord, OwnedRecord, RecordType } from '../model/record.ts';

/**
 * A place where records are kept. What is asked twice changes nothing the second time (I5); what another owner wrote is
 * never overwritten (I8).
 */
export interface RecordProvider {
  readonly kind: string;
  /** `atomic`, or `racy` where read, compare and write are separate calls. */
  readonly compareAndSet: 'atomic' | 'racy';
  /**
   * Reads the set with its marker from an authoritative server, past every cache.
   *
   * @param setIdentifier which of several sets, where the provider has routing
   */
  read(name: string, type: RecordType, signal: AbortSignal, setIdentifier?: string): Promise<Read>;
  /**
   * Replaces what is there by `wanted`, provided that it is absent, or owned by `wanted.owner` at an epoch not above `wanted.epoch`.
   * The condition and the change are one act where `compareAndSet` is `atomic`.
   */
  apply(wanted: OwnedRecord, signal: AbortSignal): Promise<Applied>;
  /** Asks every authoritative server that the provider knows whether it answers `wanted`. */
  verify(wanted: OwnedRecord, signal: AbortSignal): Promise<Verified>;
}

/** No answer of the server is an exception: each is an outcome that the incident shows. */
export type Trouble =
  | { readonly outcome: 'unreachable'; readonly words: string }
  | { readonly outcome: 'slow'; readonly words: string }
  /** The server knows us not, or the signature is wrong. */
  | { readonly outcome: 'key-refused'; readonly words: string }
  /** The server understood and said no: policy, not authoritative, a malformed update. */
  | { readonly outcome: 'refused'; readonly words: string };

export type Read = { readonly outcome: 'found'; readonly found: FoundRecord } | Trouble;

export type Applied =
  | { readonly outcome: 'applied' | 'already'; readonly record: OwnedRecord }
  /** Somebody of the same owner was quicker, at this epoch or a higher one. */
  | { readonly outcome: 'lost-race'; readonly found: FoundRecord; readonly words: string }
  | { readonly outcome: 'foreign-owner'; readonly found: FoundRecord; readonly words: string }
  | Trouble;

export type Verified =
  | { readonly outcome: 'verified'; readonly servers: readonly string[] }
  | { readonly outcome: 'not-yet'; readonly words: string }
  | Trouble;
