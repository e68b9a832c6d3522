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
  /** One set of several at the same name and type, of which the provider chooses one for each question; most providers have no such thing. */
  readonly routing?: Routing;
}

/** Which of the sets at one name and type a set is, and when it is the answer: Route 53's routing policies. */
export interface Routing {
  /** Of this set among its siblings: `eu`, at most 128 characters. */
  readonly setIdentifier: string;
  readonly policy:
    | { readonly kind: 'weighted'; readonly weight: number }
    | { readonly kind: 'failover'; readonly role: 'primary' | 'secondary' }
    /** ISO 3166 country, or continent such as `EU`; the country `*` is everybody else. */
    | { readonly kind: 'geolocation'; readonly continent?: string; readonly country?: string };
  /** A health check of the provider's own that the set depends on. */
  readonly healthCheckId?: string;
}

/** What is there now: a set without a marker belongs to nobody that we know, and is never overwritten. */
export type FoundRecord =
  | { readonly state: 'absent' }
  | { readonly state: 'unowned'; readonly values: readonly string[]; readonly ttlSeconds: number }
  | { readonly state: 'owned'; readonly record: OwnedRecord };
