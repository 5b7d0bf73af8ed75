/** What one client has of one type, in the words of CSDS `ConfigStatus`. */
export interface TypeStatus {
  readonly typeUrl: string
  readonly state: 'NOT_SENT' | 'STALE' | 'SYNCED' | 'ERROR'
  readonly wildcard: boolean
  /** Names subscribed to one by one. */
  readonly names: number
  /** Version of the last response. */
  readonly version: string
  /** The client's own text when it refused the last response; otherwise empty. */
  readonly error: string
}

/** One connected client. */
export interface ClientStatus {
  readonly nodeId: string
  readonly peer: string
  /** SPIFFE ID of its certificate; `undefined` in plaintext. */
  readonly identity: string | undefined
  readonly userAgent: string
  readonly protocol: 'sotw' | 'delta'
  readonly view: string
  /** Wall-clock time in ms at which its stream opened. */
  readonly connectedAtMs: number
  readonly types: readonly TypeStatus[]
}
