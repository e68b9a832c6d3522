/** A record set that a group owns: clients find the primary by it. */
export interface RecordSpec {
  /** Absolute name with its final dot. */
  readonly name: string;
  /** `SRV` carries host and port, `A` and `AAAA` only the address, `CNAME` only the host. */
  readonly type: RecordType;
  readonly ttlSeconds: number;
  /** The provider's name in the configuration. */
  readonly provider: string;
}

export type RecordType = 'A' | 'AAAA' | 'CNAME' | 'SRV';

/** A record set with the marker that says whose it is. */
export interface OwnedRecord {
  readonly name: string;
  readonly type: RecordType;
  readonly ttlSeconds: number;
  /** In presentation form, sorted: `10.0.0.1`, `0 0 5432 pg-b.example.com.` */
  readonly values: readonly string[];
  /** `<namespace>/<group>`: whose it is (I8). */
  readonly owner: string;
  readonly epoch: number;
}

/** What is there now: a set without a marker belongs to nobody that we know, and is never overwritten. */
export type FoundRecord =
  | { readonly state: 'absent' }
  | { readonly state: 'unowned'; readonly values: readonly string[]; readonly ttlSeconds: number }
  | { readonly state: 'owned'; readonly record: OwnedRecord };
